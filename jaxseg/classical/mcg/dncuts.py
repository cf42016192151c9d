"""Eigenvectors of normalized cuts from a graph with fewer pixels: DNCuts.

Arbelaez, Pont-Tuset, Barron, Marques, Malik, "Multiscale combinatorial
grouping", CVPR 2014, section 3 (PAMI 2017, section 3.1). An affinity W that is
squared says how much two pixels have to do with each other through all others:
half the rows and columns of the grid may then be left out. With B the columns
of W that stay and C = B with rows that add up to 1, the smaller graph is C^T B,
and C carries its eigenvectors back. `times` rounds leave 4^-times of the
pixels.

Differs from the paper: where it whitens what came back, the eigenvectors are
those of W within the span of what came back (Rayleigh and Ritz), which also
gives the eigenvalues of W: each squaring changes them. A few more vectors are
solved for than are returned, for the last ones of the small graph are the least
true.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse

from jaxseg.classical import pictures
from jaxseg.classical.gpb import spectral

TIMES = 2
MORE = 8  # vectors of the small graph beyond those that are wanted


def decimate(
  weights: sparse.csr_matrix, shape: tuple[int, int]
) -> tuple[sparse.csr_matrix, sparse.csr_matrix, tuple[int, int]]:
  """One round: every second row and column of pixels stays.

  Args:
    weights: (n, n), symmetric, n = h w pixels, each with a share in one that
      stays.
    shape: h, w.

  Returns:
    The small graph (m, m), symmetric; C (n, m), rows adding up to 1; and its
    height and width.
  """
  stays = np.arange(weights.shape[0]).reshape(shape)[::2, ::2]
  b = weights.tocsc()[:, stays.ravel()].tocsr()
  share = 1 / np.asarray(b.sum(1)).ravel()
  c = sparse.diags(share) @ b
  return (c.T @ b).tocsr(), c.tocsr(), stays.shape


def ritz(
  weights: sparse.csr_matrix, vectors: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """The best of (D - W) v = l D v within the span of `vectors` (n, k).

  Returns:
    l (k,), ascending, and v (n, k), with v^T D v = I.
  """
  degree = np.asarray(weights.sum(1)).ravel()
  mass = vectors.T @ (degree[:, None] * vectors)
  high, turn = linalg.eigh(vectors.T @ (weights @ vectors), mass)
  return 1 - high[::-1], vectors @ turn[:, ::-1]


def eigenvectors(
  weights: sparse.csr_matrix,
  shape: tuple[int, int],
  count: int = spectral.VECTORS,
  times: int = TIMES,
) -> tuple[np.ndarray, np.ndarray]:
  """As `spectral.eigenvectors`, nearly, and many times faster.

  Args:
    weights: (h w, h w), as `spectral.affinity` makes it; its diagonal does not
      count.
    shape: h, w.
    count: of eigenvectors but for the constant one, at most.
    times: of decimation; 0 solves the whole graph.

  Returns:
    l (count,), ascending, and v (n, count), mean 0 (by D), largest minus
    smallest 1.

  Raises:
    UserError: less than no decimation.
  """
  pictures.at_least(times=times)
  weights = weights - sparse.diags(weights.diagonal())
  weights.eliminate_zeros()
  small, back = weights.tocsr(), []
  for _ in range(times):
    if min(shape) < 4:
      break
    small, c, shape = decimate(small, shape)
    back.append(c)
  if not back:
    return spectral.eigenvectors(weights, count)
  _, vectors = spectral.eigenvectors(small, count + MORE)
  # The constant one is an eigenvector of every round, with l = 0.
  vectors = np.concatenate([np.ones((len(vectors), 1)), vectors], 1)
  for c in reversed(back):
    vectors = c @ vectors
  values, vectors = ritz(weights, vectors)
  values, vectors = values[1 : count + 1], vectors[:, 1 : count + 1]
  span = np.ptp(vectors, axis=0)
  return np.maximum(values, 1e-8), vectors / np.where(span > 0, span, 1)
