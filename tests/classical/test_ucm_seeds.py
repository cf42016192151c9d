"""Seeds in a hierarchy: distances of a small tree by hand, brute force over
random ones, and the answers where seeds are missing or at odds."""

import numpy as np
import pytest
from scipy import ndimage

from jaxseg.classical import owt, ucm
from jaxseg.classical.mcg import align
from jaxseg.classical.ucm_seeds import interactive
from jaxseg.types import UserError


def row(heights, wide=2):
  """Leaves side by side, 2 pixels high; heights between neighbours."""
  n = len(heights) + 1
  leaves = np.repeat(np.arange(n, dtype=np.int32), wide)[None].repeat(2, 0)
  pairs = np.stack([np.arange(n - 1), np.arange(1, n)], -1)
  return align.linkage(leaves, pairs, np.array(heights, float))


def answer(tree, seeds):
  """Label by leaf, of seeds {leaf: label}."""
  placed = np.zeros(tree.leaves.shape, int)
  for leaf, label in seeds.items():
    y, x = np.argwhere(tree.leaves == leaf)[0]
    placed[y, x] = label
  out = interactive(tree, placed)
  assert out.dtype == np.int32
  whole = [np.unique(out[tree.leaves == i]) for i in range(tree.count)]
  assert all(len(w) == 1 for w in whole)
  return [int(w[0]) for w in whole]


def test_distances_by_hand():
  """0 .1 1 .5 2 .2 3 .3 4: leaf 1 is at .1 from 0 and at .5 from 3; 2 is at .2
  from 3; 4 at .3; and 0 and 1 at .5 from all others."""
  tree = row([0.1, 0.5, 0.2, 0.3])
  np.testing.assert_allclose(ucm.distance(tree)[1], [0.1, 0, 0.5, 0.5, 0.5])
  assert answer(tree, {0: 7, 3: 4}) == [7, 7, 4, 4, 4]
  assert answer(tree, {0: 7, 4: 4}) == [7, 7, 4, 4, 4]
  # 2 is at .2 from 3, and at .3 from 4: the stronger boundary stays.
  assert answer(tree, {3: 1, 4: 2}) == [1, 1, 1, 1, 2]
  assert answer(tree, {2: 5}) == [5] * 5
  assert answer(tree, {}) == [0] * 5


def test_labels_at_odds_go_by_the_nearest_merge():
  """1 and 3 are joined at .4 while 2 has gone to 1 at .1; then 0 and 4 merge
  with a region that has both: each touches one of them."""
  tree = row([0.5, 0.1, 0.4, 0.6])
  assert answer(tree, {1: 1, 3: 2}) == [1, 1, 1, 2, 2]
  assert answer(tree, {1: 2, 3: 1}) == [2, 2, 2, 1, 1]
  # Equal levels: 0 and 1 merge before 1 and 2 do.
  assert answer(row([0.3, 0.3]), {0: 1, 2: 2}) == [1, 1, 2]


def test_the_longest_common_border_decides():
  """Leaf 2 lies under 0 (3 pixels) and 1 (1 pixel), which merge before."""
  leaves = np.array([[0, 0, 0, 1], [2, 2, 2, 2]], np.int32)
  pairs = np.array([[0, 1], [0, 2], [1, 2]])
  tree = align.linkage(leaves, pairs, np.array([0.2, 0.8, 0.8]))
  assert answer(tree, {0: 9, 1: 3}) == [9, 3, 9]
  leaves = np.array([[0, 0, 1, 1], [2, 2, 2, 2]], np.int32)
  even = align.linkage(leaves, pairs, np.array([0.2, 0.8, 0.8]))
  assert answer(even, {0: 9, 1: 3}) == [9, 3, 3]


def test_two_labels_in_one_leaf():
  tree = row([0.5], wide=3)
  seeds = np.array([[1, 2, 2, 0, 0, 0], [0, 0, 0, 0, 0, 3]])
  np.testing.assert_array_equal(
    interactive(tree, seeds), [[2, 2, 2, 3, 3, 3]] * 2
  )
  seeds[1, 0] = 1  # two of each
  assert interactive(tree, seeds)[0, 2] == 1


