"""Small conditional random fields by enumeration: the oracle of the others.

P(x) = exp(-E(x)) / Z with E(x) = sum_i U_i(x_i) + sum_(i,j) T_ij(x_i, x_j).
Everything is summed over all k^n labellings, in float64: a field has at most
LIMIT of them. Textbook definitions (Lafferty, McCallum, Pereira, "Conditional
Random Fields", 2001).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from jaxseg.types import UserError

LIMIT = 1 << 20  # labellings that are enumerated


@dataclasses.dataclass(frozen=True)
class Field:
  """A pairwise random field of n variables with k labels.

  Attributes:
    unary: (n, k) energies.
    edges: (e, 2) int, pairs of variables.
    tables: (e, k, k) energies: tables[e, a, b] is that of edges[e, 0] = a and
      edges[e, 1] = b.
  """

  unary: np.ndarray
  edges: np.ndarray
  tables: np.ndarray

  def __post_init__(self):
    n, k = np.shape(self.unary)
    e = len(self.edges)
    if np.shape(self.edges) != (e, 2) or np.shape(self.tables) != (e, k, k):
      raise UserError(
        f"a field of unary {np.shape(self.unary)} has edges of shape "
        f"{np.shape(self.edges)} and tables of shape {np.shape(self.tables)}: "
        f"expected (e, 2) and (e, {k}, {k})."
      )
    if e and not 0 <= np.min(self.edges) <= np.max(self.edges) < n:
      raise UserError(
        f"edges name variables {np.min(self.edges)} to {np.max(self.edges)}: "
        f"expected 0 to {n - 1}."
      )


def potts(unary: np.ndarray, edges: np.ndarray, weights: np.ndarray) -> Field:
  """The field that pays weights[e] where the ends of edge e differ."""
  k = np.shape(unary)[1]
  tables = np.asarray(weights, np.float64)[:, None, None] * (1 - np.eye(k))
  return Field(np.asarray(unary, np.float64), np.asarray(edges), tables)


def energy(field: Field, labels: np.ndarray) -> np.ndarray:
  """E of labellings int (..., n), float64 (...)."""
  labels = np.asarray(labels)
  n = np.shape(field.unary)[0]
  at = np.asarray(field.unary, np.float64)[np.arange(n), labels]  # (..., n)
  total = at.sum(-1)
  if len(field.edges):
    a, b = (labels[..., np.asarray(field.edges)[:, i]] for i in (0, 1))
    pairs = np.asarray(field.tables, np.float64)[
      np.arange(len(field.edges)), a, b
    ]  # (..., e)
    total = total + pairs.sum(-1)
  return total


def labellings(n: int, k: int) -> np.ndarray:
  """All (k^n, n) of them, the last variable fastest.

  Raises:
    UserError: there are more than LIMIT.
  """
  if k**n > LIMIT:
    raise UserError(
      f"{k} labels of {n} variables make {k**n} labellings, and at most "
      f"{LIMIT} are enumerated: choose mean field or max-flow."
    )
  return np.stack(np.unravel_index(np.arange(k**n), (k,) * n), -1)


def log_partition(field: Field) -> float:
  """log Z = log sum_x exp(-E(x))."""
  return float(np.logaddexp.reduce(-energy(field, _all(field))))


def marginals(field: Field) -> np.ndarray:
  """P(x_i = a), float64 (n, k)."""
  n, k = np.shape(field.unary)
  every = _all(field)
  e = energy(field, every)
  p = np.exp(-(e - e.min()))
  p /= p.sum()
  return np.stack(
    [(p[:, None] * (every == a)).sum(0) for a in range(k)], -1
  ).reshape(n, k)


def most_probable(field: Field) -> tuple[np.ndarray, float]:
  """Labels int (n,) of least energy (the first of equals), and the energy."""
  every = _all(field)
  e = energy(field, every)
  best = int(np.argmin(e))
  return every[best], float(e[best])


def _all(field: Field) -> np.ndarray:
  return labellings(*np.shape(field.unary))
