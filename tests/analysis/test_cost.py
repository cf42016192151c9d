"""Multiply-adds: published numbers, formulas, and XLA's own count."""

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn

from jaxseg import encoders, layers, process
from jaxseg.analysis import cost
from jaxseg.models import MODELS, patch
from jaxseg.ops import conv


def image(h, w, c=3):
  return jax.ShapeDtypeStruct((1, h, w, c), jnp.float32)


def macs(name, size, channels=3, classes=3, **fields):
  model = MODELS[name](outputs={"logits": classes}, **fields)
  return cost.count(model, image(*size, channels)).macs


def test_original_unet():
  got = macs("unet", (572, 572), 1, 2, padding="valid", mirror=False)
  assert got == 150_428_424_448


def test_other_published_counts():
  assert macs("unet", (256, 256), 3, 21) == 48_251_273_216
  assert macs("unet", (128, 128), 3, 3, up="tconv3") == 12_715_032_576
  assert macs("segnet", (360, 480), 3, 11) == 106_712_432_640


def test_vgg16():
  """15.47 G; parameters row by row add up, for no layer is used twice."""
  model = encoders.VGGClassifier(encoders.ENCODERS["vgg16"]())
  got = cost.count(model, image(224, 224))
  assert round(got.macs / 1e9, 2) == 15.47
  assert got.parameters == sum(row.parameters for row in got.rows)
  assert got.parameters == 138_357_544
  assert got.state == 0
  first = got.rows[0]
  assert first == cost.Row(
    "encoder/conv1_1", "Conv", (1, 224, 224, 64), 1792, 224 * 224 * 27 * 64
  )


class Pieces(nn.Module):
  """One of everything, 8 channels in, on 16 x 16."""

  @nn.compact
  def __call__(self, x, *, train):
    x = layers.Conv(8, groups=0, name="depthwise")(x)
    x = layers.Conv(16, 1, name="pointwise")(x)
    x = layers.Conv(16, groups=4, stride=2, name="grouped")(x)
    x = layers.ConvTranspose(4, kernel=3, name="up")(x)
    x = nn.BatchNorm(not train, name="norm")(x)
    x = nn.Conv(4, (1, 3), name="linen")(x)
    x = jnp.einsum("bhwc,yh->bywc", x, jnp.ones((5, 16)))
    return nn.Dense(10, name="dense")(jnp.mean(x, (1, 2)))


def test_every_kind_of_row():
  got = cost.count(Pieces(), image(16, 16, 8))
  pixels = 16 * 16
  want = {
    "depthwise": pixels * 9 * 8,
    "pointwise": pixels * 8 * 16,
    "grouped": 8 * 8 * 9 * 4 * 16,
    "up": 8 * 8 * 9 * 16 * 4,  # one 3x3 stamp per input pixel
    "linen": pixels * 3 * 4 * 4,
    cost.OTHER: 5 * 16 * 4 * 16,
    "dense": 4 * 10,
  }
  assert {row.path: row.macs for row in got.rows} == want
  assert got.macs == sum(want.values())
  assert got.state == 8  # mean and variance of four channels
  assert got.activations == sum(
    (
      pixels * 8 + pixels * 16 + 64 * 16 + pixels * 4 + pixels * 4,
      5 * 16 * 4 + 10,
    )
  )


def test_separable_weights():
  """3x3 256 -> 256: 67,840 weights against 589,824."""

  class Separable(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
      x = layers.Conv(256, groups=0, use_bias=False, name="depthwise")(x)
      return layers.Conv(256, 1, use_bias=False, name="pointwise")(x)

  assert cost.count(Separable(), image(8, 8, 256)).parameters == 67_840
  dense = layers.Conv(256, use_bias=False)
  shapes = jax.eval_shape(
    lambda x: dense.init(jax.random.key(0), x), image(8, 8, 256)
  )
  assert shapes["params"]["kernel"].size == 589_824


def test_loops_branches_and_dilated_inputs_of_a_function():
  a, b = jnp.ones((4, 5)), jnp.ones((5, 5))

  def loop(a):
    return jax.lax.scan(lambda x, _: (x @ b, None), a, None, length=7)[0]

  assert cost.function_macs(loop, a) == 7 * 4 * 5 * 5
  assert cost.function_macs(jax.jit(jax.checkpoint(loop)), a) == 700

  def branch(a):
    return jax.lax.cond(a[0, 0] > 0, lambda x: x @ b @ b, lambda x: x @ b, a)

  assert cost.function_macs(branch, a) == 200
  x, kernel = jnp.ones((1, 6, 6, 3)), jnp.ones((4, 4, 3, 2))

  def up(x):
    return jax.lax.conv_general_dilated(
      x,
      kernel,
      (1, 1),
      [(3, 3), (3, 3)],
      lhs_dilation=(2, 2),
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )

  assert cost.function_macs(up, x) == 36 * 3 * 16 * 2


def test_xla_counts_the_same_operations():
  """Its two operations per multiply-add of a convolution without padding."""
  x, kernel = jnp.ones((2, 40, 50, 16)), jnp.ones((3, 3, 16, 24))

  def run(x, kernel):
    return conv.conv2d(x, kernel, stride=2, dilation=2)

  with process.convolutions("xla"):  # XLA counts none of foreign functions
    compiled = jax.jit(run).lower(x, kernel).compile()
  flops = compiled.cost_analysis()["flops"]
  got = cost.function_macs(run, x, kernel)
  assert got == 2 * 18 * 23 * 9 * 16 * 24
  assert flops == pytest.approx(2 * got, rel=0.01)


def test_full_resolution_costs_more_than_an_encoder_and_decoder():
  """22 layers see 45 pixels, a U-Net of depth 2 sees 44."""
  full = MODELS["fullres"](outputs={"logits": 5}, width=16, depth=22)
  got = cost.count(full, image(96, 96))
  pixels = 96 * 96
  assert got.macs == pixels * 9 * (3 * 16 + 21 * 16 * 16) + pixels * 16 * 5
  assert got.activations == pixels * (22 * 16 + 5)
  small = MODELS["unet"](outputs={"logits": 5}, width=16, depth=2)
  less = cost.count(small, image(96, 96))
  assert less.macs < 0.55 * got.macs
  assert less.activations < got.activations / 2


def test_dense_evaluation_shares_the_work_of_patches():
  """w = 17: over ten times fewer multiply-adds than patch by patch."""
  dense = patch.PatchClassifier({"logits": 2}, patch=17)
  single = dense.clone(border="none")
  whole = cost.count(dense, image(32, 32)).macs
  one = cost.count(single, image(17, 17)).macs
  assert 32 * 32 * one > 10 * whole
