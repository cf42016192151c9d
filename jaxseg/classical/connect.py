"""Superpixels in one piece each: small pieces join a neighbour."""

from __future__ import annotations

import numpy as np

from jaxseg.classical import partition


def connect(labels: np.ndarray, smallest: float) -> np.ndarray:
  """int32 (h, w), ids 0 .. n - 1, every region connected (four neighbours).

  Each piece of a region becomes a region. Those of fewer than `smallest` pixels
  join, smallest first, the neighbour with which they share most border, one
  that is large enough if there is, until all are or the picture is one region.

  Args:
    labels: (h, w) int, all covered.
    smallest: pixels that a region has to have.
  """
  pieces = partition.components(partition.check_labels(labels))
  size = partition.sizes(pieces)
  pairs, length = partition.adjacency(pieces)
  border: list[dict[int, int]] = [{} for _ in size]
  for (i, j), n in zip(pairs.tolist(), length.tolist()):
    border[i][j] = border[j][i] = n
  parent = np.arange(len(size))

  def root(i: int) -> int:
    while parent[i] != i:
      parent[i] = parent[parent[i]]
      i = parent[i]
    return int(i)

  for i in np.argsort(size, kind="stable").tolist():
    here = root(i)
    while size[here] < smallest and border[here]:
      # Small ones do not gather into a region of leftovers if they need not.
      there = max(
        border[here],
        key=lambda k: (size[k] >= smallest, border[here][k], -k),
      )
      for k, n in border[here].items():
        del border[k][here]
        if k != there:
          border[there][k] = border[k][there] = border[there].get(k, 0) + n
      border[here] = {}
      parent[here] = there
      size[there] += size[here]
      here = there
  roots = np.array([root(i) for i in range(len(size))])
  return partition.relabel(roots[pieces])
