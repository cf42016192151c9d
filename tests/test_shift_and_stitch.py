"""Shift-and-stitch equals stride 1 with dilation, and restores index images."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxseg.shift_and_stitch import shift_and_stitch

conv = functools.partial(
  lax.conv_general_dilated, dimension_numbers=("NHWC", "HWIO", "NHWC")
)


def pool(x, stride, dilation=1):
  return lax.reduce_window(
    x,
    -jnp.inf,
    lax.max,
    (1, 2, 2, 1),
    (1, stride, stride, 1),
    "VALID",
    window_dilation=(1, dilation, dilation, 1),
  )


def network(kernels, x, *, dense):
  """conv, then pool and conv for every further kernel, no padding.

  `dense`: stride 1 everywhere, and what follows a pooling is dilated.
  """
  rate = 1
  x = jax.nn.relu(conv(x, kernels[0], (1, 1), "VALID"))
  for kernel in kernels[1:]:
    x = pool(x, 1 if dense else 2, rate)
    rate *= 2 if dense else 1
    x = conv(x, kernel, (1, 1), "VALID", rhs_dilation=(rate, rate))
  return x


@pytest.mark.parametrize("pools", [1, 2])
def test_equals_stride_1_and_dilation(pools):
  """Total stride 2 and 4; the dense form dilates by 2, then 4."""
  rng = np.random.default_rng(0)
  widths = (3, 4, 4, 5)[: pools + 2]
  kernels = [
    rng.normal(size=(3, 3, i, o)).astype(np.float32) / 3
    for i, o in itertools.pairwise(widths)
  ]
  x = rng.normal(size=(2, 27, 32, 3)).astype(np.float32)

  def forward(kernels, image):
    return {"logits": network(kernels, image, dense=False)}

  stitched = shift_and_stitch(forward, 2**pools)
  got, want = jax.jit(
    lambda k, x: (stitched(k, x)["logits"], network(k, x, dense=True))
  )(kernels, x)
  h, w = want.shape[1:3]
  assert (h, w) == {1: (20, 25), 2: (10, 15)}[pools]
  assert np.std(want) > 0.1
  # What lies beyond has seen mirrored pixels.
  assert h <= got.shape[1] < h + 2**pools
  np.testing.assert_allclose(got[:, :h, :w], want, atol=1e-5)


def test_index_image_of_the_lecture():
  """A 3x3 of stride 2, then B 3x3, both identities: every index comes back."""
  index = 5.0 * np.arange(5)[:, None] + np.arange(5) + 1  # 1 .. 25
  image = index[None, :, :, None].astype(np.float32)
  identity = np.zeros((3, 3, 1, 1), np.float32)
  identity[1, 1] = 1
  pads = [(1, 1), (1, 1)]

  def forward(kernel, x):
    x = conv(x, kernel, (2, 2), pads)  # A: every second index
    return {"logits": conv(x, kernel, (1, 1), pads)}  # B

  coarse = forward(identity, image)["logits"][0, :, :, 0]
  np.testing.assert_array_equal(coarse, [[1, 3, 5], [11, 13, 15], [21, 23, 25]])
  run = jax.jit(shift_and_stitch(forward, 2))
  np.testing.assert_array_equal(run(identity, image)["logits"], image)


def test_stride_1_is_the_network_itself():
  image = np.random.default_rng(0).random((2, 6, 7, 3), np.float32)

  def forward(_, x):
    return {"a": x[..., :1] * 2, "b": x[:, 1:-1, 1:-1]}

  got = shift_and_stitch(forward, 1)(None, image)
  for key, want in forward(None, image).items():
    np.testing.assert_array_equal(got[key], want)
