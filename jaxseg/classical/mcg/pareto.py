"""How long each ranked list is to be, for so many proposals in all.

Arbelaez, Pont-Tuset, Barron, Marques, Malik, CVPR 2014, section 5.2 (PAMI 2017,
section 5.2): more proposals find objects better, and of all choices of lengths
those are worth something that no other beats with fewer proposals. There are
too many choices to try: lists join one by one, and only what is worth something
of the lists before goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MOST = 200  # choices that go on


class Choice(NamedTuple):
  """A length for each list: how many proposals that makes, and the mean over
  objects of the best overlap among them."""

  lengths: tuple[int, ...]
  count: int
  quality: float


def front(cost: np.ndarray, quality: np.ndarray) -> np.ndarray:
  """int64: those that none beats, from cheap to dear: each costs more than the
  one before and is better; of equals the first."""
  order = np.lexsort((-quality, cost))
  best = np.maximum.accumulate(np.append(-np.inf, quality[order][:-1]))
  return order[quality[order] > best]


def choose(
  bests: Sequence[np.ndarray],
  lengths: Sequence[Sequence[int]],
  most: int = MOST,
) -> list[Choice]:
  """The choices that are worth something.

  Args:
    bests: of each list (objects, s): the best overlap of each object among the
      first so many of the list.
    lengths: of each list (s,), how many these are, ascending.
    most: choices that go on from list to list, evenly along the front.

  Returns:
    Choices from few proposals to many. Nothing at all is one.
  """
  objects = len(bests[0])
  found = np.zeros((1, objects))
  picks: list[tuple[int, ...]] = [()]
  count = np.zeros(1, int)
  for best, sizes in zip(bests, lengths, strict=True):
    best = np.concatenate([np.zeros((objects, 1)), best], 1)
    sizes = np.append(0, sizes)
    cost = (count[:, None] + sizes).ravel()
    quality = np.stack(
      [np.maximum(found, column).mean(1) for column in best.T], -1
    ).ravel()
    keep = front(cost, quality)
    if len(keep) > most:
      keep = keep[np.linspace(0, len(keep) - 1, most).round().astype(int)]
    before, which = np.divmod(keep, len(sizes))
    found = np.maximum(found[before], best.T[which])
    picks = [
      (*picks[i], int(sizes[j]))
      for i, j in zip(before.tolist(), which.tolist())
    ]
    count = cost[keep]
  return [
    Choice(p, int(n), float(q)) for p, n, q in zip(picks, count, found.mean(1))
  ]
