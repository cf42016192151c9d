"""Grid fields: weights by hand, ICM, cuts and expansions against the oracle."""

import itertools

import numpy as np
import pytest

from jaxseg.classical.crf import cuts, exact, grid
from jaxseg.types import UserError
from tests import quick

weights_of = quick.jit(grid.contrast_weights, static_argnums=(2, 3))
icm = quick.jit(grid.icm)


def _field(seed, h=3, w=3, k=2, neighbours=4, scale=1.0):
  rng = np.random.default_rng(seed)
  unary = rng.normal(size=(h, w, k)).astype(np.float32)
  image = rng.random((1, h, w, 3), np.float32)
  weights = np.asarray(weights_of(image, scale, 0.5, neighbours))[0]
  return unary, weights


def _exact(unary, weights):
  return exact.potts(unary.reshape(-1, unary.shape[-1]), *grid.edges(weights))


def test_weights_and_edges_by_hand():
  image = np.array([[[[0.0], [1.0]], [[3.0], [0.0]]]])  # 0 1 / 3 0
  weights = np.asarray(weights_of(image, 2.0, 1.5, 8))[0]
  pairs, values = grid.edges(weights)
  found = {tuple(p): v for p, v in zip(pairs.tolist(), values)}
  squares = {(0, 1): 1, (2, 3): 9, (0, 2): 9, (1, 3): 1, (0, 3): 0, (1, 2): 4}
  assert found.keys() == squares.keys()
  for pair, square in squares.items():
    far = np.sqrt(2) if pair in ((0, 3), (1, 2)) else 1.0
    want = 2 * np.exp(-square / (2 * 1.5**2)) / far
    assert found[pair] == pytest.approx(want, rel=1e-6)
  own = np.asarray(weights_of(image, 1.0, None, 4))[0]
  assert own[0, 0, 0] == pytest.approx(np.exp(-1 / (2 * 5)))  # mean of 1 9 9 1
  assert own[0, 1, 0] == 0  # nothing to the right of it
  assert own.sum() == pytest.approx(2 * np.exp(-0.1) + 2 * np.exp(-0.9))


def test_a_flat_picture_and_a_single_row_have_weights():
  flat = np.asarray(weights_of(np.ones((1, 3, 3, 3)), 1.0, None, 8))[0]
  assert flat[0, 0].tolist() == pytest.approx([1, 1, 0.5**0.5, 0])
  row = np.asarray(weights_of(np.ones((1, 1, 4, 3)), 1.0, None, 8))[0]
  pairs, values = grid.edges(row)
  assert pairs.tolist() == [[0, 1], [1, 2], [2, 3]]
  assert values.tolist() == [1, 1, 1]
  column = np.asarray(weights_of(np.ones((1, 3, 1, 3)), 1.0, None, 8))[0]
  assert grid.edges(column)[0].tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize("neighbours", [4, 8])
def test_max_flow_is_the_most_probable_labelling(neighbours):
  mixed = 0
  for seed in range(20):
    unary, weights = _field(seed, neighbours=neighbours)
    field = _exact(unary, weights)
    want, least = exact.most_probable(field)
    got = cuts.minimise_binary(field.unary, field.edges, field.tables)
    np.testing.assert_array_equal(got, want)
    assert exact.energy(field, got) == pytest.approx(least)
    mixed += 0 < got.sum() < 9 and (got != field.unary.argmin(1)).any()
  assert mixed >= 5  # neither constant nor what the unary energies say


def test_max_flow_on_general_submodular_tables():
  rng = np.random.default_rng(1)
  pairs = np.array(list(itertools.combinations(range(8), 2)))
  for _ in range(20):
    tables = rng.normal(size=(len(pairs), 2, 2))
    gain = tables[:, 0, 1] + tables[:, 1, 0] - tables[:, 0, 0] - tables[:, 1, 1]
    tables[:, 0, 1] += np.maximum(-gain, 0)
    field = exact.Field(3 * rng.normal(size=(8, 2)), pairs, tables)
    got = cuts.minimise_binary(field.unary, field.edges, field.tables)
    np.testing.assert_array_equal(got, exact.most_probable(field)[0])


def test_settling_variables_first_changes_nothing(monkeypatch):
  """The flow alone, over all variables, finds an equally good labelling."""
  rng = np.random.default_rng(2)
  unary, weights = _field(3, 12, 15, 2, 8, 0.7)
  field = _exact(unary, weights)
  sizes = []
  flow = cuts._flow

  def seen(theta, *rest):
    sizes.append(len(theta))
    return flow(theta, *rest)

  monkeypatch.setattr(cuts, "_flow", seen)
  got = cuts.minimise_binary(field.unary, field.edges, field.tables)
  assert 0 < sizes[0] < 12 * 15
  theta = field.unary[:, 1] - field.unary[:, 0]
  pairs, values = grid.edges(weights)
  plain = flow(theta, *pairs.T, values)
  np.testing.assert_allclose(
    exact.energy(field, got), exact.energy(field, plain), atol=1e-5
  )
  for _ in range(200):  # no single change and no random patch does better
    other = got.reshape(12, 15).copy()
    y, x, n = *rng.integers(0, 12, 2), rng.integers(1, 4)
    other[y : y + n, x : x + n] ^= 1
    assert exact.energy(field, other.ravel()) >= exact.energy(field, got) - 1e-6


