"""In which order proposals come: good ones first, but not the same thing twice.

Carbonell, Goldstein, "The use of MMR, diversity-based reranking for reordering
documents and producing summaries", 1998; for proposals: Carreira,
Sminchisescu, "CPMC", PAMI 2012, and Pont-Tuset et al., PAMI 2017, section 5.3.
"""

from __future__ import annotations

import numpy as np

from jaxseg import types

THETA = 0.7


def marginal(
  score: np.ndarray,
  overlap: np.ndarray,
  count: int | None = None,
  theta: float = THETA,
) -> np.ndarray:
  """int64 (count,): maximal marginal relevance.

  Next is always the one with the largest theta score - (1 - theta) overlap,
  with whichever of those before it overlaps most; of equals the first.

  Args:
    score: (n,), in [0, 1].
    overlap: (n, n), Jaccard index.
    count: how many are ordered; None: all.
    theta: 1: by score alone.

  Raises:
    UserError: theta outside [0, 1].
  """
  if not 0 <= theta <= 1:
    raise types.UserError(f"theta = {theta}; expected a number from 0 to 1.")
  n = len(score)
  order = np.zeros(n if count is None else min(count, n), np.int64)
  left = theta * np.asarray(score, np.float64)
  near = np.zeros(n)
  for i in range(len(order)):
    order[i] = best = int(np.argmax(left - (1 - theta) * near))
    left[best] = -np.inf
    np.maximum(near, overlap[best], out=near)
  return order
