"""Warping error: Jain et al., "Boundary learning by optimization with
topological constraints", CVPR 2010. The truth is warped towards the prediction
by flipping simple points, which change no object's topology; what still differs
are splits, mergers, holes and objects too many or too few.

In the plane, objects with four neighbours on a ground with eight; outside of
the picture is ground. A point is simple if Yokoi's number of it is 1. Warping
is greedy, as the paper's: in reading order, then the neighbours of what has
changed; the least error of all warpings may be lower. NumPy, on the host.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np

from jaxseg import types

# Around a point, from the right counter-clockwise; even ones share an edge.
AROUND = (
  (0, 1),
  (-1, 1),
  (-1, 0),
  (-1, -1),
  (0, -1),
  (1, -1),
  (1, 0),
  (1, 1),
)


def _table() -> list[bool]:
  """Of the neighbours as bits of a number: whether the point is simple."""
  bits = np.arange(256)[:, None] >> np.arange(8) & 1
  number = sum(
    bits[:, k] * (1 - bits[:, (k + 1) % 8] * bits[:, (k + 2) % 8])
    for k in (0, 2, 4, 6)
  )
  return (number == 1).tolist()


SIMPLE = _table()


class Warped(NamedTuple):
  """The truth after warping, and what still differs."""

  truth: np.ndarray  # bool (h, w)
  wrong: np.ndarray  # bool (h, w)


def warp(
  truth: np.ndarray, predicted: np.ndarray, may: np.ndarray | None = None
) -> Warped:
  """The truth of one picture warped towards the prediction.

  Args:
    truth: bool (h, w), True: object.
    predicted: bool (h, w).
    may: bool (h, w), where it may change, such as near its boundary.

  Raises:
    UserError: shapes that differ, or not bool.
  """
  arrays = [np.asarray(x) for x in (truth, predicted)]
  if may is not None:
    arrays.append(np.asarray(may))
  if any(
    x.ndim != 2 or x.shape != arrays[0].shape or x.dtype != bool for x in arrays
  ):
    given = ", ".join(f"{x.dtype} {x.shape}" for x in arrays)
    raise types.UserError(
      f"masks {given} were given; expected bool (height, width) of one size:"
      " threshold a prediction first."
    )
  # A rim of ground that may not change.
  wide = truth.shape[1] + 2
  goal = np.pad(arrays[1], 1)
  free = np.ones(truth.shape, bool) if may is None else arrays[2]
  free = np.pad(free, 1).ravel().tolist()
  now, goal = np.pad(arrays[0], 1).ravel().tolist(), goal.ravel().tolist()
  steps = [dy * wide + dx for dy, dx in AROUND]
  waiting = deque(
    i for i, (a, b) in enumerate(zip(now, goal)) if a != b and free[i]
  )
  while waiting:
    here = waiting.popleft()
    if now[here] == goal[here]:
      continue
    code = sum(now[here + step] << k for k, step in enumerate(steps))
    if not SIMPLE[code]:
      continue
    now[here] = goal[here]
    for step in steps:
      there = here + step
      if now[there] != goal[there] and free[there]:
        waiting.append(there)
  warped = np.array(now, bool).reshape(-1, wide)[1:-1, 1:-1]
  return Warped(warped, warped != arrays[1])


def warping_error(
  truth: np.ndarray, predicted: np.ndarray, may: np.ndarray | None = None
) -> types.Mean:
  """Pixels that differ after warping, and all: added over a set.

  Args:
    truth: bool (h, w).
    predicted: bool (h, w).
    may: bool (h, w), where the truth may change.

  Raises:
    UserError: as `warp`.
  """
  wrong = warp(truth, predicted, may).wrong
  return types.Mean(np.float64(wrong.sum()), np.float64(wrong.size))
