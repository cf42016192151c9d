"""Unit vectors and angles: values, and gradients where a naive one is NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.ops import vectors


@pytest.mark.parametrize("degrees", [0, 1e-4, 0.01, 30, 90, 150, 179.99, 180])
def test_angle_is_exact_near_the_poles(degrees):
  """arccos of the dot in float32 would say 0 for 0.01 degrees."""
  a = np.deg2rad(degrees)
  v = np.float32([np.cos(a), np.sin(a), 0])
  got = np.rad2deg(jax.jit(vectors.angle)(v, np.float32([3, 0, 0])))
  assert got == pytest.approx(degrees, rel=1e-6, abs=1e-5)


def test_angle_against_arccos_in_float64():
  rng = np.random.default_rng(0)
  a, b = rng.normal(size=(2, 500, 3))
  cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1)
  want = np.arccos(cosine / np.linalg.norm(b, axis=-1))
  got = vectors.angle(jnp.float32(a), jnp.float32(b))
  np.testing.assert_allclose(got, want, atol=1e-6)


def test_gradients_are_finite_where_the_direction_is_lost():
  z = jnp.array([0.0, 0.0, 1.0])
  for v in (z, -z, 0 * z):
    np.testing.assert_array_equal(jax.grad(vectors.angle)(v, z), 0)
    assert np.isfinite(jax.jacobian(vectors.unit)(v)).all()
  np.testing.assert_array_equal(jax.grad(vectors.norm)(0 * z), 0)
  # Beside the pole the slope of the angle is one radian per radian.
  near = jnp.array([1e-3, 0.0, 1.0])
  slope = jax.grad(vectors.angle)(near, z)
  np.testing.assert_allclose(slope[0], 1, atol=1e-5)


def test_unit_keeps_zero_and_shows_nan():
  v = jnp.array([[0.0, 0, 0], [0, -3, 4], [np.nan, 0, 0]])
  got = jax.jit(vectors.unit)(v)
  np.testing.assert_allclose(got[:2], [[0, 0, 0], [0, -0.6, 0.8]], atol=1e-7)
  assert np.isnan(got[2]).any()
  assert vectors.angle(v[0], v[1]) == pytest.approx(np.pi / 2)
