"""Losses of normals: values by hand, identities, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import losses


def at(*degrees):
  """Unit vectors that far from the viewer's, (1, 1, n, 3)."""
  a = np.deg2rad(degrees)
  v = np.stack([np.sin(a), np.zeros_like(a), -np.cos(a)], -1)
  return v.astype(np.float32)[None, None]


def value(name, pred, true):
  return float(jax.jit(losses.NORMAL_LOSSES[name])(pred, true).compute())


TRUE = at(0, 0, 0)
PRED = 7 * at(0, 60, 90)  # the length of a prediction changes nothing


@pytest.mark.parametrize(
  ("name", "want"),
  [
    ("cosine", (0 + 0.5 + 1) / 3),
    ("dot", -(1 + 0.5 + 0) / 3),
    ("angular", (0 + np.pi / 3 + np.pi / 2) / 3),
  ],
)
def test_values(name, want):
  assert value(name, PRED, TRUE) == pytest.approx(want, rel=1e-6)


def test_cosine_is_one_more_than_dot_with_its_digits_kept():
  rng = np.random.default_rng(1)
  pred = rng.normal(size=(2, 5, 6, 3)).astype(np.float32)
  true = np.asarray(pred / np.linalg.norm(pred, axis=-1, keepdims=True))
  turned = np.roll(true, 1, axis=2)
  got = value("cosine", pred, turned)
  assert got == pytest.approx(1 + value("dot", pred, turned), rel=1e-5)
  small = value("cosine", at(0.01), at(0))  # 1 - dot would round to 0
  assert small == pytest.approx(1 - np.cos(np.deg2rad(0.01)), rel=1e-2)


def test_pixels_without_truth_do_not_count():
  true = np.concatenate([TRUE, np.zeros_like(TRUE), np.full_like(TRUE, np.nan)])
  pred = np.concatenate([PRED, PRED, PRED])
  for name in losses.NORMAL_LOSSES:
    mean = losses.NORMAL_LOSSES[name](pred, true)
    assert float(mean.count) == 3
    assert float(mean.compute()) == pytest.approx(value(name, PRED, TRUE))


@pytest.mark.parametrize("name", sorted(losses.NORMAL_LOSSES))
def test_gradients_are_finite_at_the_truth_and_opposite(name):
  def loss(p):
    return losses.NORMAL_LOSSES[name](p, TRUE).compute()

  for pred in (TRUE, -TRUE, 0 * TRUE):
    np.testing.assert_allclose(jax.grad(loss)(pred), 0, atol=1e-6)


def test_the_angle_pulls_with_the_same_force_near_and_far():
  def slope(name, degrees):
    p = jnp.asarray(at(degrees))
    g = jax.grad(lambda p: losses.NORMAL_LOSSES[name](p, at(0)).compute())(p)
    return float(jnp.linalg.norm(g))

  assert slope("angular", 0.1) == pytest.approx(1, rel=1e-3)
  assert slope("angular", 80) == pytest.approx(1, rel=1e-3)
  assert slope("cosine", 0.1) < 0.002  # sin of the angle
