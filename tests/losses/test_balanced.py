"""Class-balanced cross-entropy: by hand, and by its definition."""

import jax
import numpy as np
import pytest

from jaxseg import losses


def value(logits, target, **options):
  return jax.jit(lambda *a: losses.balanced_cross_entropy(*a, **options))(
    np.asarray(logits, np.float32), np.asarray(target)
  )


def test_golden_by_hand():
  """p = 3/4 on the line and 1/4 beside it, at 1 of 4 pixels: beta = 3/4.

  Positives cost 3/4 log 4/3, the three negatives 1/4 log 4/3 each: together
  3/2 log 4/3 = 0.431523, whatever the number of negatives.
  """
  x = np.log(3) * np.array([[[1, -1], [-1, -1]]])
  target = [[[1, 0], [0, 0]]]
  got = value(x, target)
  assert float(got.total) == pytest.approx(0.431523, abs=1e-6)
  assert float(got.count) == 4
  got = value(x, target, reduction="sum")
  assert float(got.compute()) == pytest.approx(0.431523, abs=1e-6)
  # Of three pixels that are known one is on the line: 2 * 2/3 log 4/3.
  got = value(x, [[[1, 0], [255, 0]]])
  assert float(got.total) == pytest.approx(4 / 3 * np.log(4 / 3), abs=1e-6)
  assert float(got.count) == 3


def direct(x, t):
  """Equation 2 of the paper, in float64, for the pixels of one image."""
  x, t = x[t != 255].astype(np.float64), t[t != 255]
  p = 1 / (1 + np.exp(-x))
  beta = (t == 0).sum() / max(len(t), 1)
  on, off = np.log(p[t == 1]).sum(), np.log(1 - p[t == 0]).sum()
  return -beta * on - (1 - beta) * off, len(t)


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_definition(share):
  """Every image has a beta of its own; sums and counts add up."""
  rng = np.random.default_rng(0)
  x = rng.normal(0, 3, (3, 17, 23)).astype(np.float32)
  t = (rng.random(x.shape) < share * np.array([1, 0.3, 1.9])[:, None, None]) * 1
  t[rng.random(x.shape) < 0.2] = 255
  want = np.array([direct(*pair) for pair in zip(x, t)]).sum(0)
  got = value(x, t)
  np.testing.assert_allclose([got.total, got.count], want, rtol=2e-6)
  got = value(x, t, reduction="sum")
  np.testing.assert_allclose(got.compute(), want[0] / 3, rtol=2e-6)
  # Not the same as one beta for all.
  together = direct(x.reshape(-1), t.reshape(-1))[0]
  assert abs(together / want[0] - 1) > 0.01


def test_both_kinds_pull_alike():
  """At p = 1/2 everywhere the gradients of an image add up to nothing."""
  t = np.zeros((2, 8, 9), int)
  t[0, 3], t[1, 2, 5] = 1, 1
  grad = jax.grad(
    lambda x: losses.balanced_cross_entropy(x, t, reduction="sum").total
  )(np.zeros(t.shape, np.float32))
  np.testing.assert_allclose(grad.sum((1, 2)), 0, atol=1e-5)
  np.testing.assert_allclose(grad[0, 3], -0.5 * 63 / 72, rtol=1e-6)
  np.testing.assert_allclose(grad[1, 0], 0.5 / 72, rtol=1e-6)


def test_an_image_of_one_kind_costs_nothing():
  x = np.random.default_rng(0).normal(size=(2, 5, 6))
  t = np.stack([np.zeros((5, 6), int), np.ones((5, 6), int)])
  got = value(x, t)
  assert float(got.total) == 0
  assert float(got.count) == 60


def test_mistakes():
  with pytest.raises(ValueError, match="reduction='sums'"):
    losses.balanced_cross_entropy(
      np.zeros((1, 2)), np.zeros((1, 2)), reduction="sums"
    )
  with pytest.raises(ValueError, match="differ in shape"):
    losses.balanced_cross_entropy(np.zeros((1, 2, 1)), np.zeros((1, 2)))
