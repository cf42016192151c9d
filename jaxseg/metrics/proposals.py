"""How well a pool of proposed masks covers the objects of pictures.

Best overlap: Pont-Tuset, Arbelaez, Barron, Marques, Malik, "Multiscale
combinatorial grouping", PAMI 2017: of each object the largest Jaccard index of
any proposal; its mean over all objects of the set (instance level), and the
mean over classes of the means over their objects (class level, the average
best overlap of Carreira and Sminchisescu). Recall at t: the share of objects
whose best is at least t.

Means are over objects of the whole set, never of pictures. NumPy, on the host.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from jaxseg import types


def jaccard(
  objects: np.ndarray, proposals: np.ndarray, valid: np.ndarray | None = None
) -> np.ndarray:
  """float64 (objects, proposals): intersection over union; 0 of two empty.

  Args:
    objects: bool (n, h, w).
    proposals: bool (m, h, w).
    valid: bool (h, w), pixels that count.

  Raises:
    UserError: shapes that do not go together.
  """
  a, b = np.asarray(objects, bool), np.asarray(proposals, bool)
  if a.ndim != 3 or b.ndim != 3 or a.shape[1:] != b.shape[1:]:
    raise types.UserError(
      f"objects of shape {a.shape} and proposals of {b.shape} were given;"
      " expected masks (n, h, w) and (m, h, w) of one picture."
    )
  if not len(a) or not len(b):
    return np.zeros((len(a), len(b)))
  keep = np.ones(a[0].shape, bool) if valid is None else valid.astype(bool)
  a, b = a[:, keep].astype(np.float64), b[:, keep].astype(np.float64)
  both = a @ b.T
  union = a.sum(1)[:, None] + b.sum(1) - both
  return both / np.maximum(union, 1)


def by_leaf(
  regions: np.ndarray, leaves: np.ndarray, smallest: int = 1
) -> np.ndarray:
  """int64 (objects, n): the pixels of each object in each leaf.

  Objects are all regions of all label maps.

  Args:
    regions: int (a, h, w), label maps, such as those of several people.
    leaves: int (h, w), ids 0 .. n - 1.
    smallest: pixels that an object has at least.
  """
  n, rows = int(leaves.max()) + 1, [np.zeros((0, int(leaves.max()) + 1), int)]
  for one in regions:
    cell = one.astype(np.int64) * n + leaves
    count = np.bincount(cell.ravel(), minlength=(int(one.max()) + 1) * n)
    rows.append(count.reshape(-1, n))
  table = np.concatenate(rows)
  return table[table.sum(1) >= max(smallest, 1)]


def jaccard_by_leaf(
  table: np.ndarray, area: np.ndarray, rows: np.ndarray
) -> np.ndarray:
  """float64 (objects, proposals): `jaccard` of proposals made of leaves.

  Args:
    table: (objects, n), see `by_leaf`.
    area: (n,), pixels of the leaves.
    rows: bool (proposals, n), the leaves of each.
  """
  member = rows.astype(np.float64)
  both = table @ member.T
  union = table.sum(1)[:, None] + (member @ area)[None] - both
  return both / np.maximum(union, 1)


@dataclasses.dataclass(frozen=True)
class Bests:
  """Of every object of a set: its class, and its best overlap by pool size."""

  classes: np.ndarray  # int (objects,)
  overlap: np.ndarray  # float64 (objects, sizes)

  def __add__(self, other: Bests) -> Bests:
    """Both sets together."""
    return Bests(
      np.concatenate([self.classes, other.classes]),
      np.concatenate([self.overlap, other.overlap]),
    )


def bests(
  objects: np.ndarray,
  classes: np.ndarray,
  proposals: np.ndarray,
  sizes: tuple[int, ...],
  valid: np.ndarray | None = None,
) -> Bests:
  """Best Jaccard of each object of one picture among the first so many.

  Args:
    objects: bool (n, h, w).
    classes: int (n,).
    proposals: bool (m, h, w), the best ranked first.
    sizes: of the pools, each at least 1; where there are fewer, all.
    valid: bool (h, w), pixels that count.
  """
  return bests_of(jaccard(objects, proposals, valid), classes, sizes)


def bests_of(
  table: np.ndarray, classes: np.ndarray, sizes: tuple[int, ...]
) -> Bests:
  """As `bests`, of a table of overlaps (objects, proposals)."""
  best = np.maximum.accumulate(table, 1)
  found = np.zeros((len(table), len(sizes)))
  for k, size in enumerate(sizes):
    if table.shape[1]:
      found[:, k] = best[:, min(size, table.shape[1]) - 1]
  return Bests(np.asarray(classes, np.int64).reshape(-1), found)


def scores(
  found: Bests, thresholds: tuple[float, ...] = (0.5, 0.7)
) -> dict[str, np.ndarray]:
  """Arrays (sizes,): 'instance', 'class', 'recall/0.5' ...; NaN: no object.

  Args:
    found: of the whole set.
    thresholds: of recall; an overlap that equals one counts.
  """
  count = len(found.classes)
  nan = np.full(found.overlap.shape[1], np.nan)
  if not count:
    return dict.fromkeys(
      ["instance", "class", *(f"recall/{t:g}" for t in thresholds)], nan
    )
  ids = np.unique(found.classes)
  by_class = [found.overlap[found.classes == i].mean(0) for i in ids]
  recall = {f"recall/{t:g}": (found.overlap >= t).mean(0) for t in thresholds}
  return {
    "instance": found.overlap.mean(0),
    "class": np.mean(by_class, 0),
    **recall,
  }
