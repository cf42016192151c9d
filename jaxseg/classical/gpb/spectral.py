"""What is far apart and yet belongs together: sPb, from eigenvectors.

Arbelaez, Maire, Fowlkes, Malik, PAMI 2011, section 3.2; intervening contours:
Leung and Malik, ECCV 1998; normalized cuts: Shi and Malik, PAMI 2000.

Two pixels at most 5 apart have the affinity exp(-m / 0.1), m being the largest
mPb on the line between them, of thin lines (`nms`). The generalized
eigenvectors of (D - W) v = l D v with the smallest eigenvalues are pictures;
sPb is the sum of the magnitudes of their oriented derivatives (Gaussian,
deviation 1), each by 1 / sqrt(l).

Differs from the paper: eigenvectors may be those of the picture at half its
size, where a pixel has the largest mPb of its four (for speed: Arbelaez,
Pont-Tuset et al., CVPR 2014, decimate affinities: `mcg.dncuts`); each is scaled
to a range of 1, so that one that sees a small thing alone does not outshine the
others.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import linalg

from jaxseg.classical.gpb import discs

Array = jax.Array
# Weights (h w, h w) and (h, w) -> what `eigenvectors` returns.
Solver = Callable[
  [sparse.csr_matrix, tuple[int, int]], tuple[np.ndarray, np.ndarray]
]
RADIUS = 5
SCALE = 0.1
VECTORS = 16


def offsets(radius: int = RADIUS) -> list[tuple[int, int]]:
  """Steps (dy, dx) of at most `radius`, one of each opposite pair."""
  return [
    (dy, dx)
    for dy in range(radius + 1)
    for dx in range(-radius, radius + 1)
    if (dy or dx > 0) and dy * dy + dx * dx <= radius * radius
  ]


def line(dy: int, dx: int) -> list[tuple[int, int]]:
  """Pixels from (0, 0) to (dy, dx), both included, one per step of the longer
  side."""
  n = max(abs(dy), abs(dx))
  return [
    (int(np.floor(dy * i / n + 0.5)), int(np.floor(dx * i / n + 0.5)))
    for i in range(n + 1)
  ]


def affinity(
  strength: np.ndarray, radius: int = RADIUS, scale: float = SCALE
) -> sparse.csr_matrix:
  """float64 (h w, h w), symmetric, 1 on the diagonal.

  Args:
    strength: (h, w), at least 0: mPb.
    radius: of the neighbourhood.
    scale: of mPb at which the affinity is 1 / e.
  """
  h, w = strength.shape
  index = np.arange(h * w).reshape(h, w)
  rows, columns, values = [], [], []
  for dy, dx in offsets(radius):
    if dy >= h or abs(dx) >= w:
      continue
    y, x = slice(0, h - dy), slice(max(-dx, 0), w - max(dx, 0))
    worst = None
    for sy, sx in line(dy, dx):
      part = strength[sy : h - dy + sy, x.start + sx : x.stop + sx]
      worst = part if worst is None else np.maximum(worst, part)
    rows.append(index[y, x].ravel())
    columns.append(rows[-1] + dy * w + dx)
    values.append(np.exp(-worst.ravel() / scale))
  rows, columns, values = map(np.concatenate, (rows, columns, values))
  upper = sparse.coo_matrix((values, (rows, columns)), shape=(h * w,) * 2)
  return (upper + upper.T + sparse.identity(h * w)).tocsr()


def eigenvectors(
  weights: sparse.csr_matrix, count: int = VECTORS, tolerance: float = 1e-3
) -> tuple[np.ndarray, np.ndarray]:
  """The smallest of (D - W) v = l D v but for the constant one.

  Returns:
    l (count,), ascending, and v (n, count), mean 0 (by D), largest minus
    smallest 1.
  """
  degree = np.asarray(weights.sum(1)).ravel()
  root = 1 / np.sqrt(degree)
  # Symmetric, and the largest are found without solving anything.
  scaled = sparse.diags(root) @ weights @ sparse.diags(root)
  count = min(count, len(degree) - 2)
  start = np.random.default_rng(0).normal(size=len(degree))
  if len(degree) <= 4 * count + 4:
    high, vectors = np.linalg.eigh(scaled.toarray())
    high, vectors = high[-count - 1 :], vectors[:, -count - 1 :]
  else:
    high, vectors = linalg.eigsh(
      scaled.tocsr(),
      count + 1,
      which="LA",
      v0=start,
      tol=tolerance,
      ncv=3 * (count + 1),
    )
  order = np.argsort(-high)[1:]
  vectors = vectors[:, order] * root[:, None]
  span = np.ptp(vectors, axis=0)
  vectors = vectors / np.where(span > 0, span, 1)
  return np.maximum(1 - high[order], 1e-8), vectors


def derivatives(
  planes: Array, orientations: int = discs.ORIENTATIONS, deviation: float = 1.0
) -> Array:
  """Derivatives across each orientation's line: (h, w, c) -> (h, w, c, n)."""
  planes = np.asarray(planes, np.float32)
  along = [
    ndimage.gaussian_filter(planes, (*s, 0), order=(*o, 0), mode="reflect")
    for s, o in (
      ((deviation, deviation), (1, 0)),
      ((deviation, deviation), (0, 1)),
    )
  ]
  angle = np.pi * np.arange(orientations) / orientations
  dy, dx = (x[..., None] for x in along)
  return dy * np.cos(angle) - dx * np.sin(angle)


def spectral(
  strength: np.ndarray, *, shrink: bool = True, solve: Solver | None = None
) -> np.ndarray:
  """sPb: float32 (h, w, n).

  Args:
    strength: (h, w), mPb on thin lines, else 0.
    shrink: eigenvectors at half the size.
    solve: finds them, in the place of `eigenvectors`; see `mcg.dncuts`.
  """
  h, w = strength.shape
  small = np.asarray(strength, np.float32)
  if shrink:
    even = np.pad(small, ((0, h % 2), (0, w % 2)), mode="edge")
    a, b = even.shape
    small = even.reshape(a // 2, 2, b // 2, 2).max((1, 3))
  weights = affinity(small)
  if solve is None:
    values, vectors = eigenvectors(weights)
  else:
    values, vectors = solve(weights, small.shape)
  planes = vectors.reshape(*small.shape, -1).astype(np.float32)
  if shrink:
    planes = np.asarray(discs.double(jnp.asarray(planes), (h, w)))
  slopes = np.abs(derivatives(planes))
  scale = (1 / np.sqrt(values)).astype(np.float32)
  return np.einsum("hwcn,c->hwn", slopes, scale)
