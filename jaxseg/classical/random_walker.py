"""Random-walker segmentation (Grady, "Random Walks for Image Segmentation",
PAMI 2006): a pixel gets the label of the seed that a walker, who avoids edges,
is likeliest to reach first.

The probabilities are harmonic on the grid between the seeds: one sparse linear
system, solved directly (SciPy), with a right-hand side per label but the last.
Runs on the host. Differs from the paper in the unit of beta, which is that of
scikit-image: weights are exp(-beta |dI|^2 / (10 s sqrt(c))), s the standard
deviation of the picture and c its channels, plus 1e-10. A pixel that no seed
can reach has the label 0.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph, linalg

from jaxseg.types import UserError


def check_seeds(seeds: np.ndarray, shape: tuple[int, ...]) -> None:
  """Refuses seeds of another size, or of fewer than two labels."""
  if seeds.shape != tuple(shape[:2]):
    raise UserError(
      f"the seeds have shape {seeds.shape}, and the image {tuple(shape)}: "
      "expected one seed label per pixel."
    )
  labels = np.unique(seeds[seeds > 0])
  if len(labels) < 2 or seeds.min() < 0:
    raise UserError(
      f"the seeds hold the labels {np.unique(seeds).tolist()}: expected 0 for "
      "pixels to label, and at least two labels above it."
    )


def random_walker(
  image: np.ndarray, seeds: np.ndarray, beta: float = 130.0
) -> tuple[np.ndarray, np.ndarray]:
  """Labels every pixel from a few that are labelled.

  Args:
    image: (h, w) or (h, w, c), float.
    seeds: int (h, w): 0, or the label of a seed, from 1 on.
    beta: how much edges count; 0: not at all.

  Returns:
    labels int32 (h, w); probabilities float64 (k, h, w) of the labels that
    occur, in order, which sum to 1 (to 0 where no seed is reached).

  Raises:
    UserError: fewer than two labels, other sizes, a negative beta.
  """
  image, seeds = np.asarray(image, np.float64), np.asarray(seeds)
  check_seeds(seeds, image.shape)
  if not beta >= 0:
    raise UserError(f"beta = {beta}: expected at least 0, such as 130.")
  laplacian = _laplacian(image.reshape(*seeds.shape, -1), beta)
  flat = seeds.ravel()
  labels = np.unique(flat[flat > 0])
  fixed = flat > 0
  _, part = csgraph.connected_components(laplacian, directed=False)
  reached = np.isin(part, part[fixed])
  free = ~fixed & reached
  p = np.zeros((len(labels), flat.size))
  p[:, fixed] = flat[fixed] == labels[:, None]
  if free.any():
    rows = laplacian[free]
    known = -(rows[:, fixed] @ p[:, fixed].T)  # (free, k)
    solve = linalg.factorized(rows[:, free].tocsc())
    for i in range(len(labels) - 1):
      p[i, free] = solve(known[:, i])
    p[-1, free] = 1 - p[:-1, free].sum(0)
  best = np.where(reached, labels[p.argmax(0)], 0).astype(np.int32)
  return best.reshape(seeds.shape), p.reshape(-1, *seeds.shape)


def _laplacian(image, beta):
  """Of the 4-connected grid, sparse (h w, h w)."""
  h, w, c = image.shape
  index = np.arange(h * w).reshape(h, w)
  deviation = image.std()
  scale = beta / (10 * deviation * np.sqrt(c)) if deviation else 0.0
  ends, weights = [], []
  for axis in (0, 1):
    squares = (np.diff(image, axis=axis) ** 2).sum(-1)
    weights.append((np.exp(-scale * squares) + 1e-10).ravel())
    a = index[:-1] if axis == 0 else index[:, :-1]
    b = index[1:] if axis == 0 else index[:, 1:]
    ends.append(np.stack([a.ravel(), b.ravel()]))
  a, b = np.concatenate(ends, 1)
  weight = np.concatenate(weights)
  n = h * w
  adjacent = sparse.csr_matrix(
    (np.tile(weight, 2), (np.r_[a, b], np.r_[b, a])), (n, n)
  )
  degree = np.asarray(adjacent.sum(1)).ravel()
  return (sparse.diags(degree) - adjacent).tocsr()
