"""EfficientNet: exact counts, strides against dilation, padding, fields."""

import functools

import jax
import numpy as np
import pytest
from flax import linen as nn

from jaxseg import encoders, types
from jaxseg.encoders import efficientnet
from jaxseg.encoders import inverted_residual as ir
from jaxseg.state import count
from jaxseg.weights import rule
from jaxseg.weights.rules import RULES
from tests import probe, quick

# Stem, seven stages, head: channels of B0 (also B1), B2 to B7.
CHANNELS = {
  0: (32, 16, 24, 40, 80, 112, 192, 320, 1280),
  1: (32, 16, 24, 40, 80, 112, 192, 320, 1280),
  2: (32, 16, 24, 48, 88, 120, 208, 352, 1408),
  3: (40, 24, 32, 48, 96, 136, 232, 384, 1536),
  4: (48, 24, 32, 56, 112, 160, 272, 448, 1792),
  5: (48, 24, 40, 64, 128, 176, 304, 512, 2048),
  6: (56, 32, 40, 72, 144, 200, 344, 576, 2304),
  7: (64, 32, 48, 80, 160, 224, 384, 640, 2560),
}
BLOCKS = {
  0: (1, 2, 2, 3, 3, 4, 1),
  1: (2, 3, 3, 4, 4, 5, 2),
  2: (2, 3, 3, 4, 4, 5, 2),
  3: (2, 3, 3, 5, 5, 6, 2),
  4: (2, 4, 4, 6, 6, 8, 2),
  5: (3, 5, 5, 7, 7, 9, 3),
  6: (3, 6, 6, 8, 8, 11, 3),
  7: (4, 7, 7, 10, 10, 13, 4),
}
KERNELS = (3, 3, 5, 3, 5, 5, 3)
# Tracing the deep ones takes seconds; of the others the plan is compared.
TRACED = {
  f"efficientnet_{version}"
  for version in ("b0", "b3", "b5", "lite0", "lite2", "lite4")
}
TINY = {"width": 0.25, "depth": 0.25, "normalization": "none"}


def conv(kernel, cin, cout, groups=1):
  """Kernel, and scale and offset of its normalisation."""
  return kernel**2 * cin // groups * cout + 2 * cout


def tables(i, lite):
  stem, *channels, last = CHANNELS[i]
  blocks = list(BLOCKS[i])
  if lite:
    stem, last, blocks[0], blocks[-1] = 32, 1280, 1, 1
  return stem, channels, last, blocks


def trunk(i, lite=False):
  """Parameters of the stem and the stages."""
  stem, channels, _, blocks = tables(i, lite)
  total, last = conv(3, 3, stem), stem
  for stage, (out, n, kernel) in enumerate(zip(channels, blocks, KERNELS)):
    for _ in range(n):
      inner = last if stage == 0 else 6 * last
      total += 0 if stage == 0 else conv(1, last, inner)
      total += conv(kernel, inner, inner, inner)
      squeeze = last // 4
      total += 0 if lite else 2 * inner * squeeze + squeeze + inner
      total += conv(1, inner, out)
      last = out
  return total


def head(i, lite=False):
  """The 1x1 convolution before the pooling."""
  _, channels, width, _ = tables(i, lite)
  return conv(1, channels[-1], width)


def dense(i, lite=False):
  return (tables(i, lite)[2] + 1) * 1000


@functools.cache
def classifier(name):
  """The tree of a network with its head."""
  return probe.variables(
    encoders.EfficientNetClassifier(encoders.ENCODERS[name]())
  )


