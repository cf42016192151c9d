"""Depth losses by their definitions, in NumPy loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import losses
from tests import quick


def eigen_loops(pred, true, lam=0.5):
  """Mean over the images that have a pixel, in float64, pixel by pixel."""
  values = []
  for p, t in zip(pred.astype(np.float64), true.astype(np.float64)):
    d = {
      at: np.log(p[at]) - np.log(t[at]) for at in np.ndindex(t.shape) if t[at]
    }
    if not d:
      continue
    n, steps = len(d), 0.0
    for (i, j), value in d.items():
      for other in ((i + 1, j), (i, j + 1)):
        if other in d:
          steps += (d[other] - value) ** 2
    every = np.array(list(d.values()))
    values.append((every**2).mean() - lam * every.mean() ** 2 + steps / n)
  return np.mean(values)


def maps(seed=0):
  rng = np.random.default_rng(seed)
  true = rng.uniform(1, 9, (3, 5, 6)).astype(np.float32)
  true[:2][rng.random((2, 5, 6)) < 0.3] = 0
  true[2] = 0
  return rng.uniform(1, 9, (3, 5, 6)).astype(np.float32), true


def value(loss, *args):
  return float(quick.jit(lambda *a: loss(*a).compute())(*args))


def test_eigen_by_loops():
  pred, true = maps()
  got = value(losses.DEPTH_LOSSES["eigen"], pred, true)
  assert got == pytest.approx(eigen_loops(pred, true), rel=1e-5)
  # The four numbers of silog's golden, in a row: no column has a neighbour.
  true, pred = np.float32([[[1, 2, 4, 8]]]), np.float32([[[1.1, 1.5, 5, 8]]])
  d = np.log(pred / true)[0, 0]
  want = 0.035380 + (np.diff(d) ** 2).sum() / 4
  got = value(losses.DEPTH_LOSSES["eigen"], pred, true)
  assert got == pytest.approx(want, rel=2e-4)


def test_root_of_the_scale_invariant_loss():
  """Golden of AdaBins' form: 10 sqrt(var + .15 mean^2), sample variance."""
  true, pred = np.float32([[[1, 2, 4, 8]]]), np.float32([[[1.1, 1.5, 5, 8]]])
  got = value(losses.DEPTH_LOSSES["silog_root"], pred, true)
  assert got == pytest.approx(2.171236, abs=2e-6)
  # A factor c on all depths: 10 sqrt(.15) |log c|.
  got = value(losses.DEPTH_LOSSES["silog_root"], 3 * true, true)
  assert got == pytest.approx(10 * 0.15**0.5 * np.log(3), rel=1e-4)


def test_a_scale_costs_half_its_square_and_no_gradient():
  """Shifting a zero-mean log residual by c adds exactly c^2 / 2."""
  rng = np.random.default_rng(1)
  true = rng.uniform(1, 9, (1, 6, 7)).astype(np.float32)
  d = rng.normal(size=true.shape) * 0.2
  d -= d.mean()
  a = value(losses.DEPTH_LOSSES["eigen"], np.float32(true * np.exp(d)), true)
  shifted = np.float32(true * np.exp(d + 0.3))
  b = value(losses.DEPTH_LOSSES["eigen"], shifted, true)
  assert b - a == pytest.approx(0.3**2 / 2, rel=1e-4)


def test_ordinal_is_k_binary_cross_entropies():
  rng = np.random.default_rng(2)
  logits = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
  label = rng.integers(0, 5, (2, 3, 4))
  beyond = (np.arange(5) < label[..., None]).astype(np.int32)
  binary = value(losses.binary_cross_entropy, logits, beyond)  # mean of all
  got = value(losses.ordinal, logits, label)
  assert got == pytest.approx(5 * binary, rel=1e-5)
  # And by the paper's formula.
  p = 1 / (1 + np.exp(-logits.astype(np.float64)))
  terms = np.where(beyond, np.log(p), np.log(1 - p))
  assert got == pytest.approx(-terms.sum(-1).mean(), rel=1e-5)


def test_ordinal_knows_how_far_off_a_bin_is():
  logits = 4.0 * np.where(np.arange(8) < 3, 1, -1).astype(np.float32)
  costs = [
    value(losses.ordinal, logits[None, None, None], np.full((1, 1, 1), k))
    for k in range(8)
  ]
  assert np.argmin(costs) == 3
  assert (np.diff(costs[:4]) < 0).all()
  assert (np.diff(costs[3:]) > 0).all()


def chamfer_tables(centres, depth):
  """By the table of all squared distances."""
  values = []
  for c, d in zip(centres.astype(np.float64), depth.astype(np.float64)):
    d = d[d > 0]
    if len(d):
      table = (c[:, None] - d) ** 2
      values.append(table.min(0).mean() + table.min(1).mean())
  return np.mean(values)


def test_chamfer_by_tables():
  rng = np.random.default_rng(3)
  centres = rng.uniform(0.5, 12, (3, 7)).astype(np.float32)  # in any order
  _, depth = maps(4)
  got = value(losses.chamfer, centres, depth)
  assert got == pytest.approx(chamfer_tables(centres, depth), rel=1e-5)
  depth[0] = 0
  depth[0, 0, 0] = 3  # one pixel
  got = value(losses.chamfer, centres, depth)
  assert got == pytest.approx(chamfer_tables(centres, depth), rel=1e-5)


def test_chamfer_of_equal_sets_is_zero_and_it_is_symmetric():
  rng = np.random.default_rng(5)
  a, b = rng.permuted(rng.uniform(1, 9, (2, 3, 12)).astype(np.float32), axis=2)
  same = rng.permuted(a, axis=1).reshape(3, 3, 4)
  assert value(losses.chamfer, a, same) == 0
  there = value(losses.chamfer, a, b.reshape(3, 3, 4))
  back = value(losses.chamfer, b, a.reshape(3, 3, 4))
  assert there == pytest.approx(back, rel=1e-6)
  assert there > 0


def test_chamfer_pulls_centres_to_depths_and_ignores_the_rest():
  depth = np.float32([[[3, 3], [0, np.nan]], [[5, 5], [5, 5]]])
  centres = np.float32([[2, 8], [4, 6]])
  mask = np.array([True, False])

  def loss(c, d):
    return losses.chamfer(c, d, mask=mask).compute()

  step = quick.jit(jax.value_and_grad(loss))
  got, grad = step(centres, depth)
  # Depth 3 to 2: 1. Centres 2 and 8 to 3: (1 + 25) / 2.
  assert got == pytest.approx(1 + 13)
  # By hand: 2 (2 - 3) from the depths, 2 (2 - 3) / 2 and 2 (8 - 3) / 2.
  np.testing.assert_allclose(grad, [[-3, 5], [0, 0]], atol=1e-5)
  other = depth.copy()
  other[1], other[0, 1] = np.nan, [-1, np.inf]
  again, same = step(centres, other)
  assert again == got
  np.testing.assert_array_equal(grad, same)
  nothing, zero = step(centres, 0 * np.nan_to_num(depth))
  assert nothing == 0
  assert not np.any(zero)
  assert jnp.isfinite(zero).all()
