"""The oracle against sums that can be written down."""

import itertools
import math

import numpy as np
import pytest

from jaxseg.classical.crf import exact
from jaxseg.types import UserError


def test_two_variables_by_hand():
  # E(0,0)=1+2, E(0,1)=1+0+5, E(1,0)=0+2+5, E(1,1)=0.
  field = exact.potts([[1.0, 0.0], [2.0, 0.0]], [[0, 1]], [5.0])
  want = np.array([3.0, 6.0, 7.0, 0.0])
  every = exact.labellings(2, 2)
  assert every.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
  np.testing.assert_allclose(exact.energy(field, every), want)
  z = sum(math.exp(-e) for e in want)
  assert exact.log_partition(field) == pytest.approx(math.log(z))
  p0 = (math.exp(-3) + math.exp(-6)) / z, (math.exp(-3) + math.exp(-7)) / z
  np.testing.assert_allclose(exact.marginals(field)[:, 0], p0)
  labels, least = exact.most_probable(field)
  assert labels.tolist() == [1, 1]
  assert least == 0


def test_general_tables_against_plain_loops():
  rng = np.random.default_rng(0)
  edges = np.array([[0, 1], [2, 1], [3, 0]])  # in either direction
  field = exact.Field(
    rng.normal(size=(4, 3)), edges, rng.normal(size=(3, 3, 3))
  )
  weight = np.zeros((4, 3))
  for x in itertools.product(range(3), repeat=4):
    e = sum(field.unary[i, a] for i, a in enumerate(x))
    e += sum(t[x[i], x[j]] for (i, j), t in zip(edges, field.tables))
    for i, a in enumerate(x):
      weight[i, a] += math.exp(-e)
  np.testing.assert_allclose(
    exact.log_partition(field), np.log(weight.sum(1)), rtol=1e-12
  )
  np.testing.assert_allclose(
    exact.marginals(field), weight / weight.sum(1, keepdims=True), rtol=1e-10
  )


def test_without_edges_it_is_a_softmax():
  unary = np.array([[0.3, -1.0, 2.0], [40.0, 0.0, -700.0]])  # exp overflows
  field = exact.potts(unary, np.zeros((0, 2), int), np.zeros(0))
  p = np.exp(-(unary - unary.min(1, keepdims=True)))
  p /= p.sum(1, keepdims=True)
  np.testing.assert_allclose(exact.marginals(field), p, atol=1e-12)


def test_what_cannot_be_is_refused():
  with pytest.raises(UserError, match="at most 1048576 are enumerated"):
    exact.labellings(21, 2)
  with pytest.raises(UserError, match=r"expected \(e, 2\) and \(e, 2, 2\)"):
    exact.Field(np.zeros((2, 2)), np.zeros((1, 2), int), np.zeros((1, 3, 3)))
  with pytest.raises(UserError, match="expected 0 to 1"):
    exact.potts(np.zeros((2, 2)), [[0, 2]], [1.0])