@pytest.mark.parametrize(
  ("name", "want", "bare"),
  [
    ("efficientnet_b0", 5_288_548, 3_595_388),
    ("efficientnet_b1", 7_794_184, 6_101_024),
    ("efficientnet_b2", 9_109_994, 7_202_562),
    ("efficientnet_b3", 12_233_232, 10_103_336),
    ("efficientnet_b4", 19_341_616, 16_742_216),
    ("efficientnet_b5", 30_389_784, 27_288_112),
    ("efficientnet_b6", 43_040_704, 39_403_992),
    ("efficientnet_b7", 66_347_960, 62_143_440),
    ("efficientnet_lite0", 4_652_008, 2_958_848),
    ("efficientnet_lite1", 5_416_680, 3_723_520),
    ("efficientnet_lite2", 6_092_072, 4_357_952),
    ("efficientnet_lite3", 8_197_096, 6_422_016),
    ("efficientnet_lite4", 13_006_568, 11_149_568),
  ],
)
def test_counts(name, want, bare):
  """timm's numbers: with head and dense layer, and the trunk alone."""
  version = int(name[-1]), "lite" in name
  assert trunk(*version) == bare
  assert bare + head(*version) + dense(*version) == want
  encoder = encoders.ENCODERS[name]()
  plan = encoder.plan()
  _, channels, width, blocks = tables(*version)
  assert [stage.features for stage in plan] == channels
  assert [stage.blocks for stage in plan] == blocks
  assert encoder.head_features == width
  if name in TRACED:
    params = classifier(name)["params"]
    assert count(params["encoder"]) == bare
    assert count(params) == want


def test_counts_of_b5_by_other_conventions():
  tree = classifier("efficientnet_b5")
  # AdaBins' encoder keeps the head's convolution: all but the dense layer.
  assert count(tree["params"]) - count(tree["params"]["fc"]) == 28_340_784
  # Keras counts running statistics, and mean, variance and count of its own
  # normalisation of the image.
  assert count(tree) + 3 + 3 + 1 == 30_562_527


@pytest.mark.parametrize("name", sorted(encoders.VARIANTS))
def test_rules_know_the_depth_of_every_network(name):
  """Names of a checkpoint, by the tables above, become the encoder's."""
  lite = "lite" in name
  blocks = tables(int(name[-1]), lite)[3]
  one = np.zeros((1, 1, 1, 1))
  flat = {
    f"_blocks.{i}._project_conv.weight": one + i for i in range(sum(blocks))
  }
  got = rule.rename(RULES["smp", name](), flat)
  # In the same order: the sixth block here is the sixth there.
  places = [
    f"params/block{s}_{i}/project/conv/kernel"
    for s, n in enumerate(blocks)
    for i in range(n)
  ]
  assert got.keys() == set(places)
  assert [got[path].item() for path in places] == list(range(sum(blocks)))
  last = {0: "conv_pw"}
  timm = {
    f"blocks.{s}.{i}.{last.get(s, 'conv_pwl')}.weight": one
    for s, n in enumerate(blocks)
    for i in range(n)
  }
  assert [*rule.rename(RULES["timm", "efficientnet"](), timm)] == places


