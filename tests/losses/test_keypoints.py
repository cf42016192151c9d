"""Losses of keypoints against loops; what is not seen does not exist."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import losses
from jaxseg.ops import heatmaps

B, H, W, K = 3, 5, 6, 4
RNG = np.random.default_rng(0)
WEIGHT = np.array([[1, 0, 2, 1], [0, 0, 0.5, 1], [1, 1, 1, 1]], np.float32)
MASK = np.array([True, True, False])
COUNTS = (WEIGHT > 0) & MASK[:, None]
MAPS = RNG.normal(size=(B, H, W, K)).astype(np.float32)
TARGET = RNG.random((B, H, W, K)).astype(np.float32)
CELL = np.stack([RNG.integers(0, W, (B, K)), RNG.integers(0, H, (B, K))], -1)
XY = RNG.normal(0.5, 0.2, (B, K, 2)).astype(np.float32)
TRUE = RNG.random((B, K, 2)).astype(np.float32)


def mse(b, k):
  return ((MAPS[b, ..., k].astype(float) - TARGET[b, ..., k]) ** 2).mean()


def softmax(b, k):
  z = MAPS[b, ..., k].astype(float)
  x, y = CELL[b, k]
  return math.log(np.exp(z).sum()) - z[y, x]


def l2(b, k):
  return ((XY[b, k].astype(float) - TRUE[b, k]) ** 2).sum()


def smooth_l1(b, k, beta=0.05):
  size = np.abs(XY[b, k].astype(float) - TRUE[b, k])
  return sum(e * e / (2 * beta) if e < beta else e - beta / 2 for e in size)


CASES = {
  "heatmap_mse": (losses.heatmap_mse, MAPS, TARGET, mse),
  "softmax": (losses.position_cross_entropy, MAPS, CELL, softmax),
  "l2": (losses.coordinate_l2, XY, TRUE, l2),
  "smooth_l1": (losses.coordinate_smooth_l1, XY, TRUE, smooth_l1),
}


@pytest.mark.parametrize("name", CASES)
def test_values_against_a_loop(name):
  loss, pred, target, one = CASES[name]
  mean = jax.jit(lambda p: loss(p, target, weight=WEIGHT, mask=MASK))(pred)
  want = sum(WEIGHT[b, k] * one(b, k) for b, k in np.argwhere(COUNTS))
  np.testing.assert_allclose(mean.total, want, rtol=1e-5)
  assert mean.count == WEIGHT[COUNTS].sum() == 5.5


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_seen_has_no_value_and_no_gradient(name):
  loss, pred, target, _ = CASES[name]
  step = jax.jit(
    jax.value_and_grad(
      lambda p, t: loss(p, t, weight=WEIGHT, mask=MASK).compute()
    )
  )
  value, grad = step(pred, target)
  out = ~COUNTS[:, None, None, :] if pred.ndim == 4 else ~COUNTS[..., None]
  out = np.broadcast_to(out, pred.shape)
  assert (np.asarray(grad)[out] == 0).all()
  assert (np.asarray(grad)[~out] != 0).any()
  for garbage in (1e5, np.inf, np.nan):
    spoilt = np.where(out, garbage, pred).astype(np.float32)
    other = target
    if name != "softmax":
      other = np.where(out, garbage, target).astype(np.float32)
    again, same = step(spoilt, other)
    assert again == value  # to the bit
    np.testing.assert_array_equal(same, grad)


@pytest.mark.parametrize("name", CASES)
def test_nothing_seen_is_zero_not_nan(name):
  loss, pred, target, _ = CASES[name]
  none = np.zeros_like(WEIGHT)
  step = jax.value_and_grad(lambda p: loss(p, target, weight=none).compute())
  value, grad = step(np.full_like(pred, np.nan))
  assert value == 0
  assert not np.any(np.asarray(grad))


def test_softmax_is_the_cross_entropy_with_the_one_hot_map():
  """The index in place of the map of ops.heatmaps: the same number."""
  points = np.concatenate([CELL + 0.3, WEIGHT[..., None]], -1)
  hot, weight = heatmaps.one_hot(jnp.asarray(points), (H, W), stride=1.0)
  cell, _ = heatmaps.cells(jnp.asarray(points), (H, W), stride=1.0)
  np.testing.assert_array_equal(weight, WEIGHT > 0)
  log_p = jax.nn.log_softmax(MAPS.reshape(B, -1, K), 1).reshape(MAPS.shape)
  got = losses.position_cross_entropy(MAPS, cell, weight=weight)
  np.testing.assert_allclose(got.total, -(hot * log_p).sum(), rtol=1e-5)


def test_shapes_are_not_broadcast():
  with pytest.raises(ValueError, match="differ in shape"):
    losses.heatmap_mse(MAPS, TARGET[:1], weight=WEIGHT)
  with pytest.raises(ValueError, match="differ in shape"):
    losses.coordinate_l2(XY, TRUE[:1], weight=WEIGHT)
