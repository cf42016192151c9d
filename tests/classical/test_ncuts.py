"""Normalized cuts: all bipartitions, the Laplacian's identities, two blobs."""

import itertools

import numpy as np
import pytest
from scipy import linalg, sparse

from jaxseg import types
from jaxseg.classical import ncuts


def graph(seed, n=9):
  """Weights of a complete graph with two loose halves."""
  rng = np.random.default_rng(seed)
  w = rng.random((n, n)) ** 3
  side = rng.permutation(n) < n // 2
  w = np.where(side[:, None] == side, w, 0.2 * w)
  return sparse.csr_matrix(w + w.T)


@pytest.mark.parametrize("seed", range(5))
def test_between_lambda_and_the_best_of_all_cuts(seed):
  w = graph(seed)
  masks = (
    np.array([True, *rest])
    for rest in itertools.product((False, True), repeat=8)
  )
  costs = [ncuts.ncut(w, m) for m in masks if not m.all()]
  assert len(costs) == 255
  inside, cost = ncuts.two_way(w)
  assert cost == pytest.approx(ncuts.ncut(w, inside))
  value, vector = ncuts.eigenvectors(w, 2)
  # The relaxation is below every cut, no cut is below the best.
  assert value[1] <= min(costs) + 1e-9
  assert min(costs) - 1e-9 <= cost <= 1.05 * min(costs)
  # Of all thresholds it is the best.
  y = vector[:, 1]
  sweep = [ncuts.ncut(w, y <= t) for t in np.sort(y)[:-1]]
  assert cost == pytest.approx(min(sweep))


@pytest.mark.parametrize("n", [9, 90])
def test_eigenvectors_are_those_of_the_pair_of_matrices(n):
  """Dense below 64 vertices, Lanczos above."""
  w = graph(0, n)
  d = np.diag(np.asarray(w.sum(1)).ravel())
  value, y = ncuts.eigenvectors(w, 4)
  want = linalg.eigh(d - w.toarray(), d, eigvals_only=True)[:4]
  np.testing.assert_allclose(value, want, atol=1e-9)
  np.testing.assert_allclose((d - w) @ y, d @ y * value, atol=1e-8)
  np.testing.assert_allclose(y.T @ d @ y, np.eye(4), atol=1e-9)
  assert np.ptp(y[:, 0]) < 1e-9  # the first is constant
  # y^T (D - W) y = 1/2 sum w_ij (y_i - y_j)^2.
  x = y[:, 1]
  energy = 0.5 * (w.toarray() * (x[:, None] - x) ** 2).sum()
  assert energy == pytest.approx(value[1])


def test_affinity_is_the_formula():
  image = np.random.default_rng(0).random((4, 5, 2)).astype(np.float32)
  w = ncuts.affinity(image, radius=2.3, colour=0.5, place=3).toarray()
  place = np.stack(np.mgrid[:4, :5], -1).reshape(-1, 2)
  flat = image.reshape(-1, 2).astype(float)
  far = ((place[:, None] - place) ** 2).sum(-1)
  colour = ((flat[:, None] - flat) ** 2).sum(-1)
  want = np.where(far <= 2.3**2, np.exp(-colour / 0.25 - far / 9), 0)
  np.testing.assert_allclose(w, want, atol=1e-12)


def test_three_blobs_by_both_roads():
  truth = np.zeros((9, 16), int)
  truth[:, 6:11], truth[:, 11:] = 1, 2
  noise = np.random.default_rng(0).normal(0, 0.02, (9, 16, 1))
  w = ncuts.affinity(truth[..., None] / 2 + noise, radius=2, colour=0.15)
  for labels in (ncuts.recursive(w, 0.1), ncuts.k_way(w, 3)):
    pairs = set(zip(labels.tolist(), truth.ravel().tolist()))
    assert len(pairs) == 3
    assert len({a for a, _ in pairs}) == 3
  assert ncuts.recursive(w, 0.0).max() == 0
  assert ncuts.recursive(w, 2.0, smallest=1).max() == 143


def test_parts_that_do_not_touch_cost_nothing():
  w = sparse.block_diag([np.ones((3, 3)), np.ones((2, 2))], "csr")
  inside, cost = ncuts.two_way(w)
  np.testing.assert_array_equal(inside, [1, 1, 1, 0, 0])
  assert cost == 0
  np.testing.assert_array_equal(ncuts.recursive(w, 0.5), [0, 0, 0, 1, 1])


def test_what_it_cannot_do():
  with pytest.raises(types.UserError, match="finite"):
    ncuts.affinity(np.full((3, 3, 1), np.nan))
  with pytest.raises(types.UserError, match="expected one"):
    ncuts.affinity(np.zeros((2, 3, 3, 1)))
  with pytest.raises(types.UserError, match="colour = 0"):
    ncuts.affinity(np.zeros((3, 3, 1)), colour=0)
  one = ncuts.affinity(np.zeros((1, 1, 1)))
  with pytest.raises(types.UserError, match="1 vertices"):
    ncuts.two_way(one)
  with pytest.raises(types.UserError, match="2 regions of 1"):
    ncuts.k_way(one, 2)
