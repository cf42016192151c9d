"""Hierarchies of one picture that do not have the same leaves: made to.

Arbelaez, Pont-Tuset, Barron, Marques, Malik, CVPR 2014, section 4.2 (PAMI 2017,
section 4): contours of several scales lie a little apart. The regions of a
level are projected on the leaves of the finest scale, each of which takes the
region that it overlaps most; the next level is projected on what came out of
this one, and not on the leaves again, so that the levels stay nested.

The paper projects some levels; here it is every merge. Of the result the
heights between neighbouring leaves count, of which `linkage` makes a hierarchy
of connected regions: two parts of a region that do not touch, on these leaves,
are apart in it.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from jaxseg.classical import partition, ucm

LEAVES = 2000  # of the finest scale, about


def sample(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
  """A label map at another size: the nearest pixel, by half-pixel centres."""
  lines = [
    ((2 * np.arange(n) + 1) * old // (2 * n))
    for n, old in zip(shape, labels.shape)
  ]
  return labels[lines[0][:, None], lines[1]]


def finest(
  tree: ucm.Hierarchy, shape: tuple[int, int], count: int = LEAVES
) -> np.ndarray:
  """int32 (h, w): the leaves that all hierarchies are to share.

  The strongest boundaries of a hierarchy, until there are `count` regions; at
  the size `shape`, where a thin region may be in several pieces, or nowhere.
  """
  labels = tree.leaves
  if tree.count > count:
    labels = ucm.segments(tree, tree.levels[tree.count - count])
  return partition.components(sample(labels, shape))


def linkage(
  leaves: np.ndarray, pairs: np.ndarray, heights: np.ndarray
) -> ucm.Hierarchy:
  """The hierarchy in which regions merge at the lowest height between them.

  Two leaves are together from the height on that a way from one to the other
  has to cross. Heights of a hierarchy give that hierarchy again.

  Args:
    leaves: int32 (h, w), ids 0 .. n - 1.
    pairs: (m, 2), all neighbours i < j among them, sorted.
    heights: (m,).
  """
  n = int(leaves.max()) + 1
  node = list(range(n))  # a leaf's or node's way up

  def top(i):
    while node[i] != i:
      node[i] = node[node[i]]
      i = node[i]
    return i

  merges, levels = [], []
  ends, values = pairs.tolist(), heights.tolist()
  for i in np.argsort(heights, kind="stable").tolist():
    a, b = sorted(map(top, ends[i]))
    if a == b:
      continue
    new = len(node)
    node.append(new)
    node[a] = node[b] = new
    merges.append((a, b))
    levels.append(values[i])
  made = ucm.Hierarchy(
    leaves,
    pairs,
    np.zeros(0),
    np.array(merges, np.int64).reshape(-1, 2),
    np.array(levels),
  )
  return made._replace(heights=between(made, pairs))


def between(tree: ucm.Hierarchy, pairs: np.ndarray) -> np.ndarray:
  """float64 (m,): the level at which the leaves i, j of each pair meet."""
  return _meet(pairs, tree.count, tree.merges.tolist(), tree.levels.tolist())


def _meet(pairs, n, merges, levels):
  """Pairs that hang open at a node; merging closes those that two share."""
  hanging: list[set[int]] = [set() for _ in range(n)]
  for i, (a, b) in enumerate(pairs.tolist()):
    hanging[a].add(i)
    hanging[b].add(i)
  heights = np.zeros(len(pairs))
  for (a, b), level in zip(merges, levels):
    few, many = sorted((hanging[a], hanging[b]), key=len)
    closed = few & many
    heights[list(closed)] = level
    many ^= few
    hanging.append(many)
  return heights


def project(
  overlap: sparse.csr_matrix, tree: ucm.Hierarchy
) -> tuple[np.ndarray, np.ndarray]:
  """A hierarchy on other leaves; see the module.

  Args:
    overlap: (n, tree.count), of each new leaf with each old one, at least 0;
      no row without one.
    tree: the hierarchy; its leaves are not looked at.

  Returns:
    merges (n - 1, 2) and levels (n - 1,), as those of `ucm.Hierarchy`, but what
    merges need not touch.
  """
  state = _Groups(overlap.tocsr())
  state.settle(range(overlap.shape[0]), 0.0)
  for (a, b), level in zip(tree.merges.tolist(), tree.levels.tolist()):
    state.settle(state.join(a, b), level)
  while state.fresh:  # of leaves in one region that are still to be told so
    state.settle((), state.levels[-1])
  return np.array(state.merges, np.int64).reshape(-1, 2), np.array(state.levels)


class _Groups:
  """New leaves that are in one region of the old hierarchy, as it merges."""

  def __init__(self, overlap):
    n, m = overlap.shape
    parts = np.split(np.arange(overlap.nnz), overlap.indptr[1:-1])
    columns, values = overlap.indices.tolist(), overlap.data.tolist()
    # group -> region -> overlap; region -> groups; region -> who is in it.
    self.of = [{columns[k]: values[k] for k in part.tolist()} for part in parts]
    self.holders = [set() for _ in range(m)]
    for group, around in enumerate(self.of):
      for region in around:
        self.holders[region].add(group)
    self.name = list(range(m))  # old node -> its region
    self.owner: dict[int, int] = {}
    self.home = [None] * n
    self.merges, self.levels = [], []
    self.fresh: set[int] = set()

  def join(self, a, b):
    """Two nodes of the old hierarchy become one; groups that may move."""
    large, small = self.name[a], self.name[b]
    if len(self.holders[large]) < len(self.holders[small]):
      large, small = small, large
    self.name.append(large)
    moved = self.holders[small]
    for group in moved:
      around = self.of[group]
      around[large] = around.get(large, 0) + around.pop(small)
      if self.home[group] == small:
        self.home[group] = None
    self.owner.pop(small, None)
    self.holders[large] |= moved
    self.holders[small] = set()
    return moved

  def settle(self, moved, level):
    """Each of these groups, and those made at the last level, goes where its
    largest overlap is; groups in one region merge."""
    wanted = sorted(self.fresh.union(moved))
    self.fresh = set()
    goals = {g: max(self.of[g], key=self.of[g].get) for g in wanted}
    for group in wanted:  # all at once: none is there before another
      if self.owner.get(self.home[group]) == group:
        del self.owner[self.home[group]]
    for group, goal in goals.items():
      self.home[group] = goal
      other = self.owner.get(goal)
      if other is None:
        self.owner[goal] = group
      else:
        self._merge(other, group, goal, level)

  def _merge(self, a, b, region, level):
    new = len(self.of)
    few, many = sorted((self.of[a], self.of[b]), key=len)
    for there, value in few.items():
      many[there] = many.get(there, 0) + value
    for group in (a, b):
      for there in many:
        self.holders[there].discard(group)
    for there in many:
      self.holders[there].add(new)
    self.of[a] = self.of[b] = None
    self.of.append(many)
    self.home.append(region)
    self.owner[region] = new
    self.fresh -= {a, b}
    self.fresh.add(new)
    self.merges.append((min(a, b), max(a, b)))
    self.levels.append(level)


def align(
  tree: ucm.Hierarchy, leaves: np.ndarray, pairs: np.ndarray
) -> ucm.Hierarchy:
  """A hierarchy, perhaps of another scale, on given leaves.

  Args:
    tree: its leaves may have another size.
    leaves: int32 (h, w), ids 0 .. n - 1, each connected.
    pairs: (m, 2), neighbours i < j among them, sorted.
  """
  n = int(leaves.max()) + 1
  old = sample(tree.leaves, leaves.shape).ravel()
  overlap = sparse.coo_matrix(
    (np.ones(leaves.size, np.int64), (leaves.ravel(), old)), (n, tree.count)
  ).tocsr()
  merges, levels = project(overlap, tree)
  heights = _meet(pairs, n, merges.tolist(), levels.tolist())
  return linkage(leaves, pairs, heights)
