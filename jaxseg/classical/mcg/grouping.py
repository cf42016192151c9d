"""Objects that no region of a hierarchy is: two, three or four of them.

Arbelaez, Pont-Tuset, Barron, Marques, Malik, CVPR 2014, section 5 (PAMI 2017,
section 5.1): of a hierarchy there are four ranked lists, of its regions and of
pairs, triplets and 4-tuples of them that are connected. A region ranks by the
level at which its contour vanishes, a tuple by its weakest region.

No union is listed twice. The regions of a tuple are disjoint and no two of them
are what another region was made of: such a tuple is the one in which each union
of leaves has the fewest regions.

Proposals are rows of a table, which leaves each has: bool (count, n).
"""

from __future__ import annotations

import bisect

import numpy as np
from scipy import sparse

from jaxseg import types
from jaxseg.classical import partition, ucm

MOST = 4  # regions of a tuple


def strength(tree: ucm.Hierarchy) -> np.ndarray:
  """float64 (2 n - 1,): the level at which each node's contour vanishes.

  That of the whole picture is infinite.
  """
  out = np.full(2 * tree.count - 1, np.inf)
  out[tree.merges[:, 0]] = out[tree.merges[:, 1]] = tree.levels
  return out


def tuples(
  tree: ucm.Hierarchy, pairs: np.ndarray, counts: tuple[int, ...]
) -> list[np.ndarray]:
  """The first so many regions, pairs, triplets and 4-tuples.

  Args:
    tree: n leaves.
    pairs: (m, 2), all neighbours i < j among its leaves.
    counts: of each list, at most; up to four lists.

  Returns:
    int64 (found, k) nodes of the tree, k = 1, 2 ...: the strongest first, of
    equals those of the later merges.

  Raises:
    UserError: other numbers of lists, or negative counts.
  """
  if not 1 <= len(counts) <= MOST or min(counts) < 0:
    raise types.UserError(
      f"lists of {tuple(counts)} were asked for; expected one to {MOST} numbers"
      " of at least 0: of regions, pairs, triplets and 4-tuples."
    )
  power = strength(tree)
  order = np.lexsort((-np.arange(len(power)), -power)).tolist()
  touching = _Touching(tree, pairs)
  found: list[list[tuple[int, ...]]] = [[] for _ in counts]
  for rank, node in enumerate(order):
    wanted = [k for k, c in enumerate(counts) if len(found[k]) < c]
    if not wanted:
      break
    touching.add(node, rank)
    grown = {(rank,)}
    for k in range(wanted[-1] + 1):
      if k:
        grown = touching.grow(grown)
      found[k] += sorted(grown)
  return [
    np.array(order, np.int64)[np.array(f[:c], np.int64).reshape(-1, k + 1)]
    for k, (f, c) in enumerate(zip(found, counts))
  ]


class _Touching:
  """Which of the nodes that were added so far touch, by their ranks.

  A node is added after what it was merged into.
  """

  def __init__(self, tree, pairs):
    order, start, stop = ucm.spans(tree)
    self.start, self.stop = start.tolist(), stop.tolist()
    self.parent = [-1] * len(start)
    self.children = [()] * tree.count + tree.merges.tolist()
    for i, ends in enumerate(tree.merges.tolist()):
      for child in ends:
        self.parent[child] = tree.count + i
    place = np.empty(tree.count, np.int64)
    place[order] = np.arange(tree.count)
    # Edges from both ends, sorted by the place of the first.
    ends = place[np.concatenate([pairs, pairs[:, ::-1]])]
    ends = ends[np.lexsort((ends[:, 1], ends[:, 0]))]
    self.other = ends[:, 1]
    self.first = np.searchsorted(ends[:, 0], np.arange(tree.count + 1))
    self.rank: dict[int, int] = {}
    self.node: list[int] = []
    self.near: list[set[int]] = []  # by rank

  def add(self, node, rank):
    low, high = self.start[node], self.stop[node]
    there = self.other[self.first[low] : self.first[high]]
    there = np.unique(there[(there < low) | (there >= high)]).tolist()

    def touches(other):
      i = bisect.bisect_left(there, self.start[other])
      return i < len(there) and there[i] < self.stop[other]

    above = self.parent[node]
    found, waiting = set(), []
    if above >= 0:
      around = self.near[self.rank[above]]
      found = {r for r in around if touches(self.node[r])}
      waiting = [i for i in self.children[above] if i != node]
    while waiting:  # the sibling, and what it is made of
      other = waiting.pop()
      if other in self.rank and touches(other):
        found.add(self.rank[other])
        waiting += self.children[other]
    self.rank[node] = rank
    self.node.append(node)
    self.near.append(found)
    for r in found:
      self.near[r].add(rank)

  def grow(self, sets):
    """Each set of ranks and one more that touches it, where that may be."""
    grown = set()
    for ranks in sets:
      for r in set().union(*(self.near[x] for x in ranks)):
        if r not in ranks and all(self._apart(r, x) for x in ranks):
          # The weakest first, for that is how lists are sorted.
          grown.add(tuple(sorted((*ranks, r), reverse=True)))
    return grown

  def _apart(self, r, x):
    a, b = self.node[r], self.node[x]
    disjoint = self.stop[a] <= self.start[b] or self.stop[b] <= self.start[a]
    return disjoint and self.parent[a] != self.parent[b]


