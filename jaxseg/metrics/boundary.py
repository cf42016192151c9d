"""The boundary benchmark of the Berkeley segmentation data set (BSDS).

Martin, Fowlkes, Malik, "Learning to detect natural image boundaries using
local brightness, color, and texture cues", PAMI 2004; Arbelaez, Maire, Fowlkes,
Malik, "Contour detection and hierarchical image segmentation", PAMI 2011.

At each threshold the prediction is thinned and its pixels are matched one to
one with those of each person's boundary, no farther than 0.0075 of the
diagonal. A predicted pixel is right if any person's boundary matches it; recall
is of all people's pixels. Counts are added over pictures, and then divided.

Differs from the benchmark's own code, which looks for the assignment of least
total distance by an approximate algorithm (CSA) on each pixel's few nearest
neighbours, in that the matching here is one of maximum size among all pairs
near enough: no matching finds more. Which pixels it takes
where several do equally well is another choice than the nearest.

All of it on the host, in NumPy and SciPy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse, spatial

from jaxseg import types
from jaxseg.metrics import thinning

DISTANCE = 0.0075  # of the diagonal
EVERY = tuple((np.arange(1, 34) / 34).tolist())  # thresholds


class Counts(NamedTuple):
  """int64 (t,), one of each for every threshold; pictures add up.

  Attributes:
    found: pixels of people's boundaries that are matched.
    true: pixels of people's boundaries.
    right: predicted pixels that some person's boundary matches.
    said: predicted pixels.
  """

  found: np.ndarray
  true: np.ndarray
  right: np.ndarray
  said: np.ndarray


def reach(shape: tuple[int, int], share: float = DISTANCE) -> float:
  """The largest distance of a match, in pixels."""
  return share * math.hypot(*shape)


def match(
  said: np.ndarray, true: np.ndarray, distance: float
) -> tuple[np.ndarray, np.ndarray]:
  """The largest one-to-one matching of two sets of pixels.

  Args:
    said: bool (h, w).
    true: bool (h, w).
    distance: of the pixels of a pair, at most, Euclidean.

  Returns:
    bool (h, w) twice: which pixels of the two have a partner.
  """
  ends = [np.argwhere(x) for x in (said, true)]
  matched = [np.zeros(x.shape, bool) for x in (said, true)]
  if not all(map(len, ends)):
    return matched[0], matched[1]
  rows, columns = _pairs(*ends, distance)
  partner = _largest(rows, columns, len(ends[0]), len(ends[1]))
  mine = partner >= 0
  for out, at in zip(matched, (ends[0][mine], ends[1][partner[mine]])):
    out[at[:, 0], at[:, 1]] = True
  return matched[0], matched[1]


def _pairs(
  a: np.ndarray, b: np.ndarray, distance: float
) -> tuple[np.ndarray, np.ndarray]:
  """Indices of all pairs of points (n, 2), (m, 2) that are near enough."""
  trees = [spatial.cKDTree(x) for x in (a, b)]
  near = trees[0].sparse_distance_matrix(
    trees[1], distance + 1e-9, output_type="ndarray"
  )
  return near["i"], near["j"]


def _largest(rows, columns, n: int, m: int) -> np.ndarray:
  """int (n,): each row's partner in a maximum matching, or -1.

  A flow from a source through the rows and the columns to a sink, by Dinic's
  algorithm: on edges of capacity 1 it is that of Hopcroft and Karp. SciPy's
  own matching goes into the same dead ends again and again: it took hours for
  1,995 by 2,210 pixels of val's picture 148026, where this takes milliseconds.
  """
  if not len(rows):
    return np.full(n, -1)
  source, sink = n + m, n + m + 1
  a, b = np.arange(n), n + np.arange(m)
  starts = np.concatenate([np.full(n, source), rows, b])
  ends = np.concatenate([a, n + columns, np.full(m, sink)])
  graph = sparse.csr_matrix(
    (np.ones(len(starts), np.int32), (starts, ends)), shape=(sink + 1,) * 2
  )
  flow = sparse.csgraph.maximum_flow(graph, source, sink, method="dinic").flow
  flow = flow[:n, n : n + m].tocoo()
  partner = np.full(n, -1)
  taken = flow.data > 0
  partner[flow.row[taken]] = flow.col[taken]
  return partner


def count(
  strength: np.ndarray,
  truths: np.ndarray,
  thresholds: Sequence[float] = EVERY,
  *,
  share: float = DISTANCE,
  thinned: bool = False,
) -> Counts:
  """What the benchmark counts on one picture.

  Args:
    strength: float (h, w), of the boundary at each pixel, in [0, 1].
    truths: bool (a, h, w), the thin boundaries of each person.
    thresholds: a pixel is on the boundary where its strength is at least so
      much, and above 0.
    share: largest distance of a match, as a share of the diagonal.
    thinned: lines are one pixel wide already, at every threshold.

  Raises:
    UserError: shapes that do not fit, or strength that is not finite.
  """
  strength, truths = np.asarray(strength), np.asarray(truths, bool)
  if truths.ndim != 3 or strength.shape != truths.shape[1:]:
    raise types.UserError(
      f"a boundary map of shape {strength.shape} and people's boundaries of"
      f" shape {truths.shape} were given; expected (h, w) and (people, h, w)."
    )
  if not np.isfinite(strength).all():
    raise types.UserError(
      "the boundary map has values that are not finite; expected strengths in"
      " [0, 1]: mend the method that made it."
    )
  distance = reach(strength.shape, share)
  at = [np.argwhere(x) for x in truths]
  rows = []
  for t in thresholds:
    said = (strength >= t) & (strength > 0)
    mine = np.argwhere(said if thinned else thinning.thin(said))
    right = np.zeros(len(mine), bool)
    found = 0
    for theirs in at:
      if len(mine) and len(theirs):
        pairs = _pairs(mine, theirs, distance)
        partner = _largest(*pairs, len(mine), len(theirs))
        right |= partner >= 0
        found += np.count_nonzero(partner >= 0)
    rows.append((found, truths.sum(), right.sum(), len(mine)))
  return Counts(*np.array(rows, np.int64).reshape(-1, 4).T)


def precision_recall(counts: Counts) -> tuple[np.ndarray, np.ndarray]:
  """Shares (...,); where nothing is said precision is 0, where nothing is
  true recall is 0."""
  return (
    counts.right / np.maximum(counts.said, 1),
    counts.found / np.maximum(counts.true, 1),
  )


def f_measure(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
  """2 p r / (p + r), and 0 where both are."""
  total = precision + recall
  return 2 * precision * recall / np.where(total > 0, total, 1)


def scores(
  pictures: Sequence[Counts], thresholds: Sequence[float] = EVERY
) -> dict[str, float]:
  """ODS, OIS and AP of a set.

  Returns:
    'ods' F at the best threshold for the set ('ods_threshold',
    'ods_precision', 'ods_recall'; linear between thresholds), 'ois' F of the
    sums at each picture's own best threshold, 'ap' the area under precision
    over recall, at recalls 0, 0.01 ... 1.
  """
  if not pictures:
    raise types.UserError("no picture was counted; expected at least one.")
  every = Counts(*(np.stack(x) for x in zip(*pictures)))  # (n, t)
  p, r = precision_recall(Counts(*(x.sum(0) for x in every)))
  t, p_fine, r_fine = _between(np.asarray(thresholds, float), p, r)
  f = f_measure(p_fine, r_fine)
  best = int(np.argmax(f))
  own = np.argmax(f_measure(*precision_recall(every)), 1)
  picked = Counts(*(x[np.arange(len(own)), own].sum() for x in every))
  return {
    "ods": float(f[best]),
    "ods_threshold": float(t[best]),
    "ods_precision": float(p_fine[best]),
    "ods_recall": float(r_fine[best]),
    "ois": float(f_measure(*precision_recall(picked))),
    "ap": average_precision(p, r),
  }


def _between(*curves: np.ndarray, parts: int = 100) -> list[np.ndarray]:
  """Curves (t,) with `parts` points from each of theirs to the next."""
  n = len(curves[0])
  at = np.linspace(0, n - 1, (n - 1) * parts + 1)
  return [np.interp(at, np.arange(n), x) for x in curves]


def average_precision(precision: np.ndarray, recall: np.ndarray) -> float:
  """Mean of the precision at recalls 0.01, 0.02 ... 1, linear in between.

  Recalls that were not reached count 0; so does what is below the least.
  """
  recall, first = np.unique(recall, return_index=True)
  at = np.arange(101) / 100
  p = np.interp(at, recall, np.asarray(precision)[first], left=0, right=0)
  return float(p.sum() / 100)
