"""The watershed: basins of a height map, grown from its minima.

Vincent and Soille, "Watersheds in digital spaces", PAMI 1991; by a queue of
pixels in the order of their height, then of their arrival, as Meyer 1991 has
it. There are no pixels of dams: each belongs to a basin. On the host.
"""

from __future__ import annotations

import heapq

import numpy as np

from jaxseg.classical import partition


def minima(height: np.ndarray, connectivity: int = 4) -> np.ndarray:
  """int32 (h, w): plateaus without a lower neighbour 1, 2 ...; elsewhere 0."""
  _, level = np.unique(height, return_inverse=True)
  level = level.reshape(height.shape)
  plateau = partition.components(level, connectivity)
  p, q = partition.neighbours(height.shape, connectivity)
  low, flat = level.ravel(), plateau.ravel()
  lowest = np.ones(flat.max() + 1, bool)
  lowest[flat[p[low[p] > low[q]]]] = False
  lowest[flat[q[low[q] > low[p]]]] = False
  number = np.where(lowest, np.cumsum(lowest), 0)
  return number[plateau].astype(np.int32)


def watershed(
  height: np.ndarray, markers: np.ndarray | None = None
) -> np.ndarray:
  """int32 (h, w): basins 0 .. n - 1, connected (4 neighbours).

  Args:
    height: (h, w), finite.
    markers: int (h, w), where basins start: ids from 1 on, 0 elsewhere; None:
      the `minima`.
  """
  height = np.asarray(height)
  markers = minima(height) if markers is None else markers
  h, w = height.shape
  wide = w + 2
  label = np.full((h + 2, wide), -1, np.int64)
  label[1:-1, 1:-1] = markers
  level = np.zeros((h + 2, wide))
  level[1:-1, 1:-1] = height
  label, level = label.ravel().tolist(), level.ravel().tolist()
  steps = (-wide, -1, 1, wide)
  queue, age = [], 0
  for p in np.flatnonzero(np.pad(markers, 1)):
    queue.append((level[p], 0, int(p)))
  heapq.heapify(queue)
  pop, push = heapq.heappop, heapq.heappush
  while queue:
    _, _, p = pop(queue)
    mine = label[p]
    for step in steps:
      q = p + step
      if not label[q]:
        age += 1
        label[q] = mine
        push(queue, (level[q], age, q))
  out = np.array(label).reshape(h + 2, wide)[1:-1, 1:-1]
  return (out - 1).astype(np.int32)
