"""Local normalisations against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.ops import contrast


def test_yuv():
  grey = contrast.rgb_to_yuv(jnp.full((1, 1, 1, 3), 0.7))
  np.testing.assert_allclose(grey[0, 0, 0], [0.7, 0, 0], atol=1e-4)
  pure = contrast.rgb_to_yuv(jnp.eye(3)[None, None])[0, 0]
  # U = 0.492 (B - Y), V = 0.877 (R - Y), both to the digits of BT.601.
  y = np.array([0.299, 0.587, 0.114])
  np.testing.assert_allclose(pure[:, 0], y, rtol=1e-6)
  np.testing.assert_allclose(pure[:, 1], 0.492 * (np.eye(3)[2] - y), atol=1e-3)
  np.testing.assert_allclose(pure[:, 2], 0.877 * (np.eye(3)[0] - y), atol=1e-3)


def test_local_response_norm_by_hand():
  x = np.random.default_rng(0).normal(size=(1, 2, 3, 7)).astype(np.float32)
  got = jax.jit(contrast.local_response_norm)(100 * x)
  for k in range(7):
    near = 100 * x[..., max(k - 2, 0) : k + 3]
    scale = (1 + 1e-4 / 5 * (near**2).sum(-1)) ** 0.75
    np.testing.assert_allclose(got[..., k], 100 * x[..., k] / scale, rtol=1e-5)
  assert np.abs(got - 100 * x).max() > 1


def test_local_contrast_norm_forgets_offset_and_gain():
  x = np.random.default_rng(0).random((1, 20, 24, 2), np.float32)
  run = jax.jit(lambda x: contrast.local_contrast_norm(x, 5, 1e-6))
  got, other = np.asarray(run(x)), run(3 * x - 2)
  np.testing.assert_allclose(other, got, atol=2e-3)
  assert abs(got.mean()) < 0.1
  assert 0.8 < got.std() < 1.2
  np.testing.assert_allclose(run(jnp.full_like(x, 0.5)), 0, atol=1e-3)


def test_blur_of_a_point_is_the_filter():
  x = np.zeros((2, 9, 8, 2), np.float32)
  x[1, 4, 3, 1] = 1
  weights = np.array([1.0, 2, 4, 3, 5], np.float32)  # not symmetric
  got = np.asarray(jax.jit(lambda x: contrast.blur(x, weights.tolist()))(x))
  want = np.zeros_like(x)
  want[1, 2:7, 1:6, 1] = np.outer(weights, weights)[::-1, ::-1]
  np.testing.assert_allclose(got, want, atol=1e-5)
  # The border is repeated: a constant stays one.
  flat = contrast.blur(jnp.ones((1, 3, 4, 1)), (0.25, 0.5, 0.25))
  np.testing.assert_allclose(flat, 1, rtol=1e-6)


def test_gaussian_by_definition():
  weights = np.array(contrast.gaussian(3, 1.5))
  np.testing.assert_allclose(weights.sum(), 1, rtol=1e-6)
  np.testing.assert_allclose(weights[3] / weights[0], np.exp(2.0), rtol=1e-6)
  np.testing.assert_array_equal(weights, weights[::-1])
