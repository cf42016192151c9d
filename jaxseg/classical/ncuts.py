"""Normalized cuts: Shi and Malik, "Normalized cuts and image segmentation",
PAMI 2000. Ncut(A, B) = cut / assoc(A) + cut / assoc(B) is least, relaxed to
real numbers, at the second eigenvector of (D - W) y = lambda D y.

Two ways from eigenvectors to regions: cut in two, at the best of all thresholds
of the second one (the paper tries a few), and again each part while that costs
little; or k regions from k of them at once, by the rotation of Yu and Shi,
"Multiclass spectral clustering", ICCV 2003.

Runs on the host: sparse matrices, Lanczos (SciPy), dense below 64 vertices.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph, linalg

from jaxseg import types
from jaxseg.classical import pictures


def affinity(
  image: np.ndarray,
  *,
  radius: float = 5.0,
  colour: float = 0.1,
  place: float = 4.0,
) -> sparse.csr_matrix:
  """W of a picture, (h w, h w): exp(-|dI|^2 / colour^2 - |dx|^2 / place^2).

  Args:
    image: (h, w, c) float, finite.
    radius: pixels farther apart than this have no edge; at least 1.
    colour: scale of differences of colour.
    place: scale of distance, in pixels.

  Raises:
    UserError: another shape, values or settings that are not finite.
  """
  batch, single = pictures.check(image)
  if not single:
    raise types.UserError(
      f"pictures of shape {batch.shape} were given; expected one, (height,"
      " width, channels): a graph is of one picture."
    )
  pictures.at_least(1, radius=radius)
  pictures.above(colour=colour, place=place)
  image = batch[0].astype(np.float64)
  h, w, c = image.shape
  index, flat = np.arange(h * w).reshape(h, w), image.reshape(-1, c)
  reach = int(radius)
  ends, weights = [], []
  for dy in range(min(reach, h - 1) + 1):
    for dx in range(-min(reach, w - 1), min(reach, w - 1) + 1):
      if (dy, dx) <= (0, 0) or dy**2 + dx**2 > radius**2:
        continue
      p = index[: h - dy, max(-dx, 0) : w - max(dx, 0)].ravel()
      q = p + dy * w + dx
      square = ((flat[p] - flat[q]) ** 2).sum(-1) / colour**2
      ends.append(np.stack([p, q]))
      weights.append(np.exp(-square - (dy**2 + dx**2) / place**2))
  loops = np.arange(h * w)
  if not ends:
    return sparse.identity(h * w, format="csr")
  p, q = np.concatenate(ends, 1)
  weight = np.concatenate(weights)
  rows, columns = np.r_[p, q, loops], np.r_[q, p, loops]
  values = np.r_[weight, weight, np.ones(h * w)]
  return sparse.csr_matrix((values, (rows, columns)), (h * w,) * 2)


def eigenvectors(
  w: sparse.csr_matrix, count: int
) -> tuple[np.ndarray, np.ndarray]:
  """The `count` smallest (D - W) y = lambda D y.

  Args:
    w: (n, n) symmetric, not negative, no vertex without weight.
    count: at most n.

  Returns:
    lambda (count,) ascending, in [0, 2], and y (n, count), with y^T D y = I.
  """
  degree = np.asarray(w.sum(1)).ravel()
  scale = sparse.diags(1 / np.sqrt(degree))
  normal = scale @ w @ scale
  n = len(degree)
  if n <= max(64, 2 * count):
    value, vector = np.linalg.eigh(normal.toarray())
  else:
    start = np.random.default_rng(0).normal(size=n)
    value, vector = linalg.eigsh(normal, count, which="LA", v0=start)
  order = np.argsort(-value)[:count]
  return 1 - value[order], scale @ vector[:, order]


def ncut(w: sparse.csr_matrix, inside: np.ndarray) -> float:
  """Ncut of the vertices `inside` (n,) bool and the others, in [0, 2]."""
  degree = np.asarray(w.sum(1)).ravel()
  cut = w[inside][:, ~inside].sum()
  return float(cut / degree[inside].sum() + cut / degree[~inside].sum())


def two_way(w: sparse.csr_matrix) -> tuple[np.ndarray, float]:
  """bool (n,) and its Ncut: the best threshold of the second eigenvector.

  A graph that hangs together in parts is cut between them, at no cost.

  Raises:
    UserError: fewer than two vertices.
  """
  n = w.shape[0]
  if n < 2:
    raise types.UserError(
      f"a graph of {n} vertices was given; expected two to be cut apart."
    )
  parts, part = csgraph.connected_components(w, directed=False)
  if parts > 1:
    return part == 0, 0.0
  order = np.argsort(eigenvectors(w, 2)[1][:, 1], kind="stable")
  rank = np.empty(n, np.int64)
  rank[order] = np.arange(n)
  degree = np.asarray(w.sum(1)).ravel()
  edges = w.tocoo()
  # An edge is within the first k vertices as soon as its later end is.
  later = np.maximum(rank[edges.row], rank[edges.col])
  within = np.cumsum(np.bincount(later, edges.data, n))[:-1]
  left = np.cumsum(degree[order])[:-1]
  cut = left - within
  cost = cut / left + cut / (degree.sum() - left)
  best = int(cost.argmin())
  return rank <= best, float(cost[best])


def recursive(
  w: sparse.csr_matrix, limit: float, smallest: int = 1
) -> np.ndarray:
  """int32 (n,): cut in two while Ncut is at most `limit`.

  Args:
    w: (n, n).
    limit: the paper's example has 0.04.
    smallest: vertices of a part; a cut that leaves fewer is not made.
  """
  labels = np.zeros(w.shape[0], np.int32)
  waiting, count = [np.arange(w.shape[0])], 1
  while waiting:
    here = waiting.pop()
    if len(here) < 2:
      continue
    inside, cost = two_way(w[here][:, here])
    if cost > limit or min(inside.sum(), (~inside).sum()) < smallest:
      continue
    labels[here[~inside]] = count
    count += 1
    waiting += [here[inside], here[~inside]]
  return labels


def k_way(w: sparse.csr_matrix, count: int, rounds: int = 50) -> np.ndarray:
  """int32 (n,) in 0 .. count - 1: regions from `count` eigenvectors at once.

  Rows are scaled to length 1; in turn each takes its largest entry, and the
  rotation that fits these best is found, until it stays. Ids may be unused.

  Raises:
    UserError: fewer than one region or more than vertices.
  """
  n = w.shape[0]
  if not 1 <= count <= n:
    raise types.UserError(
      f"{count} regions of {n} vertices were asked for; expected 1 to {n}."
    )
  y = eigenvectors(w, count)[1]
  y = y / np.maximum(np.linalg.norm(y, axis=1, keepdims=True), 1e-12)
  # To begin with: rows that are as orthogonal as can be.
  rotation, near = np.zeros((count, count)), np.zeros(n)
  row = 0
  for i in range(count):
    rotation[:, i] = y[row]
    near += np.abs(y @ rotation[:, i])
    row = int(near.argmin())
  labels = np.full(n, -1)
  for _ in range(rounds):
    new = (y @ rotation).argmax(1)
    if (new == labels).all():
      break
    labels = new
    u, _, vt = np.linalg.svd(np.eye(count)[labels].T @ y)
    rotation = (u @ vt).T
  return labels.astype(np.int32)
