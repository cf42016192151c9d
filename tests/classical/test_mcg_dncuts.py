"""Eigenvectors from fewer pixels: the equations on a dense matrix, and how far
they are from those of the whole graph of a photograph."""

import numpy as np
import pytest
from scipy import linalg, ndimage, sparse
from skimage import data

from jaxseg.classical.gpb import spectral
from jaxseg.classical.mcg import dncuts
from jaxseg.types import UserError


@pytest.fixture(scope="module")
def crop():
  """Strength of edges around an astronaut's face, 1 on the strongest."""
  grey = data.astronaut()[20:212:3, 120:348:3].mean(-1)
  slope = ndimage.gaussian_gradient_magnitude(grey, 1.0)
  return np.minimum(slope / np.quantile(slope, 0.98), 1) * 0.6


def bare(weights):
  """Without a diagonal."""
  return (weights - sparse.diags(weights.diagonal())).tocsr()


@pytest.fixture(scope="module")
def whole(crop):
  weights = spectral.affinity(crop)
  root = np.sqrt(np.asarray(bare(weights).sum(1)))
  values, vectors = spectral.eigenvectors(bare(weights), 16, 1e-6)
  return weights, root, values, vectors


def test_a_round_is_what_the_equations_say():
  strength = np.random.default_rng(0).random((7, 6)) / 5
  weights = spectral.affinity(strength)
  small, c, shape = dncuts.decimate(weights, (7, 6))
  assert shape == (4, 3)
  dense = weights.toarray()
  b = dense[:, [6 * y + x for y in (0, 2, 4, 6) for x in (0, 2, 4)]]
  share = b / b.sum(1, keepdims=True)
  np.testing.assert_allclose(c.toarray(), share)
  np.testing.assert_allclose(small.toarray(), share.T @ b)
  np.testing.assert_allclose(small.toarray(), small.toarray().T)


@pytest.mark.parametrize("times", [1, 2])
def test_principal_angles_to_those_of_the_whole_graph(crop, whole, times):
  weights, root, values, vectors = whole
  got, near = dncuts.eigenvectors(weights, crop.shape, 16, times)
  assert near.shape == vectors.shape == (crop.size, 16)
  angles = linalg.subspace_angles(root * vectors, root * near)
  assert np.rad2deg(angles[0]) < 10
  np.testing.assert_allclose(got, values, rtol=0.02)
  assert (got >= values * (1 - 1e-6)).all()  # Ritz values are never below
  np.testing.assert_allclose(np.ptp(near, axis=0), 1)
  np.testing.assert_allclose((root**2 * near).sum(0), 0, atol=1e-6 * crop.size)


def test_the_diagonal_does_not_count(crop, whole):
  """With it the whole graph has clusters of single pixels, which no smaller
  graph has: that is why."""
  weights, root, _, vectors = whole
  _, points = spectral.eigenvectors(weights, 16, 1e-6)
  angles = linalg.subspace_angles(root * vectors, root * points)
  assert np.rad2deg(angles[0]) > 60
  other = weights + sparse.diags(np.linspace(0, 3, crop.size))
  for a, b in zip(
    dncuts.eigenvectors(weights, crop.shape),
    dncuts.eigenvectors(other.tocsr(), crop.shape),
  ):
    np.testing.assert_allclose(a, b, atol=1e-9)


def test_within_the_right_span_the_eigenvectors_are_exact():
  weights = spectral.affinity(np.random.default_rng(1).random((6, 7)) / 4)
  degree = np.asarray(weights.sum(1)).ravel()
  dense = weights.toarray()
  values, vectors = linalg.eigh(np.diag(degree) - dense, np.diag(degree))
  turn = np.random.default_rng(2).normal(size=(5, 5))
  got, found = dncuts.ritz(weights, vectors[:, :5] @ turn)
  np.testing.assert_allclose(got, values[:5], atol=1e-9)
  np.testing.assert_allclose(
    found.T @ (degree[:, None] * found), np.eye(5), atol=1e-9
  )
  cosine = np.abs((found * degree[:, None] * vectors[:, :5]).sum(0))
  np.testing.assert_allclose(cosine, 1, atol=1e-9)


def test_no_round_is_the_whole_graph_and_small_pictures_have_few():
  weights = bare(spectral.affinity(np.full((5, 9), 0.1)))
  for times in (0, 9):
    values, vectors = dncuts.eigenvectors(weights, (5, 9), 4, times)
    assert values.shape == (4,)
    assert vectors.shape == (45, 4)
    want = spectral.eigenvectors(weights, 4)[0]
    np.testing.assert_allclose(values, want, rtol=1e-6 if not times else 0.3)
  with pytest.raises(UserError, match="times = -1"):
    dncuts.eigenvectors(weights, (5, 9), 4, -1)