def test_a_picture_of_one_colour_has_one_leaf():
  tree = ucm.merge(owt.transform(np.zeros((5, 6, 8))))
  assert tree.count == 1
  seeds = np.zeros((5, 6), int)
  assert not interactive(tree, seeds).any()
  seeds[0, 0], seeds[4, 4:] = 8, 3
  assert (interactive(tree, seeds) == 3).all()


def hierarchy(seed):
  planes = np.random.default_rng(seed).random((16, 18, 8))
  return ucm.merge(
    owt.transform(ndimage.gaussian_filter(planes, (1.2, 1.2, 0)))
  )


@pytest.mark.parametrize("seed", range(6))
def test_the_nearest_seed_by_brute_force(seed):
  tree, rng = hierarchy(seed), np.random.default_rng(seed)
  placed = np.zeros(tree.leaves.shape, int)
  at = rng.choice(placed.size, 6, replace=False)
  placed.ravel()[at] = rng.integers(1, 4, 6) * 10
  out = interactive(tree, placed)
  # Which merge, not at what level: an ultrametric of the same order.
  d = ucm.distance(tree._replace(levels=np.arange(1.0, tree.count)))
  seeds = {}  # leaf -> label; seeds that share a leaf are of another test
  for y, x in np.argwhere(placed):
    seeds[tree.leaves[y, x]] = out[y, x]
  held, unsure = np.array(sorted(seeds)), 0
  said = np.array([seeds[i] for i in held])
  for leaf in range(tree.count):
    near = d[leaf, held] == d[leaf, held].min()
    (label,) = np.unique(out[tree.leaves == leaf])
    assert label in said[near]
    unsure += len(np.unique(said[near])) > 1
  assert unsure < tree.count
  for y, x in np.argwhere(placed):
    here = placed[tree.leaves == tree.leaves[y, x]]
    if len(np.unique(here[here > 0])) == 1:
      assert out[y, x] == placed[y, x]


@pytest.mark.parametrize("seed", range(6))
def test_answers_are_nested(seed):
  """A region whose seeds are of one label has it everywhere; one without seeds
  has one label; and seeds on what they would be anyway change nothing."""
  tree, rng = hierarchy(10 + seed), np.random.default_rng(seed)
  placed = np.zeros(tree.leaves.shape, int)
  at = rng.choice(placed.size, 8, replace=False)
  placed.ravel()[at] = rng.integers(1, 4, 8)
  out = interactive(tree, placed)
  order, start, stop = ucm.spans(tree)
  alone = 0
  for i, j in zip(start, stop):
    inside = np.isin(tree.leaves, order[i:j])
    seeds = np.unique(placed[inside & (placed > 0)])
    if len(seeds) < 2:
      (label,) = np.unique(out[inside])
      assert label == seeds[0] if len(seeds) else label in (1, 2, 3)
      alone += j - i > 1
  assert alone > 5
  more = placed.copy()
  fresh = rng.choice(placed.size, 20, replace=False)
  more.ravel()[fresh] = out.ravel()[fresh]
  for y, x in np.argwhere((placed > 0) & (placed != out)):  # overruled ones
    more[tree.leaves == tree.leaves[y, x]] = out[y, x]
  np.testing.assert_array_equal(interactive(tree, more), out)


def test_seeds_that_cannot_be():
  tree = row([0.5])
  with pytest.raises(UserError, match="one value per pixel"):
    interactive(tree, np.zeros((3, 4), int))
  with pytest.raises(UserError, match="seed -2 at row 1, column 3"):
    interactive(tree, np.array([[0, 0, 0, 1], [0, 0, 0, -2]]))
  with pytest.raises(UserError, match="expected integers"):
    interactive(tree, np.zeros((2, 4)))
