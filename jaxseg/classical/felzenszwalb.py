"""Felzenszwalb and Huttenlocher, "Efficient graph-based image segmentation",
IJCV 2004: Kruskal's minimum spanning tree, cut where an edge is too long.

Pixels are joined to their eight neighbours by edges as long as their colours
are apart. Shortest first, an edge merges two regions A and B if its length is
at most min(Int(A) + k / |A|, Int(B) + k / |B|), Int being the longest edge
that a region's tree has; then regions below a least size are merged along
their shortest edges. Colours are smoothed first and counted in 0 .. 255, so
that k and sigma are those of the paper (k = 150 to 1000, sigma = 0.8).

Edges of equal length come in the order right, down, down-right, down-left, and
by their pixel in reading order; the result depends on this order. Runs on the
host; merging is a loop over edges in Python, about a microsecond each.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage, sparse

from jaxseg.classical import partition, pictures


def edges(
  image: np.ndarray, connectivity: int = 8
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """p, q (m,) flat indices of neighbours and length (m,), shortest first.

  Args:
    image: (h, w, c).
    connectivity: 4 or 8.
  """
  p, q = partition.neighbours(image.shape[:2], connectivity)
  flat = image.reshape(-1, image.shape[-1])
  length = np.sqrt(((flat[p] - flat[q]) ** 2).sum(-1))
  order = np.argsort(length, kind="stable")
  return p[order], q[order], length[order]


def merge(
  p: np.ndarray,
  q: np.ndarray,
  length: np.ndarray,
  count: int,
  scale: float,
  smallest: int,
) -> np.ndarray:
  """int64 (count,): the region of each vertex, as the id of one of its own.

  Args:
    p: one end of each edge (m,), sorted by length.
    q: the other end.
    length: of the edges, at least 0.
    count: vertices.
    scale: k, in the unit of length.
    smallest: vertices that a region has to have, if it has a neighbour.
  """
  parent, size, limit = _start(p, q, length, count, scale)
  apart = []  # edges that may still matter to small regions

  def root(i: int) -> int:
    while parent[i] != i:
      parent[i] = parent[parent[i]]
      i = parent[i]
    return i

  for a, b, w in zip(p.tolist(), q.tolist(), length.tolist()):
    i, j = root(a), root(b)
    if i == j:
      continue
    if w <= limit[i] and w <= limit[j]:
      parent[j] = i
      size[i] += size[j]
      limit[i] = w + scale / size[i]  # w is the longest so far
    else:
      apart.append((i, j))
  for a, b in apart:  # still shortest first
    i, j = root(a), root(b)
    if i != j and (size[i] < smallest or size[j] < smallest):
      parent[j] = i
      size[i] += size[j]
  return np.array([root(i) for i in range(count)])


def _start(p, q, length, count, scale):
  """Union-find after the edges of length 0, which always merge."""
  zero = np.searchsorted(length, 0.0, side="right")
  graph = sparse.coo_matrix(
    (np.ones(zero, bool), (p[:zero], q[:zero])), (count, count)
  )
  piece = sparse.csgraph.connected_components(graph, directed=False)[1]
  _, first, inverse, area = np.unique(
    piece, return_index=True, return_inverse=True, return_counts=True
  )
  size = area[inverse]
  return first[inverse].tolist(), size.tolist(), (scale / size).tolist()


def felzenszwalb(
  images: np.ndarray,
  scale: float = 150.0,
  *,
  sigma: float = 0.8,
  smallest: int = 20,
  connectivity: int = 8,
) -> np.ndarray:
  """Regions of pictures: int32 (b, h, w), ids 0 .. n - 1 in each.

  A picture of one colour is one region.

  Args:
    images: (b, h, w, c) float in [0, 1], or one picture (h, w, c).
    scale: k, in levels of 255; larger: larger regions.
    sigma: of the blur, in pixels; 0: none.
    smallest: pixels that a region has to have.
    connectivity: of the graph, 4 or 8; regions are connected by as many.

  Raises:
    UserError: another shape, values or settings that are not finite or below 0.
  """
  pictures.at_least(scale=scale, sigma=sigma, smallest=smallest)

  def one(image):
    smooth = image.astype(np.float64)
    if sigma:
      smooth = ndimage.gaussian_filter(smooth, (sigma, sigma, 0))
    graph = edges(smooth, connectivity)
    regions = merge(
      *graph, image[..., 0].size, scale / 255, smallest=int(smallest)
    )
    return partition.relabel(regions.reshape(image.shape[:2]))

  return pictures.each(one, images)
