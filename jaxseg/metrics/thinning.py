"""Lines one pixel wide out of thick ones.

Guo and Hall, "Parallel thinning with two-subiteration algorithms",
Communications of the ACM 1989, algorithm A1: no piece is lost or split, no end
of a line shortened below two pixels. On the host, in NumPy: the boundary
benchmark thins what it matches.
"""

from __future__ import annotations

import numpy as np

# Neighbours from above, clockwise: steps (dy, dx).
AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))


def _tables() -> np.ndarray:
  """bool (2, 256): whether a pixel with these neighbours goes, by half-step.

  Bit i of the index is neighbour i of AROUND.
  """
  x = (np.arange(256)[:, None] >> np.arange(8)) & 1
  n, ne, e, se, s, sw, w, nw = x.T.astype(bool)
  # Crossings from outside to inside: 1 where the pixel joins nothing else.
  crossings = (
    (~n & (ne | e)).astype(int)
    + (~e & (se | s))
    + (~s & (sw | w))
    + (~w & (nw | n))
  )
  pairs = [
    sum((a | b).astype(int) for a, b in ((nw, n), (ne, e), (se, s), (sw, w))),
    sum((a | b).astype(int) for a, b in ((n, ne), (e, se), (s, sw), (w, nw))),
  ]
  few = np.minimum(*pairs)
  end = (few >= 2) & (few <= 3)
  first = (n | ne | ~se) & e
  second = (s | sw | ~nw) & w
  go = (crossings == 1) & end
  return np.stack([go & ~first, go & ~second])


TABLES = _tables()


def thin(mask: np.ndarray) -> np.ndarray:
  """bool (h, w): the lines of a mask, one pixel wide, where they were."""
  wide = np.pad(np.asarray(mask, bool), 1)
  inner = wide[1:-1, 1:-1]
  while True:
    before = inner.sum()
    for table in TABLES:
      y, x = np.nonzero(inner)
      index = sum(
        wide[y + 1 + dy, x + 1 + dx].astype(np.uint8) << i
        for i, (dy, dx) in enumerate(AROUND)
      )
      inner[y, x] = ~table[index] if len(y) else False
    if inner.sum() == before:
      return inner.copy()
