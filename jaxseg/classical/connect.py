"""Superpixels in one piece each: small pieces join a neighbour."""

from __future__ import annotations

import numpy as np

from jaxseg.classical import partition


def connect(labels: np.ndarray, smallest: float) -> np.ndarray:
  """int32 (h, w), ids 0 .. n - 1, every region connected (four neighbours).

  Each piece of a region of at least `smallest` pixels is a region (the largest
  of all, if none is). In rounds the other pieces that touch regions join the
  one with which they share most border, all of a round at once, until none is
  left: scraps do not gather into regions of their own.

  Args:
    labels: (h, w) int, all covered.
    smallest: pixels that a region has to have.
  """
  pieces = partition.components(partition.check_labels(labels))
  size = partition.sizes(pieces)
  pairs, length = partition.adjacency(pieces)
  a, b = np.concatenate([pairs, pairs[:, ::-1]]).T
  length = np.concatenate([length, length])
  count = len(size)
  region = np.where(size >= smallest, np.arange(count), -1)
  if region.max() < 0:
    region[size.argmax()] = size.argmax()
  while (region < 0).any():
    here = (region[a] < 0) & (region[b] >= 0)
    key, which = np.unique(
      a[here] * count + region[b[here]], return_inverse=True
    )
    border = np.bincount(which, length[here])  # of a piece with a region
    piece, there = key // count, key % count
    order = np.lexsort((-there, border, piece))  # of equals the first region
    region[piece[order]] = there[order]  # the last of a piece has most border
    rest = region[a] < 0
    a, b, length = a[rest], b[rest], length[rest]
  return partition.relabel(region[pieces])
