"""Features against pixels, the forest against scikit-learn, marginal relevance
by hand, lengths of lists by brute force."""

import builtins
import itertools

import numpy as np
import pytest
from sklearn import ensemble

from jaxseg.classical import owt, partition, ucm
from jaxseg.classical.mcg import features, forest, pareto, ranking
from jaxseg.types import UserError


def hierarchy(seed, shape):
  planes = np.random.default_rng(seed).random((*shape, 8))
  return ucm.merge(owt.transform(planes))


def of_pixels(mask, tree):
  """The features, pixel by pixel and side by side."""
  h, w = mask.shape
  y, x = np.argwhere(mask).T
  heights = {tuple(p): v for p, v in zip(tree.pairs.tolist(), tree.heights)}
  contour, inside, rim = [], [], 0
  for i, j in itertools.product(range(h), range(w)):
    for a, b in ((i + 1, j), (i, j + 1), (i - 1, j), (i, j - 1)):
      if not (0 <= a < h and 0 <= b < w):
        rim += mask[i, j]
        continue
      ends = sorted((int(tree.leaves[i, j]), int(tree.leaves[a, b])))
      if mask[i, j] and not mask[a, b]:
        contour.append(heights[tuple(ends)])
      if mask[i, j] and mask[a, b] and ends[0] != ends[1] and (a, b) > (i, j):
        inside.append(heights[tuple(ends)])
  t, le, b, r = y.min(), x.min(), y.max() + 1, x.max() + 1
  around = len(contour) + rim
  # Moments of the squares themselves, by a fine grid.
  fine = (np.arange(12) + 0.5) / 12 - 0.5
  yy, xx = np.broadcast_arrays(
    y[:, None, None] + fine[:, None], x[:, None, None] + fine
  )
  values = np.linalg.eigvalsh(np.cov(yy.ravel(), xx.ravel(), bias=True))
  return [
    mask.mean(),
    (b - t) / h,
    (r - le) / w,
    t / h,
    le / w,
    b / h,
    r / w,
    (y.mean() + 0.5) / h,
    (x.mean() + 0.5) / w,
    mask.sum() / ((b - t) * (r - le)),
    4 * np.pi * mask.sum() / around**2,
    np.sqrt(values[0] / values[1]),
    len(contour) / (2 * (h + w)),
    rim / around,
    np.mean(contour) if contour else 1,
    np.min(contour) if contour else 1,
    np.mean(inside) if inside else 0,
    np.max(inside) if inside else 0,
    (np.mean(contour) if contour else 1) - (np.mean(inside) if inside else 0),
  ]


@pytest.mark.parametrize("shape", [(9, 12), (14, 8)])
def test_features_are_those_of_pixels(shape):
  tree = hierarchy(0, shape)
  rng = np.random.default_rng(1)
  rows = rng.random((10, tree.count)) < 0.5
  rows[0], rows[1] = True, np.arange(tree.count) == 3
  got = features.features(rows, tree, chunk=4)
  want = np.array([of_pixels(row[tree.leaves], tree) for row in rows])
  assert got.shape == (10, len(features.NAMES))
  np.testing.assert_allclose(got, want, rtol=0.01, atol=1e-5)
  exact = [i for i, n in enumerate(features.NAMES) if n != "elongation"]
  np.testing.assert_allclose(got[:, exact], want[:, exact], rtol=1e-5)


def test_a_circle_is_round_and_a_line_is_long():
  y, x = np.mgrid[:61, :61]
  for mask, low, high in (
    ((y - 30) ** 2 + (x - 30) ** 2 <= 25**2, 0.98, 1),
    (np.abs(y - 30) * 10 <= 2 * np.abs(x < 50), 0.0, 0.05),
  ):
    leaves = partition.components(mask.astype(int))
    pairs, length = partition.adjacency(leaves)
    arcs = owt.Arcs(leaves, pairs, length, np.linspace(0.1, 0.2, len(pairs)))
    inside = np.unique(leaves[mask])
    rows = np.isin(np.arange(leaves.max() + 1), inside)[None]
    got = dict(zip(features.NAMES, features.features(rows, ucm.merge(arcs))[0]))
    assert low <= got["elongation"] <= high
    assert got["area"] == pytest.approx(mask.mean())