def members(tree: ucm.Hierarchy, nodes: np.ndarray) -> np.ndarray:
  """bool (count, n): the leaves of each tuple of nodes (count, k)."""
  order, start, stop = ucm.spans(tree)
  out = np.zeros((len(nodes), tree.count), bool)
  for row, some in zip(out, nodes.tolist()):
    for node in some:
      row[order[start[node] : stop[node]]] = True
  return out


def fill(
  rows: np.ndarray, leaves: np.ndarray, pairs: np.ndarray, chunk: int = 256
) -> np.ndarray:
  """Without holes: what is not joined to the picture's border by leaves that
  touch (4 neighbours) and are outside is inside.

  Args:
    rows: bool (count, n).
    leaves: int (h, w), each connected.
    pairs: (m, 2), neighbours among them.
    chunk: rows that are looked at together.
  """
  n = rows.shape[1]
  frame = np.zeros(n + 1, bool)
  for side in (leaves[0], leaves[-1], leaves[:, 0], leaves[:, -1]):
    frame[side] = True
  # A vertex for what lies around the picture, which is in no proposal.
  at = np.flatnonzero(frame)
  edges = np.concatenate([pairs, np.stack([at, np.full_like(at, n)], -1)])
  out = np.empty_like(rows)
  for i in range(0, len(rows), chunk):
    part = np.pad(rows[i : i + chunk], ((0, 0), (0, 1)))
    row, edge = np.nonzero(~part[:, edges[:, 0]] & ~part[:, edges[:, 1]])
    ends = edges[edge] + row[:, None] * (n + 1)
    graph = sparse.coo_matrix(
      (np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), (part.size,) * 2
    )
    piece = sparse.csgraph.connected_components(graph, directed=False)[1]
    piece = piece.reshape(part.shape)
    out[i : i + chunk] = (piece != piece[:, -1:])[:, :-1]
  return out


def jaccard(a: np.ndarray, b: np.ndarray, area: np.ndarray) -> np.ndarray:
  """float32 (p, q): overlap of rows (p, n) and (q, n); area (n,) of leaves."""
  weight = area.astype(np.float32)
  both = (a * weight) @ b.T.astype(np.float32)
  union = (a @ weight)[:, None] + (b @ weight)[None] - both
  return both / np.maximum(union, 1)


def distinct(
  rows: np.ndarray, area: np.ndarray, most: float = 0.95, chunk: int = 1024
) -> np.ndarray:
  """int64: the rows that stay: no two overlap by `most`, the first has it.

  Args:
    rows: bool (count, n).
    area: (n,) of leaves.
    most: Jaccard index at which two are one.
    chunk: rows that are compared at once.
  """
  packed = np.packbits(rows, axis=1)
  _, first = np.unique(packed, axis=0, return_index=True)
  left = np.sort(first)
  kept: list[int] = []
  while len(left):
    here, left = left[:chunk], left[chunk:]
    table = jaccard(rows[here], rows[here], area) >= most
    free = np.ones(len(here), bool)
    for i in range(len(here)):
      if free[i]:
        free[i + 1 :] &= ~table[i, i + 1 :]
    kept += here[free].tolist()
    if len(left):
      near = jaccard(rows[here[free]], rows[left], area) >= most
      left = left[~near.any(0)]
  return np.array(kept, np.int64)


def areas(leaves: np.ndarray) -> np.ndarray:
  """int64 (n,): pixels of each leaf."""
  return partition.sizes(leaves)