def test_icm_never_raises_the_energy_and_ends_at_a_mode():
  rng = np.random.default_rng(0)
  for neighbours in (4, 8):
    unary, weights = _field(5, 7, 6, 3, neighbours)
    field = _exact(unary, weights)
    start = rng.integers(0, 3, (1, 7, 6))
    energies = [exact.energy(field, start.reshape(-1))]
    for sweeps in range(1, 6):
      x = icm(unary[None], weights[None], start, sweeps=sweeps)
      energies.append(exact.energy(field, np.asarray(x).reshape(-1)))
    assert energies[1] < energies[0] - 1
    assert (np.diff(energies) <= 1e-5).all()
    x = np.asarray(icm(unary[None], weights[None], start, sweeps=50)).ravel()
    for i in range(42):
      for label in range(3):
        other = x.copy()
        other[i] = label
        assert exact.energy(field, other) >= exact.energy(field, x) - 1e-5


def test_icm_of_a_batch_is_icm_of_each():
  pairs = [_field(seed, 6, 5, 3) for seed in (1, 2)]
  unary, weights = (np.stack(x) for x in zip(*pairs))
  both = np.asarray(icm(unary, weights))
  for i in range(2):
    one = icm(unary[i : i + 1], weights[i : i + 1])
    np.testing.assert_array_equal(both[i], one[0])
  assert (both[0] != both[1]).any()


def test_expansion_is_exact_with_two_labels_and_bounded_with_more():
  better = 0
  for seed in range(10):
    unary, weights = _field(seed, 3, 3, 2)
    field = _exact(unary, weights)
    got, energies = cuts.alpha_expansion(field.unary, *grid.edges(weights))
    assert energies[-1] == pytest.approx(exact.most_probable(field)[1])
    assert exact.energy(field, got) == pytest.approx(energies[-1])
    unary, weights = _field(seed, 3, 3, 3, 8)
    unary -= unary.min(-1, keepdims=True)  # the bound is of energies >= 0
    field = _exact(unary, weights)
    got, energies = cuts.alpha_expansion(field.unary, *grid.edges(weights))
    least = exact.most_probable(field)[1]
    assert (np.diff(energies) < 0).all()
    assert exact.energy(field, got) == pytest.approx(energies[-1])
    assert least - 1e-9 <= energies[-1] <= 2 * least + 1e-9
    mode = np.asarray(icm(unary[None], weights[None])).ravel()
    better += energies[-1] < exact.energy(field, mode) - 1e-6
  assert better > 0


def test_expansion_with_a_metric_of_labels():
  unary, weights = _field(4, 2, 3, 4)
  distance = np.minimum(np.abs(np.subtract.outer(range(4), range(4))), 2.0)
  pairs, values = grid.edges(weights)
  field = exact.Field(
    unary.reshape(6, 4), pairs, values[:, None, None] * distance
  )
  got, energies = cuts.alpha_expansion(
    field.unary, pairs, values, metric=distance
  )
  assert exact.energy(field, got) == pytest.approx(energies[-1])
  assert energies[-1] == pytest.approx(exact.most_probable(field)[1])


def test_what_cannot_be_is_refused():
  pair = np.array([[0, 1]])
  with pytest.raises(UserError, match="edge 0 are not submodular"):
    cuts.minimise_binary(np.zeros((2, 2)), pair, -1 + np.eye(2)[None])
  with pytest.raises(UserError, match="1 energies are not finite"):
    cuts.minimise_binary([[0, np.nan], [0, 0]], pair, np.zeros((1, 2, 2)))
  with pytest.raises(UserError, match=r"weighs -1\.0: expected at least 0"):
    cuts.alpha_expansion(np.zeros((2, 2)), pair, [-1.0])
  square = np.subtract.outer(range(3), range(3)) ** 2
  with pytest.raises(UserError, match="triangle"):
    cuts.alpha_expansion(np.zeros((2, 3)), pair, [1.0], metric=square)
  with pytest.raises(UserError, match="neighbours = 6: expected 4 or 8"):
    grid.contrast_weights(np.zeros((1, 2, 2, 3)), neighbours=6)
  with pytest.raises(UserError, match="deviation = 0"):
    grid.contrast_weights(np.zeros((1, 2, 2, 3)), deviation=0.0)
