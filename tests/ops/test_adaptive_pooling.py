"""Adaptive average pooling against bins written out, and its gradient."""

import jax
import numpy as np
import pytest

from jaxseg.ops import pooling


def by_hand(x, rows, cols):
  """Means of the slices that the definition names."""
  h, w = x.shape[1:3]
  out = np.zeros((x.shape[0], rows, cols, x.shape[3]), np.float32)
  for i in range(rows):
    for j in range(cols):
      top, bottom = (
        int(np.floor(i * h / rows)),
        int(np.ceil((i + 1) * h / rows)),
      )
      left, right = (
        int(np.floor(j * w / cols)),
        int(np.ceil((j + 1) * w / cols)),
      )
      out[:, i, j] = x[:, top:bottom, left:right].mean((1, 2))
  return out


@pytest.mark.parametrize("size", [1, 2, 3, 6, (5, 4)])
@pytest.mark.parametrize("shape", [(6, 12), (7, 10), (13, 8)])
def test_bins(size, shape):
  x = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype(np.float32)
  rows, cols = (size, size) if isinstance(size, int) else size
  got = jax.jit(lambda x: pooling.adaptive_avg_pool(x, size))(x)
  np.testing.assert_allclose(got, by_hand(x, rows, cols), atol=1e-6)


def test_identities():
  """One bin is the mean; as many bins as pixels change nothing."""
  x = np.random.default_rng(0).normal(size=(2, 7, 9, 3)).astype(np.float32)
  got = pooling.adaptive_avg_pool(x, 1)
  np.testing.assert_allclose(got[:, 0, 0], x.mean((1, 2)), atol=1e-6)
  np.testing.assert_array_equal(pooling.adaptive_avg_pool(x, (7, 9)), x)


def test_a_shared_pixel_gets_the_gradient_of_both_bins():
  """Three pixels, two bins: {0, 1} and {1, 2}, each a half."""
  x = np.zeros((1, 3, 1, 1), np.float32)
  grad = jax.grad(
    lambda x: (
      pooling.adaptive_avg_pool(x, (2, 1))[0, :, 0, 0] @ np.array([2.0, 10.0])
    ).sum()
  )(x)
  np.testing.assert_allclose(grad[0, :, 0, 0], [1, 6, 5])


def test_more_bins_than_pixels_are_refused():
  with pytest.raises(ValueError, match="5 x 9 pixels to 6 x 6 bins"):
    pooling.adaptive_avg_pool(np.zeros((1, 5, 9, 1), np.float32), 6)