def problem(n=600):
  rng = np.random.default_rng(0)
  x = rng.random((n, 5)).astype(np.float32)
  return x, np.sin(3 * x[:, 0]) * x[:, 1] + 0.1 * rng.random(n)


def test_a_forest_says_what_scikit_learn_says(tmp_path):
  x, y = problem()
  options = {"min_samples_leaf": 5, "max_leaf_nodes": 40, "random_state": 3}
  theirs = ensemble.RandomForestRegressor(7, max_features=1 / 3, **options)
  theirs.fit(x, y)
  mine = forest.fit(x, y, trees=7, leaves=40, smallest=5, seed=3)
  other = np.random.default_rng(9).random((300, 5)).astype(np.float32)
  want = theirs.predict(other)
  np.testing.assert_allclose(forest.predict(mine, other), want, atol=1e-6)
  assert np.ptp(want) > 0.5
  forest.save(mine, tmp_path / "f.npz")
  again = forest.load(tmp_path / "f.npz")
  np.testing.assert_array_equal(
    forest.predict(again, other), forest.predict(mine, other)
  )
  # One that learned: better than the mean on examples that it has not seen.
  z = np.sin(3 * other[:, 0]) * other[:, 1] + 0.05
  assert np.mean((want - z) ** 2) < 0.2 * z.var()


def test_a_tree_by_hand():
  """x0 <= 1: 0.25; else x1 <= 2: 0.5, else 1; and a tree that says 0."""
  tree = forest.Forest(
    np.array([0, 5], np.int32),
    np.array([0, -1, 1, -1, -1, -1], np.int16),
    np.array([1.0, 0, 2, 0, 0, 0]),
    np.array([1, 0, 3, 0, 0, 0], np.int32),
    np.array([2, 0, 4, 0, 0, 0], np.int32),
    np.array([9, 0.25, 9, 0.5, 1, 0], np.float32),
  )
  x = np.array([[1, 9], [2, 2], [2, 3]])
  np.testing.assert_allclose(forest.predict(tree, x), [0.125, 0.25, 0.5])
  assert forest.predict(tree, np.zeros((0, 2))).shape == (0,)


def test_without_scikit_learn(monkeypatch):
  real = builtins.__import__

  def blocked(name, *rest, **options):
    if name.startswith("sklearn"):
      raise ImportError(name)
    return real(name, *rest, **options)

  monkeypatch.setattr(builtins, "__import__", blocked)
  with pytest.raises(UserError, match=r"pip install jaxseg\[proposals\]"):
    forest.fit(*problem(50))


def test_files_that_are_no_forest(tmp_path):
  with pytest.raises(UserError, match="cannot be read as a forest"):
    forest.load(tmp_path / "none.npz")
  np.savez(tmp_path / "other.npz", a=np.zeros(3))
  with pytest.raises(UserError, match="cannot be read as a forest"):
    forest.load(tmp_path / "other.npz")


def test_marginal_relevance_by_hand():
  """.7 s: .63, .595, .35, .07. After 0: 1 has .595 - .3 * .9 = .325, so that 2
  is next, at .35; then 1; 3 is last, though it repeats nothing."""
  score = np.array([0.9, 0.85, 0.5, 0.1])
  overlap = np.eye(4)
  overlap[0, 1] = overlap[1, 0] = 0.9
  assert ranking.marginal(score, overlap).tolist() == [0, 2, 1, 3]
  overlap[0, 1] = overlap[1, 0] = 0.8  # .355 beats .35
  assert ranking.marginal(score, overlap).tolist() == [0, 1, 2, 3]
  assert ranking.marginal(score, overlap, 2).tolist() == [0, 1]
  assert ranking.marginal(score[::-1], overlap, theta=1).tolist() == [
    3,
    2,
    1,
    0,
  ]
  # At 0 scores do not count, and of equals the first is taken.
  assert ranking.marginal(score, overlap, theta=0).tolist() == [0, 2, 3, 1]
  assert ranking.marginal(np.zeros(0), np.zeros((0, 0))).tolist() == []
  with pytest.raises(UserError, match="from 0 to 1"):
    ranking.marginal(score, overlap, theta=1.5)


