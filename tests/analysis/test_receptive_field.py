"""Receptive fields: the published table, unions, agreement with gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import encoders
from jaxseg.analysis import receptive_field
from jaxseg.analysis.receptive_field import Field, Layer, through, union
from jaxseg.models import context, unet

CONV, POOL = Layer(3, 1, 1), Layer(2, 2)
VGG16 = [
  layer for depth in (2, 2, 3, 3, 3) for layer in [CONV] * depth + [POOL]
]


def dilated(*dilations):
  return [Layer(3, 1, d, d) for d in dilations]


def alexnet():
  """Slim's AlexNet v2: first convolution and poolings without padding."""
  pool = Layer(3, 2)
  return [
    Layer(11, 4),
    pool,
    Layer(5, 1, 2),
    pool,
    *[CONV] * 3,
    pool,
  ]


def mobilenet():
  """v1, even sizes: TensorFlow's padding at stride 2 adds none before."""
  down = Layer(3, 2, 0)
  strides = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
  return [down if s == 2 else CONV for s in strides]


def resnet(depths, placement):
  """Blocks as unions of their shortcut and three convolutions.

  placement: 'torch' strides in the first 3x3 of a stage, 'he' in the 1x1
  before it, 'slim' in the last 3x3 of a stage, of all stages but the last.
  Slim and He pool without padding before the first pixel.
  """
  pool = Layer(3, 2, 1 if placement == "torch" else 0)
  field = through([Layer(7, 2, 3), pool])
  for stage, depth in enumerate(depths):
    for i in range(depth):
      if placement == "slim":
        stride = 2 if i == depth - 1 and stage < 3 else 1
      else:
        stride = 2 if i == 0 and stage > 0 else 1
      first, middle = Layer(1), Layer(3, stride, 1)
      if placement == "he":
        first, middle = Layer(1, stride), CONV
      main = through([first, middle, Layer(1)], field)
      field = union([main, through([Layer(1, stride)], field)])
  return field


R50, R101, R152 = (3, 4, 6, 3), (3, 4, 23, 3), (3, 8, 36, 3)
R200 = (3, 24, 36, 3)
UNET_BOTTOM = [*([Layer(3)] * 2 + [POOL]) * 4, Layer(3), Layer(3)]


@pytest.mark.parametrize(
  ("got", "size", "stride", "padding"),
  [
    (through(dilated(1)), 3, 1, 1),
    (through(dilated(1, 2)), 7, 1, 3),
    (through(dilated(1, 2, 4)), 15, 1, 7),
    (through([*dilated(*context.DILATIONS), Layer(1)]), 67, 1, 33),
    (through([*dilated(*context.DILATIONS_LONG), Layer(1)]), 259, 1, 129),
    (through(VGG16), 212, 32, 90),
    (through([*VGG16, Layer(7)]), 404, 32, 90),
    (through(UNET_BOTTOM), 140, 16, 0),
    (resnet(R50, "torch"), 427, 32, 213),
    (resnet(R101, "torch"), 971, 32, 485),
    (resnet(R50, "slim"), 483, 32, 239),
    (resnet(R101, "slim"), 1027, 32, 511),
    (resnet(R152, "slim"), 1507, 32, 751),
    (resnet(R200, "slim"), 1763, 32, 879),
    (resnet(R50, "he"), 483, 32, 239),
    (through(alexnet()), 195, 32, 64),
    (through(mobilenet()), 315, 32, 126),
  ],
)
def test_published_table(got, size, stride, padding):
  assert got[:3] == (size, stride, padding)


def test_front_end_of_the_dilated_vgg():
  """RF 373 + 7: one unit needs 380 pixels, and each further one 8 more."""
  layers = []
  for depth, _, dilation, pool in context.STAGES:
    layers += [Layer(3, 1, 0, dilation)] * depth + [POOL] * pool
  field = through([*layers, Layer(7, 1, 0, 4)])
  assert field.stride == context.STRIDE
  assert field.size + (field.stride - 1) >= 2 * context.MARGIN + 1
  # The unit's centre falls into the 8 x 8 cell that it answers for.
  assert 0 <= field.center - context.MARGIN <= 7


