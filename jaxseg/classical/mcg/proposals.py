"""Proposals of objects: what hierarchies combine to, ranked.

Arbelaez, Pont-Tuset, Barron, Marques, Malik, "Multiscale combinatorial
grouping", CVPR 2014, section 5; Pont-Tuset et al., PAMI 2017, section 5. Lists
of each hierarchy are joined, holes filled, duplicates dropped, and what is left
is ranked by a forest's guess of its overlap with an object and by how little it
repeats.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxseg.classical.mcg import features, forest, grouping, ranking
from jaxseg.classical.mcg.multiscale import Multiscale

SAME = 0.95  # Jaccard index of duplicates


class Proposals(NamedTuple):
  """The best first.

  Attributes:
    leaves: int32 (h, w), ids 0 .. n - 1.
    rows: bool (count, n), which leaves each has.
    score: float32 (count,), the overlap that the forest expects; not in order,
      for the order is that of marginal relevance.
  """

  leaves: np.ndarray
  rows: np.ndarray
  score: np.ndarray

  def masks(self, count: int | None = None) -> np.ndarray:
    """bool (count, h, w), the first so many; None: all."""
    return self.rows[:count, self.leaves]


def candidates(
  made: Multiscale, counts: tuple[tuple[int, ...], ...]
) -> np.ndarray:
  """bool (count, n): distinct, without holes, not yet ranked.

  Lists come one from each hierarchy in turn: regions of all, then pairs ...

  Args:
    made: hierarchies.
    counts: of `made.every`, how many regions, pairs, triplets and 4-tuples.
  """
  tree = made.tree
  lists = []
  for one, lengths in zip(made.every, counts, strict=True):
    for k, nodes in enumerate(grouping.tuples(one, one.pairs, lengths)):
      lists.append((k, grouping.members(one, nodes)))
  rows = np.concatenate([r for _, r in sorted(lists, key=lambda x: x[0])])
  rows = grouping.fill(rows, tree.leaves, tree.pairs)
  return rows[grouping.distinct(rows, grouping.areas(tree.leaves), SAME)]


def propose(
  made: Multiscale,
  counts: tuple[tuple[int, ...], ...],
  *,
  guess: forest.Forest | None = None,
  most: int | None = None,
  theta: float = ranking.THETA,
) -> Proposals:
  """Ranked proposals.

  Args:
    made: hierarchies of a picture.
    counts: see `candidates`.
    guess: a forest of `features`; None: the shipped one.
    most: proposals that are returned; None: all.
    theta: see `ranking.marginal`.
  """
  leaves = made.tree.leaves
  rows = candidates(made, counts)
  guess = forest.shipped() if guess is None else guess
  score = forest.predict(guess, features.features(rows, made.tree))
  overlap = grouping.jaccard(rows, rows, grouping.areas(leaves))
  order = ranking.marginal(score, overlap, most, theta)
  return Proposals(leaves, rows[order], score[order])
