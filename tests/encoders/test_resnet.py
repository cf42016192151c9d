"""ResNet and ResNeXt: exact counts, strides against dilation, fields."""

import functools

import numpy as np
import pytest
from flax import linen as nn

from jaxseg import encoders, layers, types
from jaxseg.state import count
from tests import probe

SIZES = {
  18: (2, 2, 2, 2),
  34: (3, 4, 6, 3),
  50: (3, 4, 6, 3),
  101: (3, 4, 23, 3),
  152: (3, 8, 36, 3),
}


def conv(kernel, cin, cout, groups=1, bias=0):
  """Kernel (with `bias` a bias too), scale and offset of its normalisation."""
  return kernel**2 * cin // groups * cout + (2 + bias) * cout


def trunk(depth, *, groups=1, group_width=64, deep=False, bias=0):
  """Parameters by the tables of the papers."""
  if deep:
    total = conv(3, 3, 64) + conv(3, 64, 64) + conv(3, 64, 128)
  else:
    total = conv(7, 3, 64, bias=bias)
  last = 128 if deep else 64
  for stage, blocks in enumerate(SIZES[depth]):
    planes = 64 * 2**stage
    inner = groups * group_width * 2**stage
    for i in range(blocks):
      if depth < 50:
        out = planes
        total += conv(3, last, out) + conv(3, out, out)
      else:
        out = 4 * planes
        total += conv(1, last, inner, bias=bias)
        total += conv(3, inner, inner, groups, bias)
        total += conv(1, inner, out, bias=bias)
      if i == 0 and last != out:
        total += conv(1, last, out, bias=bias)
      last = out
  return total


def head(depth):
  return ((512 if depth < 50 else 2048) + 1) * 1000


# Of the trunk alone, where it is quoted.
TRUNKS = {
  "resnet18": 11_176_512,
  "resnet50": 23_508_032,
  "resnet101": 42_500_160,
}


@pytest.mark.parametrize(
  ("name", "want", "formula"),
  [
    ("resnet18", 11_689_512, trunk(18) + head(18)),
    ("resnet34", 21_797_672, trunk(34) + head(34)),
    ("resnet50", 25_557_032, trunk(50) + head(50)),
    ("resnet101", 44_549_160, trunk(101) + head(101)),
    ("resnet152", 60_192_808, trunk(152) + head(152)),
    (
      "resnext50_32x4d",
      25_028_904,
      trunk(50, groups=32, group_width=4) + head(50),
    ),
    (
      "resnext101_32x8d",
      88_791_336,
      trunk(101, groups=32, group_width=8) + head(101),
    ),
    (
      "resnext101_64x4d",
      83_455_272,
      trunk(101, groups=64, group_width=4) + head(101),
    ),
  ],
)
def test_counts_with_classifier(name, want, formula):
  assert formula == want
  model = encoders.Classifier(encoders.ENCODERS[name]())
  params = probe.variables(model)["params"]
  assert count(params) == want
  if name in TRUNKS:
    assert count(params["encoder"]) == TRUNKS[name]


@pytest.mark.parametrize(
  ("name", "want", "formula"),
  [
    ("resnet50_deep", 23_631_808, trunk(50, deep=True)),
    ("resnet101_deep", 42_623_936, trunk(101, deep=True)),
  ],
)
def test_counts_of_deep_stems(name, want, formula):
  assert formula == want
  assert probe.parameters(encoders.ENCODERS[name]()) == want


@pytest.mark.parametrize(
  ("depth", "want"), [(50, 25_636_712), (101, 44_707_176)]
)
def test_counts_of_keras(depth, want):
  """Biases beside the normalisations, and running statistics counted."""
  encoder = encoders.ENCODERS[f"resnet{depth}"](use_bias=True)
  tree = probe.variables(encoders.Classifier(encoder))
  assert count(tree) == want
  assert count(tree["params"]) == trunk(depth, bias=1) + head(depth)