def test_union_and_misaligned_paths():
  start = through([Layer(3, 1, 1)])
  same = union([through([CONV], start), start])
  assert same == Field(5, 1, 2, True)
  # A path shifted by a pixel: first pixel -2, last 3.
  odd = union([through([CONV], start), through([Layer(3, 1, 0)], start)])
  assert odd == Field(6, 1, 2, False)
  assert odd.span(0) == (-2, 3)
  assert not through([CONV], odd).aligned
  with pytest.raises(ValueError, match=r"strides \[1, 2\]"):
    union([start, through([POOL], start)])


def test_centres():
  field = through(VGG16)
  assert field.center == -90 + 211 / 2
  assert field.span(7) == (7 * 32 - 90, 7 * 32 - 90 + 211)


def test_context_module_by_gradient():
  module = context.ContextModule("basic")
  variables = receptive_field.positive_variables(
    jax.eval_shape(
      lambda x: module.init(jax.random.key(0), x), jnp.ones((1, 75, 70, 2))
    )
  )
  rows, cols = receptive_field.measured(
    lambda x: module.apply(variables, x), (75, 70, 2), (37, 35)
  )
  field = through(dilated(*context.DILATIONS))
  assert (rows, cols) == (field.span(37), field.span(35))


def test_vgg_stages_by_gradient():
  """Max-poolings: the rising and the falling image show both ends."""
  encoder = encoders.VGG(width=1, normalization="none")
  variables = receptive_field.positive_variables(
    jax.eval_shape(
      lambda x: encoder.init(jax.random.key(0), x, train=False),
      jnp.ones((1, 64, 64, 3)),
    )
  )

  def stage(x):
    return encoder.apply(variables, x, train=False)["p4"]

  at = sum((2, 2, 3, 3)) + 4
  field = through(VGG16[:at])
  assert field.stride == 16
  size, unit = 160, 5
  rows, _ = receptive_field.measured(stage, (size, size, 3), (unit, unit))
  assert rows == field.span(unit)


def test_unet_bottom_by_gradient():
  """The valid net: bottom RF 140 in whole, 44 at depth 2."""
  model = unet.UNet(
    {"logits": 1}, width=1, depth=2, padding="valid", mirror=False
  )
  size = unet.valid_sizes(80, 2)[1]
  shapes = jax.eval_shape(
    lambda x: model.init(jax.random.key(0), x, train=False),
    jnp.ones((1, size, size, 1)),
  )
  variables = receptive_field.positive_variables(shapes)

  def logits(x):
    return model.apply(variables, x, train=False)["logits"]

  # A logit sees, through the bottom, one or two of its units: with up2 = 2x2
  # transposed convolutions unit u of the bottom paints pixels 4 u .. 4 u + 3,
  # and 3x3 convolutions widen what is seen: two at half, two at full size.
  bottom = through([*([Layer(3)] * 2 + [POOL]) * 2, Layer(3), Layer(3)])
  assert (bottom.size, bottom.stride) == (32, 4)
  unit = 9
  full = (unit, unit + 4)  # rows of the map that the last two convs read
  half = (full[0] // 2, full[1] // 2 + 4)
  low = (half[0] // 2, half[1] // 2)
  want = (bottom.span(low[0])[0], bottom.span(low[1])[1])
  rows, cols = receptive_field.measured(logits, (size, size, 1), (unit, unit))
  assert rows == cols == want


def test_gradient_map_of_a_linear_filter_is_the_filter():
  kernel = np.random.default_rng(0).normal(size=(3, 3, 1, 1))
  kernel = kernel.astype(np.float32)

  def run(x):
    return jax.lax.conv_general_dilated(
      x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )

  got = receptive_field.gradient_map(run, jnp.zeros((1, 6, 7, 1)), (2, 3))
  want = np.zeros((6, 7))
  want[1:4, 2:5] = np.abs(kernel[:, :, 0, 0])
  np.testing.assert_allclose(got, want, atol=1e-6)
