"""Hierarchies on other leaves: brute force over levels, and identities."""

import itertools

import numpy as np
import pytest
from scipy import ndimage, sparse

from jaxseg.classical import owt, partition, ucm
from jaxseg.classical.mcg import align


def oriented(seed, shape=(30, 37), smooth=1.5):
  rng = np.random.default_rng(seed)
  planes = ndimage.gaussian_filter(
    rng.normal(size=(*shape, 8)), (smooth,) * 2 + (0,)
  )
  return planes - planes.min()


def hierarchy(seed, shape=(30, 37), smooth=1.5):
  return ucm.merge(owt.transform(oriented(seed, shape, smooth)))


def random_tree(rng, n):
  """Random merges of n leaves at random levels, without a picture."""
  nodes, merges = list(range(n)), []
  for i in range(n - 1):
    a, b = rng.choice(len(nodes), 2, replace=False)
    merges.append((nodes[a], nodes[b]))
    nodes = [x for x in nodes if x not in merges[-1]] + [n + i]
  levels = np.sort(rng.random(n - 1))
  none = np.zeros((0, 2), np.int64)
  merges = np.array(merges, np.int64).reshape(-1, 2)
  return ucm.Hierarchy(np.zeros((1, 1)), none, np.zeros(0), merges, levels)


def partitions(tree):
  """int (k + 1, n): the region of each leaf before, and after each merge."""
  region = np.arange(tree.count)
  out = [region]
  for i, (a, b) in enumerate(tree.merges):
    region = np.where((region == a) | (region == b), tree.count + i, region)
    out.append(region)
  return out


@pytest.mark.parametrize("seed", range(30))
def test_projection_against_brute_force(seed):
  """Level by level: each group of new leaves takes the region that it overlaps
  most, and groups in one region are one group from then on."""
  rng = np.random.default_rng(seed)
  n, m = rng.integers(2, 12), rng.integers(1, 12)
  overlap = rng.random((n, m)) * (rng.random((n, m)) < 0.5)
  overlap[np.arange(n), rng.integers(0, m, n)] += rng.random(n)
  tree = random_tree(rng, m)
  group = np.arange(n)
  apart = np.full((n, n), np.inf)
  np.fill_diagonal(apart, 0)
  for region, level in zip(partitions(tree), [0, *tree.levels]):
    table = np.zeros((n, 2 * m))
    for i, j in itertools.product(range(n), range(m)):
      table[group[i], region[j]] += overlap[i, j]
    goal = table.argmax(1)[group]
    group = np.array([np.flatnonzero(goal == g)[0] for g in goal])
    apart = np.where(
      np.equal.outer(group, group), np.minimum(apart, level), apart
    )
  merges, levels = align.project(sparse.csr_matrix(overlap), tree)
  made = ucm.Hierarchy(tree.leaves, tree.pairs, tree.heights, merges, levels)
  assert made.count == n
  assert (np.diff(levels) >= 0).all()
  np.testing.assert_array_equal(ucm.distance(made), apart)


@pytest.mark.parametrize("seed", range(3))
def test_aligned_with_itself_nothing_changes(seed):
  tree = hierarchy(seed)
  made = align.align(tree, tree.leaves, tree.pairs)
  np.testing.assert_array_equal(made.heights, tree.heights)
  np.testing.assert_array_equal(made.levels, tree.levels)
  np.testing.assert_array_equal(made.merges, np.sort(tree.merges, 1))
  np.testing.assert_array_equal(ucm.distance(made), ucm.distance(tree))


@pytest.mark.parametrize(("shape", "smooth"), [((15, 19), 0.8), ((61, 70), 3)])
def test_another_scale_on_the_finest_leaves(shape, smooth):
  """The leaves stay; an ultrametric; partitions nested and connected."""
  fine, other = hierarchy(0), hierarchy(1, shape, smooth)
  made = align.align(other, fine.leaves, fine.pairs)
  assert made.leaves is fine.leaves
  assert made.count == fine.count
  d = ucm.distance(made)
  assert (d[:, None, :] <= np.maximum(d[:, :, None], d[None])).all()
  np.testing.assert_array_equal(d[tuple(fine.pairs.T)], made.heights)
  assert set(made.levels) <= {0.0, *other.levels}
  cuts = [
    ucm.segments(made, t) for t in np.quantile(made.levels, [0.1, 0.5, 0.9])
  ]
  for label in cuts:
    partition.validate(label)
  for a, b in itertools.pairwise(cuts):
    assert len(np.unique(np.stack([a, b]).reshape(2, -1), axis=1).T) == len(
      np.unique(a)
    )


def test_a_coarse_contour_moves_to_the_fine_one():
  """Half the size cannot say where between two pixels a contour is."""
  fine = np.kron([[0, 1, 2, 3]], np.ones((8, 5), int)).astype(np.int32)
  pairs = np.array([[0, 1], [1, 2], [2, 3]])
  coarse = np.zeros((4, 10), np.int32)
  coarse[:, 6:] = 1  # at 12 of 20 columns: 10 is nearest
  tree = align.linkage(coarse, np.array([[0, 1]]), np.array([0.7]))
  made = align.align(tree, fine, pairs)
  np.testing.assert_array_equal(made.heights, [0, 0.7, 0])


def test_parts_that_do_not_touch_are_apart():
  """Leaves 0 and 2 are in one region at 0.2 and 1, between them, is not."""
  leaves = np.array([[0, 1, 2]], np.int32)
  pairs = np.array([[0, 1], [1, 2]])
  other = np.array([[0, 1, 0]], np.int32)
  tree = align.linkage(other, np.array([[0, 1]]), np.array([0.9]))
  made = align.align(tree, leaves, pairs)
  np.testing.assert_array_equal(made.heights, [0.9, 0.9])


def test_linkage_crosses_the_lowest_way():
  """A ring 0 1 3 2: from 0 to 3 by 1 costs 0.4, by 2 costs 0.6."""
  leaves = np.array([[0, 1], [2, 3]], np.int32)
  pairs = np.array([[0, 1], [0, 2], [1, 3], [2, 3]])
  made = align.linkage(leaves, pairs, np.array([0.4, 0.6, 0.1, 0.9]))
  np.testing.assert_array_equal(made.merges, [[1, 3], [0, 4], [2, 5]])
  np.testing.assert_array_equal(made.levels, [0.1, 0.4, 0.6])
  np.testing.assert_array_equal(made.heights, [0.4, 0.6, 0.1, 0.6])


def test_sampling_takes_the_nearest_pixel():
  x = np.arange(12).reshape(3, 4)
  np.testing.assert_array_equal(align.sample(x, (3, 4)), x)
  np.testing.assert_array_equal(align.sample(x, (3, 2)), x[:, 1::2])
  np.testing.assert_array_equal(
    align.sample(x, (6, 8)), np.kron(x, np.ones((2, 2), int))
  )
  np.testing.assert_array_equal(align.sample(x, (1, 1)), [[6]])


def test_the_finest_leaves_are_the_strongest_boundaries():
  tree = hierarchy(0, (60, 74))
  leaves = align.finest(tree, (30, 37), 20)
  partition.validate(leaves)
  label = align.sample(
    ucm.segments(tree, tree.levels[tree.count - 20]), (30, 37)
  )
  np.testing.assert_array_equal(leaves, partition.components(label))
  assert len(np.unique(ucm.segments(tree, tree.levels[tree.count - 20]))) == 20
  whole = align.finest(tree, (60, 74), tree.count)
  np.testing.assert_array_equal(whole, partition.relabel(tree.leaves))