@pytest.mark.parametrize("seed", range(3))
def test_marginal_relevance_by_brute_force(seed):
  rng = np.random.default_rng(seed)
  score, overlap = rng.random(15), rng.random((15, 15))
  overlap = (overlap + overlap.T) / 2
  order = []
  while len(order) < 15:
    value = {
      i: 0.6 * score[i] - 0.4 * max((overlap[i, j] for j in order), default=0)
      for i in range(15)
      if i not in order
    }
    order.append(max(value, key=value.get))
  assert ranking.marginal(score, overlap, theta=0.6).tolist() == order


@pytest.mark.parametrize("seed", range(5))
def test_the_front_by_brute_force(seed):
  rng = np.random.default_rng(seed)
  cost, quality = rng.integers(0, 12, 40), rng.integers(0, 20, 40) / 20
  got = pareto.front(cost, quality)
  beaten = [
    any(
      (cost[j] <= cost[i] and quality[j] > quality[i])
      or (cost[j] < cost[i] and quality[j] >= quality[i])
      for j in range(40)
    )
    for i in range(40)
  ]
  want = {(cost[i], quality[i]) for i in range(40) if not beaten[i]}
  assert [(cost[i], quality[i]) for i in got] == sorted(want)


def lists(seed, count, objects=9, steps=4):
  """Best overlaps that grow with the length of a list."""
  rng = np.random.default_rng(seed)
  bests = np.maximum.accumulate(rng.random((count, objects, steps)) ** 2, -1)
  return list(bests), [np.cumsum(rng.integers(1, 9, steps)) for _ in bests]


def by_hand(bests, lengths, picks):
  """Count and quality of a choice."""
  best = np.zeros(len(bests[0]))
  for table, sizes, pick in zip(bests, lengths, picks):
    if pick:
      best = np.maximum(best, table[:, list(sizes).index(pick)])
  return sum(picks), best.mean()


@pytest.mark.parametrize("seed", range(5))
def test_lengths_of_two_lists_by_brute_force(seed):
  bests, lengths = lists(seed, 2)
  every = [
    by_hand(bests, lengths, picks)
    for picks in itertools.product(*([0, *x] for x in lengths))
  ]
  cost, quality = map(np.array, zip(*every))
  want = [every[i] for i in pareto.front(cost, quality)]
  got = pareto.choose(bests, lengths)
  np.testing.assert_allclose([(c.count, c.quality) for c in got], want)
  for choice in got:
    assert (choice.count, pytest.approx(choice.quality)) == by_hand(
      bests, lengths, choice.lengths
    )
  assert got[0] == ((0, 0), 0, 0.0)


@pytest.mark.parametrize("most", [4, 200])
def test_lengths_of_four_lists_are_near_the_best(most):
  """What is dropped on the way could be worth something later: little here."""
  bests, lengths = lists(7, 4)
  every = [
    by_hand(bests, lengths, picks)
    for picks in itertools.product(*([0, *x] for x in lengths))
  ]
  cost, quality = map(np.array, zip(*every))
  got = pareto.choose(bests, lengths, most)
  assert len(got) <= most
  lost = []
  for choice in got:
    said = by_hand(bests, lengths, choice.lengths)
    assert (choice.count, pytest.approx(choice.quality)) == said
    lost.append(quality[cost <= choice.count].max() - choice.quality)
  assert np.mean(lost) < (0.02 if most == 200 else 0.1)
  assert np.max(lost) < (0.1 if most == 200 else 0.2)
  assert got[-1].quality == pytest.approx(quality.max())
