"""Xception and aligned Xception: exact counts, strides, padding, fields."""

import functools

import jax
import numpy as np
import pytest

from jaxseg import encoders, types
from jaxseg.state import count
from jaxseg.weights import rule
from jaxseg.weights.rules import RULES
from tests import probe

TINY = {"width": 1 / 16, "middle": 1, "normalization": "none"}
STEM = 9 * 3 * 32 + 64 + 9 * 32 * 64 + 128  # two 3x3 and their scale, offset


def separable(cin, cout, inner_norm=False):
  """3x3 per channel, 1x1, scale and offset; of the first too if inner_norm."""
  return 9 * cin + (2 * cin if inner_norm else 0) + cin * cout + 2 * cout


def shortcut(cin, cout):
  return cin * cout + 2 * cout


def chollet():
  total = STEM
  for cin, cout in ((64, 128), (128, 256), (256, 728)):
    total += separable(cin, cout) + separable(cout, cout) + shortcut(cin, cout)
  total += 8 * 3 * separable(728, 728)
  total += separable(728, 728) + separable(728, 1024) + shortcut(728, 1024)
  return total + separable(1024, 1536) + separable(1536, 2048)


def aligned(middle, entry):
  """Entry: channels in and out of each block; all have a shortcut."""
  total = STEM
  for cin, cout in entry:
    total += separable(cin, cout, True) + 2 * separable(cout, cout, True)
    total += shortcut(cin, cout)
  total += middle * 3 * separable(728, 728, True)
  total += separable(728, 728, True) + separable(728, 1024, True)
  total += separable(1024, 1024, True) + shortcut(728, 1024)
  total += separable(1024, 1536, True) + separable(1536, 1536, True)
  return total + separable(1536, 2048, True)


SHORT = ((64, 128), (128, 256), (256, 728))
LONG = ((64, 128), (128, 256), (256, 256), (256, 728), (728, 728))
DENSE = 2049 * 1000


@functools.cache
def classifier(name):
  """The tree of a network with its dense layer."""
  return probe.variables(encoders.Classifier(encoders.ENCODERS[name]()))


@pytest.mark.parametrize(
  ("name", "want", "formula"),
  [
    ("xception", 20_806_952, chollet()),
    ("xception41", 24_920_560, aligned(8, SHORT)),
    ("xception65", 37_867_312, aligned(16, SHORT)),
    ("xception71", 40_289_736, aligned(16, LONG)),
  ],
)
def test_counts(name, want, formula):
  """timm's numbers, without and with the dense layer."""
  assert formula == want
  tree = classifier(name)
  assert count(tree["params"]["encoder"]) == want
  assert count(tree["params"]) == want + DENSE


def test_counts_of_keras():
  """Running statistics counted: without and with top."""
  tree = classifier("xception")
  assert count(tree) == 22_910_480
  assert count(tree) - count(tree["params"]["fc"]) == 20_861_480


