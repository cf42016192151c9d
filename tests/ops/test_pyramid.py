"""Adaptive and pyramid pooling by brute force; the Laplacian pyramid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.ops import pyramid


@pytest.mark.parametrize(
  ("size", "bins"), [((13, 10), 4), ((7, 12), (3, 5)), ((2, 3), 4), ((5, 5), 1)]
)
def test_adaptive_max_pool_by_brute_force(size, bins):
  x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
  got = jax.jit(pyramid.adaptive_max_pool, static_argnums=1)(x, bins)
  rows, cols = (bins, bins) if isinstance(bins, int) else bins
  assert got.shape == (2, rows, cols, 3)
  for i, j in np.ndindex(rows, cols):
    top, bottom = i * size[0] // rows, -(-(i + 1) * size[0] // rows)
    left, right = j * size[1] // cols, -(-(j + 1) * size[1] // cols)
    np.testing.assert_array_equal(
      got[:, i, j], x[:, top:bottom, left:right].max((1, 2))
    )


def test_ties_go_to_the_first_maximum():
  grad = jax.jit(jax.grad(lambda x: jnp.sum(pyramid.adaptive_max_pool(x, 1))))(
    jnp.ones((1, 3, 3, 1))
  )
  want = np.zeros((3, 3))
  want[0, 0] = 1
  np.testing.assert_array_equal(grad[0, :, :, 0], want)


def test_spatial_pyramid_has_one_length_for_all_images():
  rng = np.random.default_rng(0)
  run = jax.jit(pyramid.spatial_pyramid_pool, static_argnums=1)
  for size in ((13, 13), (10, 10)):
    x = rng.normal(size=(2, *size, 5)).astype(np.float32)
    y = np.asarray(run(x, (4, 2, 1)))
    assert y.shape == (2, 21 * 5)  # 16 + 4 + 1 bins
    top = x.max((1, 2))
    np.testing.assert_array_equal(y[:, -5:], top)
    np.testing.assert_array_equal(y[:, -25:-5].reshape(2, 4, 5).max(1), top)
  fine = pyramid.spatial_pyramid_pool
  assert jax.eval_shape(lambda x: fine(x, (6, 3, 2, 1)), x).shape == (2, 250)


def test_halving_keeps_centres():
  """Pixel i of the half has its centre between 2 i and 2 i + 1."""
  ramp = np.broadcast_to(np.arange(12.0), (1, 8, 12))[..., None]
  halve = jax.jit(pyramid.halve)
  half = halve(jnp.asarray(ramp, jnp.float32))
  assert half.shape == (1, 4, 6, 1)
  np.testing.assert_allclose(
    half[0, :, 1:-1, 0], np.broadcast_to(2 * np.arange(1, 5) + 0.5, (4, 4))
  )
  odd = halve(jnp.ones((1, 5, 7, 2)))
  assert odd.shape == (1, 3, 4, 2)
  np.testing.assert_allclose(odd, 1, 1e-6)


def test_laplacian_pyramid_gives_the_image_back():
  x = np.random.default_rng(0).random((1, 13, 18, 2), np.float32)

  @jax.jit
  def there_and_back(x):
    bands = pyramid.laplacian_pyramid(x, 3)
    y = bands[-1]
    for band in reversed(bands[:-1]):
      y = band + pyramid.resize.resize_bilinear(y, band.shape[1:3])
    return bands, y

  bands, y = there_and_back(x)
  assert [b.shape[1:3] for b in bands] == [(13, 18), (7, 9), (4, 5)]
  np.testing.assert_allclose(y, x, atol=1e-6)
  # Bands hold no constant, the last level holds all of it.
  flat, _ = there_and_back(jnp.full((1, 8, 8, 1), 3.0))
  for band in flat[:-1]:
    np.testing.assert_allclose(band, 0, atol=1e-6)
  np.testing.assert_allclose(flat[-1], 3, rtol=1e-6)