@pytest.mark.parametrize("name", ["resnet18", "resnet50_deep"])
def test_shapes_and_one_tree(name):
  trees = []
  for output_stride in (32, 16, 8):
    encoder = encoders.ENCODERS[name](width=2, output_stride=output_stride)
    maps, tree = probe.shapes(encoder, (224, 513), batch=2)
    widths = (2, 2, 4, 8, 16) if name == "resnet18" else (4, 8, 16, 32, 64)
    want = {}
    for k, width in enumerate(widths, 1):
      s = min(2**k, output_stride)
      want[f"c{k}"] = (2, 224 // s, 512 // s + 1, width)
    assert {k: v.shape for k, v in maps.items()} == want
    trees.append(tree)
  assert trees[0] == trees[1] == trees[2]


TINY = {"width": 4, "blocks": (1, 1, 1, 2), "normalization": "none"}


@pytest.mark.parametrize(
  ("output_stride", "fields"),
  [
    (8, {"bottleneck": False}),
    (16, {"stride_at": "3x3"}),
    (8, {"stride_at": "1x1", "groups": 2, "group_width": 32}),
  ],
  ids=["basic", "3x3", "1x1"],
)
def test_dilation_is_the_same_function_at_more_places(
  output_stride, fields, random_variables
):
  """Exact at the borders too: padding is symmetric, and a tap of the strided
  map is outside of it exactly where its place in the dense map is."""
  image = np.random.default_rng(0).random((1, 66, 101, 3), np.float32)
  plain = encoders.ResNet(**TINY, **fields)
  variables = random_variables(plain, image)
  want = probe.run(plain, variables, image)
  dense = plain.clone(output_stride=output_stride)
  got = probe.run(dense, variables, image)
  for k in range(1, 6):
    step = max(2**k // output_stride, 1)
    a, b = got[f"c{k}"][:, ::step, ::step], want[f"c{k}"]
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())
  # Dilating the convolution that strode is another function; behind a strided
  # 1x1 there is none to choose.
  other = probe.run(dense.clone(dilate_first=True), variables, image)["c5"]
  error = np.abs(other - got["c5"]).max() / np.abs(got["c5"]).max()
  assert error == 0 if fields.get("stride_at") == "1x1" else error > 1e-2


@pytest.mark.parametrize(
  ("name", "fields", "field"),
  [
    # 11 after the pooling; then 2 * dilation * stride per 3x3:
    # 3 * 8; 8 + 3 * 16; 16 + 5 * 32; 32 + 2 * 64.
    ("resnet50", {}, 427),
    ("resnet50", {"stride_at": "1x1"}, 483),
    # The last stage has 2 * 16 * (2 + 4 + 8) in place of 32 + 2 * 64.
    (
      "resnet50",
      {"output_stride": 16, "multi_grid": (1, 2, 4), "dilate_first": True},
      715,
    ),
  ],
)
def test_receptive_field(name, fields, field, random_variables):
  """A pixel that is not a number spoils a unit exactly inside its field."""
  encoder = encoders.ENCODERS[name](width=1, normalization="none", **fields)
  centre, reach = 512, (field - 1) // 2
  image = np.full((4, 1, 1025, 1), 0.5, np.float32)
  columns = [centre - reach - 1, centre - reach]
  columns += [centre + reach, centre + reach + 1]
  for i, column in enumerate(columns):
    image[i, 0, column] = np.nan
  variables = random_variables(encoder, image)
  top = probe.run(encoder, variables, image)["c5"]
  stride = fields.get("output_stride", 32)
  seen = np.isnan(top[:, 0, centre // stride]).any(-1)
  assert seen.tolist() == [False, True, True, False]


def test_classifier_is_dense_on_the_mean(random_variables):
  encoder = encoders.ResNet(**TINY)
  image = np.random.default_rng(0).random((2, 70, 64, 3), np.float32)
  model = encoders.Classifier(encoder, classes=5)
  variables = random_variables(model, image)
  params, stats = variables["params"], variables["batch_stats"]
  inner = {"params": params["encoder"], "batch_stats": stats["encoder"]}
  top = probe.run(encoder, inner, image)["c5"]
  fc = params["fc"]
  want = np.mean(top, (1, 2)) @ fc["kernel"][0, 0] + fc["bias"]
  got = probe.run(model, variables, image)
  np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())


@pytest.mark.parametrize(
  ("fields", "message"),
  [
    ({"output_stride": 4}, "output_stride=4 .*32, 16, 8"),
    ({"stem": "3x3"}, "stem='3x3' .*'7x7', 'deep'"),
    ({"stride_at": 1}, "stride_at=1 .*'3x3', '1x1'"),
    ({"multi_grid": [1, 2]}, r"multi_grid=\(1, 2\) has 2 .* last stage, 3"),
  ],
)
def test_mistakes_are_named(fields, message):
  with pytest.raises(types.UserError, match=message):
    probe.shapes(encoders.ENCODERS["resnet50"](**fields))


@pytest.mark.parametrize("bottleneck", [True, False])
def test_every_normalisation_takes_the_fields(bottleneck):
  """Stem, blocks and shortcuts; torch's values where none are given."""
  seen = []

  def note(call, args, kwargs, context):
    if isinstance(context.module, layers.BatchNorm):
      seen.append((context.module.momentum, context.module.epsilon))
    return call(*args, **kwargs)

  make = functools.partial(
    encoders.ResNet, blocks=(1, 1, 1, 1), bottleneck=bottleneck, width=2
  )
  # A basic block of the first stage has no shortcut to normalise.
  norms = 1 + 4 * (3 + 1) if bottleneck else 1 + 4 * 2 + 3
  for fields, want in (
    ({}, (0.9, 1e-5)),
    ({"momentum": 0.99, "epsilon": 1.001e-5}, (0.99, 1.001e-5)),
  ):
    seen.clear()
    with nn.intercept_methods(note):
      probe.shapes(make(**fields))
    assert seen == [want] * norms
