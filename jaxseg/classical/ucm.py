"""The ultrametric contour map: a hierarchy of regions, as a tree and a picture.

Arbelaez, "Boundary extraction in natural images using ultrametric contour
maps", 2006; Arbelaez, Maire, Fowlkes, Malik, PAMI 2011, section 4.2. The two
neighbours with the weakest common boundary are merged, until one region is
left; the strength of a boundary is the mean over its length. A boundary of the
leaves has the height at which it vanishes: at any threshold the rest are closed
contours. Heights never fall, for the mean of two boundaries that were no
weaker than the weakest is none either.

On the host: the order of merging is a sequence by nature.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np
from scipy import sparse

from jaxseg.classical import owt, partition


class Hierarchy(NamedTuple):
  """A dendrogram over regions.

  Attributes:
    leaves: int32 (h, w), ids 0 .. n - 1.
    pairs: int64 (m, 2), neighbours i < j among the leaves.
    heights: float64 (m,), of the merge that joins each pair.
    merges: int64 (k, 2), nodes that merge, in order: leaves 0 .. n - 1, then
      node n + i made by merge i.
    levels: float64 (k,), ascending, of the merges.
  """

  leaves: np.ndarray
  pairs: np.ndarray
  heights: np.ndarray
  merges: np.ndarray
  levels: np.ndarray

  @property
  def count(self) -> int:
    """How many leaves there are."""
    return len(self.merges) + 1


def merge(arcs: owt.Arcs) -> Hierarchy:
  """Merges all regions; the weakest boundary first, of equals the first."""
  n = int(arcs.leaves.max()) + 1
  # node -> neighbour -> [sum, length, the leaves' arcs between the two].
  around: list[dict[int, list] | None] = [{} for _ in range(n)]
  queue = []
  total = (arcs.strength * arcs.length).tolist()
  for i, (a, b) in enumerate(arcs.pairs.tolist()):
    around[a][b] = around[b][a] = [total[i], int(arcs.length[i]), [i]]
    queue.append((total[i] / around[a][b][1], a, b))
  heapq.heapify(queue)
  heights = np.zeros(len(arcs.pairs))
  merges, levels, level = [], [], 0.0
  while queue:
    strength, a, b = heapq.heappop(queue)
    # A node that has merged has no neighbours left: the entry is of old.
    if around[a] is None or around[b] is None:
      continue
    level = max(level, strength)  # rounding alone could lower it
    node = len(around)
    heights[around[a][b][2]] = level
    merges.append((a, b))
    levels.append(level)
    mine, theirs = around[a], around[b]
    del mine[b], theirs[a]
    around[a] = around[b] = None
    if len(mine) < len(theirs):
      mine, theirs, a, b = theirs, mine, b, a
    for c, (s, k, of) in theirs.items():
      del around[c][b]
      if c in mine:
        border = mine[c]
        border[0] += s
        border[1] += k
        border[2] += of
      else:
        mine[c] = [s, k, of]
    for c, border in mine.items():
      around[c].pop(a, None)
      around[c][node] = border
      heapq.heappush(queue, (border[0] / border[1], c, node))
    around.append(mine)
  return Hierarchy(
    arcs.leaves,
    arcs.pairs,
    heights,
    np.array(merges, np.int64).reshape(-1, 2),
    np.array(levels),
  )


def region_of(tree: Hierarchy, threshold: float) -> np.ndarray:
  """int32 (n,): the region of each leaf, where merges below `threshold` are
  done; ids from 0 on, in the order of their first leaves."""
  n = tree.count
  done = int(np.searchsorted(tree.levels, threshold, side="left"))
  node = n + np.repeat(np.arange(done), 2)
  graph = sparse.coo_matrix(
    (np.ones(2 * done, bool), (tree.merges[:done].ravel(), node)),
    shape=(2 * n - 1,) * 2,
  )
  label = sparse.csgraph.connected_components(graph, directed=False)[1][:n]
  _, first, inverse = np.unique(label, return_index=True, return_inverse=True)
  rank = np.empty(len(first), np.int32)
  rank[np.argsort(first)] = np.arange(len(first))
  return rank[inverse]


def segments(tree: Hierarchy, threshold: float) -> np.ndarray:
  """int32 (h, w): the partition at a threshold, ids 0 .. n - 1.

  What is left has boundaries of at least `threshold`, all of them closed.
  """
  return partition.relabel(region_of(tree, threshold)[tree.leaves])


def distance(tree: Hierarchy) -> np.ndarray:
  """float64 (n, n): the level at which two leaves are first in one region.

  An ultrametric: d(a, c) <= max(d(a, b), d(b, c)).
  """
  out = np.zeros((tree.count,) * 2)
  members = {i: [i] for i in range(tree.count)}
  for i, ((a, b), level) in enumerate(zip(tree.merges.tolist(), tree.levels)):
    one, two = members.pop(a), members.pop(b)
    out[np.ix_(one, two)] = out[np.ix_(two, one)] = level
    members[tree.count + i] = one + two
  return out


def spans(tree: Hierarchy) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """The leaves in an order in which those of every node are side by side.

  Returns:
    order int64 (n,), of leaves; start, stop int64 (2 n - 1,): node i has the
    leaves order[start[i] : stop[i]].
  """
  n = tree.count
  size = np.ones(2 * n - 1, np.int64)
  for i, (a, b) in enumerate(tree.merges.tolist()):
    size[n + i] = size[a] + size[b]
  start = np.zeros(2 * n - 1, np.int64)
  for i in range(n - 2, -1, -1):
    a, b = tree.merges[i]
    start[a] = start[n + i]
    start[b] = start[a] + size[a]
  order = np.empty(n, np.int64)
  order[start[:n]] = np.arange(n)
  return order, start, start + size


def contours(tree: Hierarchy) -> np.ndarray:
  """float32 (2 h + 1, 2 w + 1): heights on the sides and corners of pixels.

  Pixel (y, x) is at (2 y + 1, 2 x + 1) and is 0, as is the picture's border; a
  side has the height of the boundary that it is of, a corner the largest of its
  four sides.
  """
  h, w = tree.leaves.shape
  right, below = _sides(tree)
  out = np.zeros((2 * h + 1, 2 * w + 1), np.float32)
  out[1::2, 2:-1:2] = right
  out[2:-1:2, 1::2] = below
  corner = out[2:-1:2, 2:-1:2]
  for side in (
    out[1:-2:2, 2:-1:2],
    out[3::2, 2:-1:2],
    out[2:-1:2, 1:-2:2],
    out[2:-1:2, 3::2],
  ):
    np.maximum(corner, side, out=corner)
  return out


def strength(tree: Hierarchy) -> np.ndarray:
  """float32 (h, w): of the boundaries to the right of and below each pixel."""
  right, below = _sides(tree)
  out = np.zeros(tree.leaves.shape, np.float32)
  out[:, :-1] = right
  out[:-1] = np.maximum(out[:-1], below)
  return out


def _sides(tree: Hierarchy) -> tuple[np.ndarray, np.ndarray]:
  """Heights to the right (h, w - 1) and below (h - 1, w)."""
  n = tree.count
  key = tree.pairs[:, 0] * n + tree.pairs[:, 1]
  heights = np.append(tree.heights, 0.0)
  x = tree.leaves.astype(np.int64)
  out = []
  for a, b in ((x[:, :-1], x[:, 1:]), (x[:-1], x[1:])):
    here = np.minimum(a, b) * n + np.maximum(a, b)
    at = np.where(a == b, len(key), np.searchsorted(key, here))
    out.append(heights[at].astype(np.float32))
  return out[0], out[1]
