"""Binary fields to their exact optimum by max-flow; alpha-expansion on top.

Greig, Porteous, Seheult, "Exact maximum a posteriori estimation for binary
images" (1989); Kolmogorov, Zabih, "What energy functions can be minimized via
graph cuts?" (2004); Boykov, Veksler, Zabih, "Fast approximate energy
minimization via graph cuts" (2001).

Differs from the papers in what is done before the flow: a variable whose own
energy outweighs all its edges is settled at once and handed to its neighbours,
again and again, which changes no optimum and leaves a small graph. The flow is
SciPy's, on integers: energies are rounded to 2^-28 of the largest left.
Runs on the host.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from jaxseg.types import UserError

LEVELS = 1 << 28  # flow and its reverse add up to less than 2^31


def minimise_binary(
  unary: np.ndarray, edges: np.ndarray, tables: np.ndarray
) -> np.ndarray:
  """A labelling of least energy of a submodular field of two labels.

  Args:
    unary: (n, 2) energies.
    edges: (e, 2) int.
    tables: (e, 2, 2) energies with t[0, 0] + t[1, 1] <= t[0, 1] + t[1, 0].

  Returns:
    int (n,) of 0 and 1.

  Raises:
    UserError: a table is not submodular, or an energy is not finite.
  """
  unary = np.asarray(unary, np.float64)
  tables = np.asarray(tables, np.float64)
  _check_finite(unary)
  _check_finite(tables)
  a, b, c, d = tables.reshape(-1, 4).T
  gain = b + c - a - d
  slack = 1e-9 * np.abs(tables).max(initial=0)
  if gain.min(initial=0) < -slack:
    worst = int(gain.argmin())
    raise UserError(
      f"the energies {tables[worst].tolist()} of edge {worst} are not "
      "submodular: expected t[0][0] + t[1][1] <= t[0][1] + t[1][0], so that "
      "max-flow is exact."
    )
  half = np.maximum(gain, 0) / 2
  # E = const + theta x + sum of half where the two ends differ.
  theta = unary[:, 1] - unary[:, 0]
  first, second = np.asarray(edges, np.int64).reshape(-1, 2).T
  np.add.at(theta, first, c - a - half)
  np.add.at(theta, second, d - c + half)
  return _solve(theta, first, second, half)


def _check_finite(values: np.ndarray) -> None:
  if not np.isfinite(values).all():
    raise UserError(
      f"{(~np.isfinite(values)).sum()} energies are not finite: expected "
      "numbers; a certain label is a large energy of the others."
    )


def _solve(theta, first, second, weight):
  """argmin of theta x + sum of weight[e] where x differs over edge e."""
  n = len(theta)
  labels = np.full(n, -1)
  theta = theta.copy()
  while True:
    strength = np.bincount(first, weight, n) + np.bincount(second, weight, n)
    settled = (labels < 0) & (np.abs(theta) >= strength)
    if not settled.any():
      break
    labels[settled] = theta[settled] < 0
    for here, there in ((first, second), (second, first)):
      gone = settled[here]
      sign = np.where(labels[here[gone]] == 0, 1.0, -1.0)
      theta += np.bincount(there[gone], sign * weight[gone], n)
    keep = ~settled[first] & ~settled[second]
    first, second, weight = first[keep], second[keep], weight[keep]
  free = np.flatnonzero(labels < 0)
  if len(free):
    place = np.full(n, -1)
    place[free] = np.arange(len(free))
    labels[free] = _flow(theta[free], place[first], place[second], weight)
  return labels


def _flow(theta, first, second, weight):
  """As _solve: the smallest source side of a minimum cut has label 0."""
  n = len(theta)
  source, sink, every = n, n + 1, np.arange(n)
  scale = LEVELS / max(np.abs(theta).max(), weight.max(initial=0))
  rows = np.concatenate([first, second, np.full(n, source), every])
  columns = np.concatenate([second, first, every, np.full(n, sink)])
  values = np.concatenate([weight, weight, np.maximum(theta, 0), -theta])
  values[-n:] = np.maximum(values[-n:], 0)
  values = np.rint(values * scale).astype(np.int32)
  shape = (n + 2, n + 2)
  graph = sparse.csr_matrix((values, (rows, columns)), shape, dtype=np.int32)
  flow = csgraph.maximum_flow(graph, source, sink).flow
  rest = graph - flow
  rest.data = np.maximum(rest.data, 0)
  rest.eliminate_zeros()
  reached = csgraph.breadth_first_order(rest, source, return_predecessors=False)
  labels = np.ones(n + 2, int)
  labels[reached] = 0
  return labels[:n]


def alpha_expansion(
  unary: np.ndarray,
  edges: np.ndarray,
  weights: np.ndarray,
  labels: np.ndarray | None = None,
  metric: np.ndarray | None = None,
  sweeps: int = 10,
) -> tuple[np.ndarray, list[float]]:
  """Lets one label after the other grow where that lowers the energy.

  E(x) = sum_i unary[i, x_i] + sum_e weights[e] metric[x_i, x_j]. The energy
  never rises; where no label can grow any more it is at most 2 c times the
  least, c the largest over the smallest distance of two labels (1 for Potts).

  Args:
    unary: (n, k).
    edges: (e, 2) int.
    weights: (e,), at least 0.
    labels: (n,) to start from; None: the least unary energies.
    metric: (k, k) distances of labels; None: 1 where they differ (Potts).
    sweeps: at most so many times over all labels.

  Returns:
    labels int (n,); the energy at the start and after each move.

  Raises:
    UserError: a weight is negative, or the distances are no metric.
  """
  unary = np.asarray(unary, np.float64)
  weights = np.asarray(weights, np.float64)
  n, k = unary.shape
  metric = 1.0 - np.eye(k) if metric is None else np.asarray(metric, float)
  _check_metric(metric, k, weights)
  first, second = np.asarray(edges, np.int64).reshape(-1, 2).T
  every = np.arange(n)

  def energy(x):
    pairs = weights * metric[x[first], x[second]]
    return float(unary[every, x].sum() + pairs.sum())

  start = unary.argmin(1) if labels is None else labels
  labels = np.array(start, np.int64).reshape(n)
  energies = [energy(labels)]
  for _ in range(sweeps):
    before = energies[-1]
    for alpha in range(k):
      a, b = labels[first], labels[second]
      to = np.full_like(a, alpha)
      # (e, 2, 2): index 1 takes alpha.
      pairs = [metric[a, b], metric[a, to], metric[to, b], metric[to, to]]
      tables = (weights * np.stack(pairs)).T.reshape(-1, 2, 2)
      own = np.stack([unary[every, labels], unary[:, alpha]], -1)
      moved = np.where(minimise_binary(own, edges, tables), alpha, labels)
      value = energy(moved)
      if value < energies[-1]:  # rounding may not raise it
        labels = moved
        energies.append(value)
    if energies[-1] >= before:
      break
  return labels, energies


def _check_metric(metric, k, weights):
  if weights.min(initial=0) < 0:
    raise UserError(
      f"an edge weighs {weights.min()}: expected at least 0, so that equal "
      "labels attract."
    )
  through = (metric[:, :, None] + metric[None]).min(1)  # a -> b -> c
  fits = metric.shape == (k, k)
  if not fits or (metric != metric.T).any() or metric.diagonal().any():
    fits = False
  if not fits or (metric < 0).any() or (metric > through + 1e-9).any():
    raise UserError(
      f"the distances of labels {metric.tolist()} are no metric of {k} labels: "
      "expected a symmetric matrix, 0 on the diagonal, that obeys the triangle "
      "inequality."
    )
