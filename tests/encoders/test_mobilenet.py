"""MobileNetV2 and V3: exact counts, strides against dilation, fields."""

import functools

import numpy as np
import pytest

from jaxseg import encoders, types
from jaxseg.encoders import inverted_residual as ir
from jaxseg.state import count
from tests import probe

NAMES = ("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small")


def test_counts_of_v2():
  """Table 2 of the paper; Keras counts the running statistics too."""

  def conv(weights, features):
    return np.array([weights + 2 * features, 2 * features])

  total = conv(27 * 32, 32)
  last = 32
  for t, c, n in (
    (1, 16, 1),
    (6, 24, 2),
    (6, 32, 3),
    (6, 64, 4),
    (6, 96, 3),
    (6, 160, 3),
    (6, 320, 1),
  ):
    for _ in range(n):
      hidden = t * last
      total += conv(last * hidden, hidden) if t > 1 else 0
      total += conv(9 * hidden, hidden) + conv(hidden * c, c)
      last = c
  without = total[0]
  total += conv(320 * 1280, 1280)
  total[0] += 1280 * 1000 + 1000
  assert total[0] == 3_504_872
  assert total.sum() == 3_538_984
  encoder = encoders.ENCODERS["mobilenet_v2"]()
  tree = probe.variables(encoders.Classifier(encoder))
  assert count(tree["params"]) == 3_504_872
  assert count(tree) == 3_538_984
  assert probe.parameters(encoder.clone(head=False)) == without


@pytest.mark.parametrize(
  ("name", "hidden", "want"),
  [
    ("mobilenet_v3_large", 1280, 5_483_032),
    ("mobilenet_v3_small", 1024, 2_542_856),
  ],
)
def test_counts_of_v3(name, hidden, want):
  """torchvision's, with its classifier of two layers."""
  encoder = encoders.ENCODERS[name]()
  model = encoders.Classifier(encoder, hidden=hidden)
  assert probe.parameters(model) == want


# Channels of the last map of each stride, and of the map before the head.
WIDTHS = {
  "mobilenet_v2": ((16, 24, 32, 96, 1280), 320),
  "mobilenet_v3_large": ((16, 24, 40, 112, 960), 160),
  "mobilenet_v3_small": ((16, 16, 24, 48, 576), 96),
}


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_one_tree(name):
  widths, bare = WIDTHS[name]
  trees = []
  for output_stride in (32, 16, 8):
    encoder = encoders.ENCODERS[name](output_stride=output_stride)
    maps, tree = probe.shapes(encoder, (224, 513), batch=2)
    for k, width in enumerate(widths, 1):
      s = min(2**k, output_stride)
      want = (2, 224 // s, 512 // s + 1, width)
      assert maps[f"c{k}"].shape == want
    blocks = sum(k.startswith("block") for k in tree["params"])
    assert maps[f"b{blocks}"].shape == (*want[:3], bare)
    assert maps[f"b{blocks + 1}"].shape == want
    trees.append(tree)
  assert trees[0] == trees[1] == trees[2]


def test_schedule():
  """Strides in, (stride, dilation) out; by hand."""
  strides = (2, 1, 2, 2, 1, 2, 1)

  def pairs(output_stride, first):
    steps = ir.schedule(strides, output_stride, first)
    assert [s.level for s in steps] == [1, 1, 2, 3, 3, 4, 4]
    return [(s.stride, s.dilation) for s in steps]

  assert pairs(16, False) == [(s, 1) for s in strides]
  assert pairs(8, False)[-3:] == [(1, 1), (1, 1), (1, 2)]
  assert pairs(8, True)[-3:] == [(1, 1), (1, 2), (1, 2)]
  assert pairs(4, False)[2:] == [(2, 1), (1, 1), (1, 2), (1, 2), (1, 4)]
  assert pairs(4, True)[2:] == [(2, 1), (1, 2), (1, 2), (1, 4), (1, 4)]


@pytest.mark.parametrize(
  ("channels", "want"), [(3.2, 8), (12, 16), (19, 24), (20.8, 24), (33, 32)]
)
def test_round_channels(channels, want):
  """The nearest multiple of 8, unless more than a tenth gets lost (19)."""
  assert ir.round_channels(channels) == want


TINY = {"width": 0.1, "normalization": "none"}


@pytest.mark.parametrize("padding", ["torch", "tf"])
def test_dilation_is_the_same_function_at_more_places(
  padding, random_variables, few_blocks
):
  """Exact at the borders too. TensorFlow's padding is symmetric at sizes of
  32 m + 1 only, and elsewhere the strided net looks at other places. V3 has
  means over whole maps, which see more places: no such identity."""
  make = functools.partial(
    encoders.MobileNetV2, **TINY, padding=padding, head_width=16
  )
  size = (33, 97) if padding == "tf" else (50, 97)
  image = np.random.default_rng(0).random((1, *size, 3), np.float32)
  variables = random_variables(make(), image)
  want = probe.run(make(), variables, image)["c5"]
  scale = np.abs(want).max()
  dense = make(output_stride=8)
  got = probe.run(dense, variables, image)["c5"][:, ::4, ::4]
  np.testing.assert_allclose(got, want, atol=1e-5 * scale)
  if padding == "tf":
    return
  # Dilating the convolution that strode is another function.
  other = probe.run(dense.clone(dilate_first=True), variables, image)["c5"]
  assert np.abs(other[:, ::4, ::4] - want).max() > 1e-2 * scale


@pytest.mark.parametrize(
  ("name", "fields", "message"),
  [
    ("mobilenet_v2", {"output_stride": 4}, "output_stride=4 .*32, 16, 8"),
    ("mobilenet_v3_large", {"output_stride": 64}, "output_stride=64 "),
    ("mobilenet_v3_large", {"size": "huge"}, "size='huge' .*'large', 'small'"),
    ("mobilenet_v2", {"padding": "caffe"}, "padding='caffe'"),
  ],
)
def test_mistakes_are_named(name, fields, message):
  with pytest.raises(types.UserError, match=message):
    probe.shapes(encoders.ENCODERS[name](**fields))
