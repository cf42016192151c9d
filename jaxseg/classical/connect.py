"""Superpixels in one piece each: small pieces join a neighbour."""

from __future__ import annotations

import numpy as np

from jaxseg.classical import partition


def connect(
  labels: np.ndarray, smallest: float, values: np.ndarray | None = None
) -> np.ndarray:
  """int32 (h, w), ids 0 .. n - 1, every region connected (four neighbours).

  Each piece of a region of at least `smallest` pixels is a region (the largest
  of all, if none is). In rounds the other pieces that touch regions join one of
  them, all of a round at once, until none is left: scraps do not gather into
  regions of their own. With `values` a piece joins the region whose core, the
  piece that it began with, has the nearest mean; else that with which it shares
  most border.

  Args:
    labels: (h, w) int, all covered.
    smallest: pixels that a region has to have.
    values: (h, w, c) float, such as colours.
  """
  pieces = partition.components(partition.check_labels(labels))
  size = partition.sizes(pieces)
  pairs, length = partition.adjacency(pieces)
  a, b = np.concatenate([pairs, pairs[:, ::-1]]).T
  length = np.concatenate([length, length])
  count = len(size)
  mean = None
  if values is not None:
    flat = values.reshape(-1, values.shape[-1]).T
    sums = [np.bincount(pieces.ravel(), channel, count) for channel in flat]
    mean = np.stack(sums, -1) / size[:, None]
  region = np.where(size >= smallest, np.arange(count), -1)
  if region.max() < 0:
    region[size.argmax()] = size.argmax()
  while (region < 0).any():
    here = (region[a] < 0) & (region[b] >= 0)
    key, which = np.unique(
      a[here] * count + region[b[here]], return_inverse=True
    )
    piece, there = key // count, key % count
    if mean is None:
      worth = np.bincount(which, length[here])  # border with a region
    else:
      worth = -((mean[piece] - mean[there]) ** 2).sum(-1)
    order = np.lexsort((-there, worth, piece))  # of equals the first region
    region[piece[order]] = there[order]  # the last of a piece is worth most
    rest = region[a] < 0
    a, b, length = a[rest], b[rest], length[rest]
  return partition.relabel(region[pieces])
