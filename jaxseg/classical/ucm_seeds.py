"""Cutting objects out of a hierarchy: seeds claim what merges with them first.

Arbelaez, Cohen, "Constrained image segmentation from hierarchical boundaries",
CVPR 2008; Arbelaez, Maire, Fowlkes, Malik, PAMI 2011, section 6. The distance
of two leaves is the level at which they are first in one region, and a leaf
takes the label of the seeds at the smallest distance. In the tree: a region
without seeds goes to the region that it merges with, and a boundary between
labels stays, at whatever level.

Seeds that contradict each other:
- Two labels in one leaf: the one with more pixels there, of equals the
  smaller. A leaf is not split, seeds of the other label in it are overruled.
- A region without seeds merges with one that has two labels in it: both are
  equally far. Merges are taken in their order, so that levels that are equal
  are not; if both are in one region already, the label with the longest common
  border with the region without seeds has it, of equals the smaller.

Differs from the paper in these two rules, of which it has none. On the host.
"""

from __future__ import annotations

import numpy as np

from jaxseg import types
from jaxseg.classical import partition, ucm


def interactive(tree: ucm.Hierarchy, seeds: np.ndarray) -> np.ndarray:
  """The label of every pixel, from a few.

  Without a seed nothing is known and all is 0; seeds of one label take the
  whole picture, and so does the strongest label where there is one leaf (a
  picture of one colour). Within a region of the hierarchy whose seeds are all
  of one label every pixel has it.

  Args:
    tree: a hierarchy of the picture.
    seeds: int (h, w): 0, or a label from 1 on.

  Returns:
    int32 (h, w), labels of the seeds; each region is a union of leaves.

  Raises:
    UserError: no map of integers, of another size, or negative labels.
  """
  seeds = partition.check_labels(seeds, covered=False)
  if seeds.shape != tree.leaves.shape:
    raise types.UserError(
      f"seeds of shape {seeds.shape} were given for a hierarchy of shape"
      f" {tree.leaves.shape}; expected one value per pixel of the picture."
    )
  if (seeds < 0).any():
    y, x = np.argwhere(seeds < 0)[0]
    raise types.UserError(
      f"seed {seeds[y, x]} at row {y}, column {x} is negative; expected 0 where"
      " there is no seed, and labels from 1 on."
    )
  names, label = np.unique(np.append(0, seeds), return_inverse=True)
  label = label[1:].reshape(seeds.shape)  # 0, and 1 .. k
  found = _spread(tree, _votes(tree, label, len(names)))
  return names[found][tree.leaves].astype(np.int32)


def _votes(tree: ucm.Hierarchy, label: np.ndarray, count: int) -> np.ndarray:
  """int (n,): the label with most seeds in each leaf, 0 where there is none."""
  cell = tree.leaves.astype(np.int64) * count + label
  table = np.bincount(cell.ravel(), minlength=tree.count * count)
  table = table.reshape(tree.count, count)
  table[:, 0] = 0
  return table.argmax(1)


def _spread(tree: ucm.Hierarchy, label: np.ndarray) -> np.ndarray:
  """int (n,): leaves without a label take one from the nearest merge."""
  label, n = label.copy(), tree.count
  order, start, stop = ucm.spans(tree)
  place = np.empty(n, np.int64)
  place[order] = np.arange(n)
  pairs, length = partition.adjacency(tree.leaves)
  mine, theirs = np.concatenate([pairs, pairs[:, ::-1]]).T
  length = np.concatenate([length, length])

  def border(node, other):
    """Of the leaves of `other`: how much of the border of `node` has which."""
    a, b = place[mine], place[theirs]
    at = (start[node] <= a) & (a < stop[node])
    at &= (start[other] <= b) & (b < stop[other])
    return np.bincount(label[theirs[at]], length[at])

  empty = (label == 0).tolist()
  inside = [{x} for x in label.tolist()]  # labels of a node that has some
  for a, b in tree.merges.tolist():
    if empty[a] != empty[b]:
      node, other = (a, b) if empty[a] else (b, a)
      said = next(iter(inside[other]))
      if len(inside[other]) > 1:  # which has labels everywhere by now
        said = border(node, other).argmax()
      label[order[start[node] : stop[node]]] = said
      inside[node] = set()
    empty.append(empty[a] and empty[b])
    inside.append(inside[a] | inside[b])
  return label