@pytest.mark.parametrize("output_stride", [32, 16, 8])
@pytest.mark.parametrize("padding", ["tf", "torch"])
def test_shapes_and_one_tree(output_stride, padding):
  def make(**fields):
    return encoders.ENCODERS["efficientnet_b4"](depth=0.25, **fields)

  encoder = make(output_stride=output_stride, padding=padding)
  maps, tree = probe.shapes(encoder, (224, 513), batch=2)
  want = {}
  for k, width in enumerate((48, 32, 56, 160, 448), 1):
    stride = min(2**k, output_stride)
    want[f"c{k}"] = (2, -(-224 // stride), -(-513 // stride), width)
  assert {k: v.shape for k, v in maps.items()} == want
  assert tree == probe.variables(make())


def test_dilation_is_the_same_function_at_more_places(random_variables):
  """Of Lite, on maps of odd size (2^k m + 1), where both paddings agree."""
  image = np.random.default_rng(0).random((1, 65, 97, 3), np.float32)
  plain = encoders.EfficientNet(**TINY, lite=True)
  variables = random_variables(plain, image)
  want = probe.run(plain, variables, image)
  torch = probe.run(plain.clone(padding="torch"), variables, image)
  dense = plain.clone(output_stride=8)
  got = probe.run(dense, variables, image)
  for k in range(1, 6):
    step = max(2**k // 8, 1)
    a, b = got[f"c{k}"][:, ::step, ::step], want[f"c{k}"]
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, atol=1e-5 * np.abs(b).max())
    np.testing.assert_allclose(torch[f"c{k}"], b, atol=1e-5 * np.abs(b).max())


def fields_of_blocks(model, name):
  """The value that each block of a network was built with."""
  values = []

  def note(call, args, kwargs, context):
    block = isinstance(context.module, ir.InvertedResidual)
    if block and context.method_name == "__call__":
      values.append(getattr(context.module, name))
    return call(*args, **kwargs)

  with nn.intercept_methods(note):
    probe.shapes(model)
  return values


@pytest.mark.parametrize("kernel", [3, 5])
def test_static_padding_is_that_of_a_size(kernel, random_variables):
  """Of an even one as TensorFlow pads it, of an odd one symmetric."""
  x = np.random.default_rng(0).normal(size=(1, 8, 12, 8)).astype(np.float32)
  block = ir.InvertedResidual(48, 16, kernel=kernel, step=ir.Step(2, 1, 1))
  variables = random_variables(block, x)
  tf, torch, even, odd = (
    probe.run(block.clone(padding=padding), variables, x)
    for padding in (
      "tf",
      "torch",
      efficientnet.static_pads(kernel, 12),
      efficientnet.static_pads(kernel, 15),
    )
  )
  np.testing.assert_allclose(even, tf, atol=1e-5)
  np.testing.assert_allclose(odd, torch, atol=1e-5)
  assert np.abs(tf - torch).max() > 0.1


def test_static_padding_follows_the_resolution():
  # B1 at 240: 120, 60, 30, 15 pixels enter the strides of the stages.
  b1 = encoders.ENCODERS["efficientnet_b1"](padding="static")
  steps = fields_of_blocks(b1, "step")
  pads = fields_of_blocks(b1, "padding")
  strided = [pad for pad, step in zip(pads, steps) if step.stride == 2]
  even3, even5, odd5 = (0, 1), (1, 2), (2, 2)
  assert strided == [(e, e) for e in (even3, even5, even3, odd5)]
  assert {p for p, s in zip(pads, steps) if s.stride == 1} == {"torch"}


def test_stochastic_depth_skips_whole_examples(random_variables):
  """Training: the shortcut alone, or with the branch over what is kept."""
  block = ir.InvertedResidual(48, 8, shortcut=True, drop_path=0.25, frozen=True)
  x = np.random.default_rng(0).normal(size=(64, 4, 4, 8)).astype(np.float32)
  variables = random_variables(block, x)
  rngs = {"dropout": jax.random.key(0)}
  branch = quick.jit(lambda v: block.apply(v, x, train=False) - x)(variables)
  got = quick.jit(lambda v: block.apply(v, x, train=True, rngs=rngs) - x)(
    variables
  )
  skipped = np.abs(got).max((1, 2, 3)) == 0
  np.testing.assert_allclose(got[~skipped], branch[~skipped] / 0.75, atol=1e-5)
  assert 0.1 < skipped.mean() < 0.4  # 16 of 64 expected, deviation 3.5


def test_stochastic_depth_grows_from_nothing():
  """B0 with 0.2: the block i of 16 is skipped with probability 0.2 i / 16."""
  b0 = encoders.ENCODERS["efficientnet_b0"](drop_path=0.2)
  rates = fields_of_blocks(b0, "drop_path")
  np.testing.assert_allclose(rates, 0.2 * np.arange(16) / 16)


def test_squeeze_is_a_quarter_of_what_enters_the_block():
  params = classifier("efficientnet_b0")["params"]["encoder"]
  assert params["block0_0"]["se"]["fc1"]["kernel"].shape == (1, 1, 32, 8)
  assert params["block1_1"]["se"]["fc1"]["kernel"].shape == (1, 1, 144, 6)
  lite = classifier("efficientnet_lite0")["params"]["encoder"]
  assert not [k for block in lite.values() for k in block if k == "se"]


@pytest.mark.parametrize(
  ("fields", "words"),
  [
    ({"output_stride": 4}, "output_stride=4 .* 32, 16, 8"),
    ({"padding": "same"}, "padding='same' .* 'tf', 'torch', 'static'"),
    ({"c1": "first"}, "c1='first' .* 'stem', 'last'"),
  ],
)
def test_mistakes_are_named(fields, words):
  with pytest.raises(types.UserError, match=words):
    probe.shapes(encoders.EfficientNet(**TINY, **fields))
