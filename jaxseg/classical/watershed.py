"""The watershed: basins of a relief, grown from its minima or from seeds.

Meyer, "Un algorithme optimal pour la ligne de partage des eaux" (1991): pixels
are flooded in the order of their height, equal ones in the order in which they
were reached. There are no pixels of dams: each belongs to a basin.

Compact: Neubert and Protzel, "Compact watershed and preemptive SLIC", ICPR
2014. A pixel costs its height plus the compactness times the distance to the
seed. It belongs to the seed whose water first takes it (not the first that
reaches it), so every region is connected to its seed.

Runs on the host, one heap.
"""

from __future__ import annotations

import heapq
import math

import numpy as np

from jaxseg import types
from jaxseg.classical import cells as grids
from jaxseg.classical import partition, pictures


def minima(relief: np.ndarray, connectivity: int = 4) -> np.ndarray:
  """int32 (h, w): plateaus without a lower neighbour 1, 2 ...; elsewhere 0."""
  _, level = np.unique(relief, return_inverse=True)
  level = level.reshape(relief.shape)
  plateau = partition.components(level, connectivity)
  p, q = partition.neighbours(relief.shape, connectivity)
  low, flat = level.ravel(), plateau.ravel()
  lowest = np.ones(flat.max() + 1, bool)
  lowest[flat[p[low[p] > low[q]]]] = False
  lowest[flat[q[low[q] > low[p]]]] = False
  number = np.where(lowest, np.cumsum(lowest), 0)
  return number[plateau].astype(np.int32)


def grid_seeds(height: int, width: int, segments: int) -> np.ndarray:
  """int32 (h, w): ids 1 .. n at the middles of a grid's cells, else 0.

  Raises:
    UserError: fewer than one or more segments than pixels.
  """
  grid = grids.grid(height, width, segments)
  y = (2 * np.arange(grid.rows) + 1) * height // (2 * grid.rows)
  x = (2 * np.arange(grid.columns) + 1) * width // (2 * grid.columns)
  found = np.zeros((height, width), np.int32)
  ids = np.arange(1, grid.count + 1, dtype=np.int32)
  found[y[:, None], x] = ids.reshape(grid.rows, grid.columns)
  return found


def watershed(
  relief: np.ndarray,
  seeds: np.ndarray | None = None,
  compactness: float = 0.0,
  *,
  connectivity: int = 4,
) -> np.ndarray:
  """int32 (h, w): the id of the seed that floods each pixel.

  On a flat relief with compactness above 0, the nearest seed, up to paths.

  Args:
    relief: (h, w) heights, such as the length of the gradient.
    seeds: (h, w) int: 0, or an id from 1 on, one or more pixels each; None: the
      `minima`.
    compactness: height per pixel of distance to the seed.
    connectivity: water spreads to 4 or 8 neighbours.

  Raises:
    UserError: no seed, other shapes, heights that are not finite.
  """
  relief = np.asarray(relief)
  steps = partition.STEPS.get(connectivity)
  if steps is None:
    raise types.UserError(
      f"connectivity {connectivity} is not known; expected 4 or 8."
    )
  if not np.isfinite(relief.astype(np.float64)).all():
    raise types.UserError(
      "the relief has heights that are not finite; expected numbers: fill in"
      " what is missing first."
    )
  if seeds is None:
    seeds = minima(relief, connectivity)
  seeds = partition.check_labels(seeds)
  if relief.shape != seeds.shape:
    raise types.UserError(
      f"the relief has shape {relief.shape} and the seeds {seeds.shape};"
      " expected both (height, width) of one picture."
    )
  if not seeds.any():
    raise types.UserError(
      "no pixel is a seed; expected an id of 1 or more at one pixel at least."
    )
  pictures.at_least(compactness=compactness)
  return _flood(relief.astype(np.float64), seeds, float(compactness), steps)


def _flood(relief, seeds, compactness, steps):
  """A heap of cost, age, pixel and the seed's; a rim counts as flooded."""
  wide = relief.shape[1] + 2
  both = (*steps, *((-dy, -dx) for dy, dx in steps))
  moves = sorted(dy * wide + dx for dy, dx in both)
  label = np.pad(seeds, 1, constant_values=-1).ravel().tolist()
  height = np.pad(relief, 1).ravel().tolist()
  first = np.flatnonzero(np.pad(seeds, 1)).tolist()
  heap = [(height[i], age, i, i) for age, i in enumerate(first)]
  heapq.heapify(heap)
  age = len(first)
  while heap:
    _, _, here, source = heapq.heappop(heap)
    if label[here] and here != source:
      continue  # another's water was cheaper
    label[here] = label[source]
    y, x = divmod(source, wide)
    for move in moves:
      there = here + move
      if label[there]:
        continue
      row, column = divmod(there, wide)
      far = math.hypot(row - y, column - x) if compactness else 0.0
      cost = height[there] + compactness * far
      heapq.heappush(heap, (cost, age, there, source))
      age += 1
  grown = np.array(label, np.int32).reshape(-1, wide)
  return grown[1:-1, 1:-1]
