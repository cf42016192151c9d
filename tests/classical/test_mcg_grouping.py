"""Tuples of regions: trees of four leaves by hand, all unions of small trees by
brute force; holes against SciPy; duplicates by brute force."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from jaxseg.classical import owt, partition, ucm
from jaxseg.classical.mcg import align, grouping
from jaxseg.types import UserError


def four():
  """Leaves 0 1 / 2 3; 4 = 0 1 at .1, 5 = 4 2 at .2, 6 = 5 3 at .3."""
  leaves = np.kron([[0, 1], [2, 3]], np.ones((2, 2), int)).astype(np.int32)
  pairs = np.array([[0, 1], [0, 2], [1, 3], [2, 3]])
  return align.linkage(leaves, pairs, np.array([0.1, 0.2, 0.3, 0.3]))


def sets(nodes):
  return [frozenset(row) for row in nodes.tolist()]


def test_four_leaves_by_hand():
  """Siblings are 0 1, 4 2 and 5 3; 0 and 3, 1 and 2 do not touch."""
  tree = four()
  np.testing.assert_array_equal(tree.merges, [[0, 1], [2, 4], [3, 5]])
  one, two, three, more = grouping.tuples(tree, tree.pairs, (99,) * 4)
  np.testing.assert_array_equal(one[:, 0], [6, 5, 3, 4, 2, 1, 0])
  assert sets(two) == [{3, 4}, {2, 3}, {1, 3}, {0, 2}]
  assert sets(three) == [{1, 3, 2}, {0, 2, 3}]
  assert not len(more)
  np.testing.assert_array_equal(
    grouping.strength(tree), [0.1, 0.1, 0.2, 0.3, 0.2, 0.3, np.inf]
  )
  np.testing.assert_array_equal(
    grouping.members(tree, two),
    [[1, 1, 0, 1], [0, 0, 1, 1], [0, 1, 0, 1], [1, 0, 1, 0]],
  )


def test_the_balanced_tree_by_hand():
  """4 = 0 1, 5 = 2 3, 6 = 4 5, on a ring 0 1 3 2."""
  tree = four()._replace(
    merges=np.array([[0, 1], [2, 3], [4, 5]]), levels=np.array([0.1, 0.2, 0.3])
  )
  one, two, three, _ = grouping.tuples(tree, tree.pairs, (99,) * 4)
  assert len(one) == 7
  assert sets(two) == [{3, 4}, {2, 4}, {1, 5}, {1, 3}, {0, 5}, {0, 2}]
  assert not len(three)


def hierarchy(seed, shape=(7, 8)):
  planes = np.random.default_rng(seed).random((*shape, 8))
  return ucm.merge(owt.transform(planes))


def canonical(tree, inside):
  """The largest nodes of which a union of leaves is made, by going down."""
  out, waiting = [], [2 * tree.count - 2]
  leaves = [{i} for i in range(tree.count)]
  for a, b in tree.merges:
    leaves.append(leaves[a] | leaves[b])
  while waiting:
    node = waiting.pop()
    if leaves[node] <= inside:
      out.append(node)
    elif leaves[node] & inside:
      waiting += list(tree.merges[node - tree.count])
  return frozenset(int(i) for i in out)


def connected(inside, pairs):
  inside = set(inside)
  seen, waiting = set(), [min(inside)]
  while waiting:
    i = waiting.pop()
    if i in seen:
      continue
    seen.add(i)
    waiting += [b for a, b in pairs if a == i and b in inside]
    waiting += [a for a, b in pairs if b == i and a in inside]
  return seen == inside


@pytest.mark.parametrize("seed", range(5))
def test_all_connected_unions_of_small_trees(seed):
  """Every connected union of leaves is listed once, with its fewest regions,
  unless these are more than four; and nothing else is."""
  tree = hierarchy(seed)
  n = tree.count
  assert 6 <= n <= 12
  want = {k: set() for k in range(1, n + 1)}
  for size in range(1, n + 1):
    for some in itertools.combinations(range(n), size):
      if connected(some, tree.pairs.tolist()):
        nodes = canonical(tree, set(some))
        want[len(nodes)].add(nodes)
  got = grouping.tuples(tree, tree.pairs, (10**6,) * 4)
  assert len(want[2]) > 5
  power = grouping.strength(tree)
  for k, nodes in enumerate(got, 1):
    assert len(set(sets(nodes))) == len(nodes)
    assert set(sets(nodes)) == want[k]
    assert (np.diff(power[nodes].min(1)) <= 0).all()
  # The first so many are the first of all.
  for k, few in enumerate(grouping.tuples(tree, tree.pairs, (3, 5, 4, 2))):
    np.testing.assert_array_equal(few, got[k][: len(few)])
    assert len(few) == min(len(got[k]), (3, 5, 4, 2)[k])


def test_counts_that_cannot_be():
  tree = four()
  for counts in ((), (1,) * 5, (3, -1)):
    with pytest.raises(UserError, match="one to 4 numbers"):
      grouping.tuples(tree, tree.pairs, counts)


@pytest.mark.parametrize("seed", range(3))
def test_holes_are_those_of_scipy(seed):
  tree = hierarchy(seed, (24, 28))
  rng = np.random.default_rng(seed)
  rows = rng.random((40, tree.count)) < rng.uniform(0.3, 0.9, (40, 1))
  got = grouping.fill(rows, tree.leaves, tree.pairs, chunk=16)
  filled = 0
  for before, after in zip(rows, got):
    want = ndimage.binary_fill_holes(before[tree.leaves])
    np.testing.assert_array_equal(after[tree.leaves], want)
    filled += (before != after).any()
  assert filled > 10


def test_overlaps_are_those_of_pixels():
  rng = np.random.default_rng(0)
  leaves = partition.relabel(rng.integers(0, 9, (6, 7)))
  n = leaves.max() + 1
  a, b = rng.random((5, n)) < 0.4, rng.random((4, n)) < 0.4
  a[0] = b[0] = False
  got = grouping.jaccard(a, b, grouping.areas(leaves))
  for i, j in itertools.product(range(5), range(4)):
    x, y = a[i][leaves], b[j][leaves]
    union = max((x | y).sum(), 1)
    assert got[i, j] == pytest.approx((x & y).sum() / union, abs=1e-6)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_duplicates_by_brute_force(chunk):
  rng = np.random.default_rng(1)
  base = rng.random((12, 60)) < 0.5
  rows = base[rng.integers(0, 12, 90)] ^ (rng.random((90, 60)) < 0.02)
  area = rng.integers(1, 9, 60)
  kept = []
  for i in range(90):
    near = [
      area[rows[i] & rows[j]].sum() / area[rows[i] | rows[j]].sum()
      for j in kept
    ]
    if max(near, default=0) < 0.9:
      kept.append(i)
  got = grouping.distinct(rows, area, 0.9, chunk)
  assert got.tolist() == kept
  assert 12 < len(kept) < 80


def test_the_limit_of_overlap_counts():
  """19 of 20 pixels are 0.95; 18 of 19 are less."""
  rows = np.ones((3, 20), bool)
  rows[1, 0] = rows[2, :2] = False
  area = np.ones(20, int)
  assert grouping.distinct(rows, area).tolist() == [0, 2]
  assert grouping.distinct(rows[1:], area).tolist() == [0, 1]