@pytest.mark.parametrize("output_stride", [32, 16, 8])
@pytest.mark.parametrize("name", ["xception41", "xception71"])
def test_shapes_and_one_tree(name, output_stride):
  make = functools.partial(encoders.ENCODERS[name], middle=1)
  encoder = make(output_stride=output_stride, multi_grid=(1, 2, 4))
  maps, tree = probe.shapes(encoder, (224, 513), batch=2)
  want = {}
  for k, width in enumerate((128, 256, 728, 1024, 2048), 1):
    stride = min(2**k, output_stride)
    want[f"c{k}"] = (2, -(-224 // stride), -(-513 // stride), width)
  assert {k: v.shape for k, v in maps.items()} == want
  assert tree == probe.variables(make())


@pytest.mark.parametrize("padding", ["torch", "tf"])
def test_shapes_of_chollet(padding):
  encoder = encoders.Xception(padding=padding, middle=1)
  maps, _ = probe.shapes(encoder, (224, 299), batch=2)
  assert {k: v.shape for k, v in maps.items()} == {
    f"c{k}": (2, -(-224 // 2**k), -(-299 // 2**k), width)
    for k, width in enumerate((64, 128, 256, 728, 2048), 1)
  }
  # The paper's Figure 5: 299 gives 147 after the stem, 10 at the end.
  valid, _ = probe.shapes(encoder.clone(valid_stem=True), 299)
  sides = [valid[f"c{k}"].shape[1] for k in range(1, 6)]
  assert sides == [147, 74, 37, 19, 10]


def test_dilation_is_the_same_function_at_more_places(random_variables):
  image = np.random.default_rng(0).random((1, 66, 101, 3), np.float32)
  plain = encoders.XceptionAligned(**TINY)
  variables = random_variables(plain, image)
  want = probe.run(plain, variables, image)
  dense = plain.clone(output_stride=8)
  got = probe.run(dense, variables, image)
  for k in range(1, 6):
    step = max(2**k // 8, 1)
    a, b = got[f"c{k}"][:, ::step, ::step], want[f"c{k}"]
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())
  # Multi-grid reaches the last block and no other.
  grid = probe.run(dense.clone(multi_grid=(1, 2, 4)), variables, image)
  for k in range(1, 5):
    np.testing.assert_array_equal(grid[f"c{k}"], got[f"c{k}"])
  assert np.abs(grid["c5"] - got["c5"]).max() > 1e-2 * np.abs(got["c5"]).max()


def test_the_paddings_agree_on_odd_sizes_only(random_variables):
  image = np.random.default_rng(0).random((1, 65, 97, 3), np.float32)
  model = encoders.Xception(**TINY)
  variables = random_variables(model, image)
  for crop, same in ((image, True), (image[:, 1:, 1:], False)):
    a, b = (
      probe.run(model.clone(padding=p), variables, crop)
      for p in ("torch", "tf")
    )
    for k in range(1, 6):
      assert a[f"c{k}"].shape == b[f"c{k}"].shape
      assert np.allclose(a[f"c{k}"], b[f"c{k}"], atol=1e-5) == same


@pytest.mark.parametrize("first", [0, 1])
def test_names_of_keras(first):
  """Its layers, from its source, give every array of the network once."""
  sep = [f"block{b}_sepconv{i}" for b in (2, 3, 4, 13) for i in (1, 2)]
  sep += [f"block{b}_sepconv{i}" for b in range(5, 13) for i in (1, 2, 3)]
  sep += ["block14_sepconv1", "block14_sepconv2"]
  counts = [f"_{i}" if i else "" for i in range(first, first + 4)]
  names = [f"{n}/{k}_kernel" for n in sep for k in ("depthwise", "pointwise")]
  names += [f"block1_conv{i}/kernel:0" for i in (1, 2)]
  names += [f"conv2d{c}/conv2d{c}/kernel:0" for c in counts]
  norms = [f"{n}_bn" for n in (*sep, "block1_conv1", "block1_conv2")]
  norms += [f"batch_normalization{c}" for c in counts]
  names += [
    f"{norm}/{v}"
    for norm in norms
    for v in ("gamma", "beta", "moving_mean", "moving_variance")
  ]
  names += ["predictions/kernel", "predictions/bias"]
  rules = RULES["keras", "xception"](
    target="encoder/", classifier=True, first=first
  )
  got = rule.rename(rules, {name: np.zeros((1, 1, 1, 1)) for name in names})
  tree = classifier("xception")
  paths = jax.tree_util.tree_leaves_with_path(tree)
  assert set(got) == {"/".join(k.key for k in path) for path, _ in paths}
  # The third shortcut belongs to Keras' block 4, which is our block 3.
  third = f"conv2d{counts[2]}/kernel"
  assert [*rule.rename(rules, {third: np.zeros(1)})] == [
    "params/encoder/block3_shortcut/conv/kernel"
  ]


@pytest.mark.parametrize(
  ("encoder", "words"),
  [
    (encoders.Xception(output_stride=16), "output_stride=16 .* 32"),
    (encoders.Xception(padding="same"), "padding='same' .* 'torch', 'tf'"),
    (encoders.XceptionAligned(output_stride=4), "output_stride=4 .* 32, 16, 8"),
    (encoders.XceptionAligned(multi_grid=(1, 2)), "2 factors; expected three"),
  ],
)
def test_mistakes_are_named(encoder, words):
  with pytest.raises(types.UserError, match=words):
    probe.shapes(encoder)
