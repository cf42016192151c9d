"""A segmentation is a partition of the picture into connected regions.

Gonzalez and Woods, "Digital Image Processing", chapter 10, ask five things of
regions R_1 ... R_n of a picture R: their union is R, each is connected, they
are disjoint, Q(R_i) is true, and Q(R_i u R_j) is false for neighbours. A label
map is disjoint by construction; the other four are checked here.

A label map is an integer array (h, w), any ids from 0 on; a negative id is a
pixel that no region covers. Everything here runs on the host, in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from jaxseg import types

# Steps to the neighbours, one of each opposite pair.
STEPS = {4: ((0, 1), (1, 0)), 8: ((0, 1), (1, 0), (1, 1), (1, -1))}
# Values (pixels, channels) of a region -> whether it is one thing.
Predicate = Callable[[np.ndarray], bool]


def constant(values: np.ndarray) -> bool:
  """Q: all pixels (n, c) have one value."""
  return bool((values == values[:1]).all())


def range_within(limit: float) -> Predicate:
  """Q: in every channel the largest minus the smallest is at most `limit`."""
  return lambda values: bool((np.ptp(values, axis=0) <= limit).all())


def check_labels(labels: np.ndarray, *, covered: bool = True) -> np.ndarray:
  """The label map as int64 (h, w).

  Args:
    labels: what is to be one.
    covered: negative ids are refused.

  Raises:
    UserError: empty, not two-dimensional, not of integers, or not covered.
  """
  labels = np.asarray(labels)
  if labels.ndim != 2 or not labels.size:
    raise types.UserError(
      f"a label map of shape {labels.shape} was given; expected (height,"
      " width), both at least 1: pass one picture at a time."
    )
  if labels.dtype.kind not in "iu":
    nan = labels.dtype.kind == "f" and np.isnan(labels).any()
    raise types.UserError(
      f"the label map is of {labels.dtype}{' with NaN in it' if nan else ''};"
      " expected integers: round it to region ids and cast it first."
    )
  labels = labels.astype(np.int64)
  if covered and (labels < 0).any():
    y, x = np.argwhere(labels < 0)[0]
    raise types.UserError(
      f"{np.count_nonzero(labels < 0)} pixels belong to no region, the first"
      f" at row {y}, column {x}; the regions of a partition cover the picture:"
      " give every pixel an id of 0 or more."
    )
  return labels


def _steps(connectivity: int) -> tuple[tuple[int, int], ...]:
  if connectivity not in STEPS:
    raise types.UserError(
      f"connectivity {connectivity} is not known; expected 4 or 8."
    )
  return STEPS[connectivity]


def neighbours(
  shape: tuple[int, int], connectivity: int = 4
) -> tuple[np.ndarray, np.ndarray]:
  """Flat indices p, q (m,) of all pairs of touching pixels, each pair once.

  Sorted by step, then p: to the right, below, then the two diagonals.
  """
  index = np.arange(shape[0] * shape[1]).reshape(shape)
  ends = []
  for dy, dx in _steps(connectivity):
    left = index[: shape[0] - dy, max(-dx, 0) : shape[1] - max(dx, 0)]
    ends.append((left.ravel(), left.ravel() + dy * shape[1] + dx))
  p, q = (np.concatenate(side) for side in zip(*ends))
  return p, q


def relabel(labels: np.ndarray) -> np.ndarray:
  """int32 (h, w): ids 0 .. n - 1 in the order in which a reader meets them.

  Negative ids stay uncovered and become -1.
  """
  labels = check_labels(labels, covered=False)
  flat, n = labels.ravel(), labels.size
  if flat.max() >= 4 * n:  # ids that are far apart, close up first
    ids, flat = np.unique(flat, return_inverse=True)
    flat = np.where(ids < 0, -1, np.arange(len(ids)))[flat]
  first = np.full(max(flat.max(), 0) + 1, n)
  covered = np.flatnonzero(flat >= 0)[::-1]
  first[flat[covered]] = covered  # of several the last is kept: the first pixel
  order = np.argsort(first, kind="stable")
  rank = np.empty(len(first), np.int32)
  rank[order] = np.arange(len(first))
  found = np.where(flat < 0, -1, rank[np.maximum(flat, 0)])
  return found.reshape(labels.shape).astype(np.int32)


def components(labels: np.ndarray, connectivity: int = 4) -> np.ndarray:
  """int32 (h, w): connected pieces of equal id, numbered in reading order.

  Uncovered pixels stay -1.
  """
  labels = check_labels(labels, covered=False)
  flat = labels.ravel()
  p, q = neighbours(labels.shape, connectivity)
  same = flat[p] == flat[q]
  graph = sparse.coo_matrix(
    (np.ones(same.sum(), bool), (p[same], q[same])), (flat.size,) * 2
  )
  pieces = sparse.csgraph.connected_components(graph, directed=False)[1]
  return relabel(np.where(flat < 0, -1, pieces).reshape(labels.shape))


def sizes(labels: np.ndarray) -> np.ndarray:
  """int64 (n,): pixels of region i; n is the largest id + 1."""
  labels = check_labels(labels)
  return np.bincount(labels.ravel())


def adjacency(
  labels: np.ndarray, connectivity: int = 4
) -> tuple[np.ndarray, np.ndarray]:
  """The region adjacency graph.

  Returns:
    pairs (m, 2) of ids i < j that touch, sorted; and how many pairs of
    touching pixels each has: with 4 neighbours the length of their border.
  """
  labels = check_labels(labels)
  p, q = neighbours(labels.shape, connectivity)
  a, b = labels.ravel()[p], labels.ravel()[q]
  a, b = a[a != b], b[a != b]
  n = int(labels.max()) + 1
  if n < 2**31:  # pairs as one number each: sorted many times faster
    key, length = np.unique(
      np.minimum(a, b) * n + np.maximum(a, b), return_counts=True
    )
    return np.stack([key // n, key % n], -1), length
  ends = np.sort(np.stack([a, b], -1), -1)
  pairs, length = np.unique(ends, axis=0, return_counts=True)
  return pairs.reshape(-1, 2), length


def validate(
  labels: np.ndarray,
  predicate: Predicate | None = None,
  image: np.ndarray | None = None,
  *,
  connectivity: int = 4,
) -> None:
  """Returns if the label map is a partition; says which rule is broken.

  Args:
    labels: (h, w) integers.
    predicate: Q, of the values (n, c) of the pixels of a region; None asks
      for the rules of the shapes alone.
    image: (h, w) or (h, w, c), what Q sees; finite.
    connectivity: 4 or 8.

  Raises:
    UserError: names the rule and a region or pixel that breaks it.
  """
  labels = check_labels(labels)
  pieces = components(labels, connectivity)
  # Pieces have one id each: more pieces than ids means that one is split.
  _, first = np.unique(pieces, return_index=True)
  ids, count = np.unique(labels.ravel()[first], return_counts=True)
  if (count > 1).any():
    worst = np.argmax(count)
    raise types.UserError(
      f"region {ids[worst]} is in {count[worst]} pieces; the regions of a"
      f" partition are connected ({connectivity} neighbours): give each piece"
      " its own id, as `components` does."
    )
  if predicate is None:
    return
  values = _values(image, labels.shape)
  for i in ids:
    if not predicate(values[labels == i]):
      raise types.UserError(
        f"the predicate is false on region {i}; in a partition it is true on"
        " every region: split the region."
      )
  for i, j in adjacency(labels, connectivity)[0]:
    if predicate(values[(labels == i) | (labels == j)]):
      raise types.UserError(
        f"the predicate is true on the union of the neighbours {i} and {j}; in"
        " a partition it is false on the union of any two: merge them."
      )


def _values(image: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
  """What a predicate reads: (h, w, c)."""
  given = None if image is None else np.asarray(image)
  if given is None or given.shape[:2] != shape or given.ndim not in (2, 3):
    what = "no image" if given is None else f"an image of shape {given.shape}"
    raise types.UserError(
      f"{what} was given for a label map of shape {shape}; expected the picture"
      " that was segmented, (h, w) or (h, w, c)."
    )
  if given.dtype.kind == "f" and not np.isfinite(given).all():
    raise types.UserError(
      "the image has values that are not finite; expected numbers: a predicate"
      " of NaN says nothing, so fill them in first."
    )
  return given.reshape(*shape, -1)
