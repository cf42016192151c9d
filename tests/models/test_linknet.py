"""LinkNet of the paper: counts, multiply-adds, additive links."""

import numpy as np
import pytest
from flax import linen as nn

from jaxseg import layers, types
from jaxseg.encoders import ENCODERS
from jaxseg.models import MODELS
from tests import probe, quick

ENCODER = 11_176_512  # ResNet-18 without its classifier
COUNTS = {
  11: 11_535_659,
  12: 11_535_788,
  19: 11_536_691,
  20: 11_536_820,
  21: 11_536_949,
}


def formula(classes):
  """Decoder convolutions have biases, and normalisations but for the last."""

  def block(i, o):
    q = i // 4
    return (i * q + 3 * q) + (9 * q * q + 3 * q) + (q * o + 3 * o)

  blocks = block(512, 256) + block(256, 128) + block(128, 64) + block(64, 64)
  final = (9 * 64 * 32 + 3 * 32) + (9 * 32 * 32 + 3 * 32)
  return ENCODER + blocks + final + 4 * 32 * classes + classes


def test_counts():
  for classes, want in COUNTS.items():
    assert formula(classes) == want
    model = MODELS["linknet"](outputs={"logits": classes})
    assert probe.parameters(model) == want


def test_multiply_adds():
  """640 x 384, 12 classes: 10,141,040,640, counted layer by layer.

  A convolution multiplies its kernel at every output pixel, a transposed one
  at every input pixel.
  """
  total = []

  def count(method, args, kwargs, context):
    y = method(*args, **kwargs)
    module = context.module
    if context.method_name != "__call__":
      return y
    if isinstance(module, layers.Conv | layers.ConvTranspose):
      transposed = isinstance(module, layers.ConvTranspose)
      at = args[0] if transposed else y
      total.append(
        at.shape[1]
        * at.shape[2]
        * module.kernel**2
        * args[0].shape[-1]
        * module.features
      )
    return y

  model = MODELS["linknet"](outputs={"logits": 12})
  with nn.intercept_methods(count):
    out, _ = probe.shapes(model, (384, 640))
  assert out["logits"].shape == (1, 384, 640, 12)
  assert sum(total) == 10_141_040_640


def test_sizes_that_32_does_not_divide():
  """360 rows, of the paper's own table, pass through 384."""
  model = MODELS["linknet"](outputs={"logits": 2})
  assert probe.shapes(model, (360, 640))[0]["logits"].shape == (1, 360, 640, 2)
  unpadded = MODELS["linknet"](
    outputs={"logits": 2}, encoder=ENCODERS["alexnet"]()
  )
  with pytest.raises(types.UserError, match="c2 of 16 x 16"):
    probe.shapes(unpadded)


def test_links_add(random_variables):
  """A shift of the encoder's map is a shift of the block it is added to."""
  model = MODELS["linknet"](
    outputs={"logits": 2},
    encoder=ENCODERS["resnet18"](width=16, blocks=(1, 1, 1, 1)),
    width=16,
  )
  image = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
  variables = random_variables(model, image)

  def run(shift_link, shift_block):
    def shift(method, args, kwargs, context):
      y = method(*args, **kwargs)
      path = context.module.path
      if context.method_name != "__call__":
        return y
      if path == ("encoder",):
        # The link alone: c5 was made from the unshifted c4.
        y = {**y, "c4": y["c4"] + shift_link}
      elif path == ("up4",):
        y = y + shift_block
      return y

    with nn.intercept_methods(shift):
      return model.apply(variables, image, train=False)["logits"]

  shift = np.random.default_rng(1).normal(size=(1, 4, 4, 64))
  shift = shift.astype(np.float32)
  link, block, none = quick.jit(
    lambda s: (run(s, 0.0), run(0.0, s), run(0.0, 0.0))
  )(shift)
  np.testing.assert_allclose(link, block, atol=1e-5)
  assert np.abs(link - none).max() > 1e-2
