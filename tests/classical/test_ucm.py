"""Oriented arcs and the hierarchy: by hand, by brute force, and the rules that
make a contour map ultrametric."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from jaxseg.classical import owt, partition, ucm


def noise(seed, shape=(30, 37), smooth=1.5):
  values = np.random.default_rng(seed).normal(size=shape)
  values = ndimage.gaussian_filter(values, smooth)
  return values - values.min()


def oriented(seed, shape=(30, 37)):
  planes = [noise(100 * seed + i, shape) for i in range(8)]
  return np.stack(planes, -1)


@pytest.fixture(params=range(3))
def tree(request):
  return ucm.merge(owt.transform(oriented(request.param)))


@pytest.mark.parametrize("degrees", [0, 20, 45, 70, 90, 110, 135, 160])
def test_orientation_of_straight_arcs(degrees):
  """Cracks of a half-plane's border point along it, in the middle."""
  angle = np.deg2rad(degrees)
  y, x = np.mgrid[-20:21, -20:21]
  side = (y * np.cos(angle) - x * np.sin(angle) > 0.1).astype(np.int32)
  p, q = partition.neighbours(side.shape)
  cut = side.ravel()[p] != side.ravel()[q]
  p, q = p[cut], q[cut]
  middle = np.stack([(p // 41 + q // 41) / 2, (p % 41 + q % 41) / 2], -1)
  got = owt.orientations(middle, q - p == 1, np.zeros(len(p), int), 6.0)
  inner = np.abs(middle - 20).max(1) < 12
  off = (got[inner] - angle + np.pi / 2) % np.pi - np.pi / 2
  assert np.abs(off).max() < np.pi / 16


def test_one_crack_is_an_arc():
  middle = np.array([[0.0, 0.5], [9.5, 0.0]])
  got = owt.orientations(middle, np.array([True, False]), np.arange(2))
  np.testing.assert_allclose(got, [np.pi / 2, 0], atol=1e-12)


def test_an_arc_counts_at_its_own_orientation():
  """A strong vertical wall, and faint horizontal lines that end at it: where a
  crack counts the largest of all orientations, their ends are strong too."""
  y, x = np.mgrid[:40, :41]
  turn = np.cos(np.pi * (np.arange(8) - 4) / 8) ** 2
  wall = np.exp(-(((x - 20) / 2.0) ** 2))[..., None] * turn
  line = np.exp(-(((y % 10 - 5) / 1.5) ** 2))[..., None] * np.roll(turn, 4)
  boundary = np.maximum(wall, 0.2 * line)
  boundary += 1e-6 * noise(0, (40, 41))[..., None]
  tree = ucm.merge(owt.transform(boundary))
  label = ucm.segments(tree, 0.5)
  assert len(np.unique(label)) == 2
  assert len(np.unique(label[:, :19])) == len(np.unique(label[:, 22:])) == 1
  largest = np.broadcast_to(boundary.max(-1)[..., None], boundary.shape)
  own, blind = owt.transform(boundary), owt.transform(largest)
  np.testing.assert_array_equal(own.pairs, blind.pairs)
  side = np.round(ndimage.mean(x > 20, own.leaves, range(tree.count)))
  along = side[own.pairs[:, 0]] == side[own.pairs[:, 1]]
  assert own.strength[along].max() < 0.21 < 0.28 < blind.strength[along].max()
  assert own.strength[~along & (own.length > 4)].min() > 0.8


def four(strengths):
  """Regions 0 1 / 2 3 of 2 x 2 pixels; arcs 01, 02, 13, 23."""
  leaves = np.kron([[0, 1], [2, 3]], np.ones((2, 2), int)).astype(np.int32)
  pairs = np.array([[0, 1], [0, 2], [1, 3], [2, 3]])
  return owt.Arcs(leaves, pairs, np.full(4, 2), np.array(strengths, float))


def test_merging_by_hand():
  """01 goes first; then 02 and 13 are two borders of others, not one."""
  tree = ucm.merge(four([0.1, 0.8, 0.3, 0.2]))
  np.testing.assert_array_equal(tree.merges[:2], [[0, 1], [2, 3]])
  np.testing.assert_allclose(tree.levels, [0.1, 0.2, 0.55])
  np.testing.assert_allclose(tree.heights, [0.1, 0.55, 0.55, 0.2])
  weighted = four([0.1, 0.8, 0.3, 0.2])._replace(length=np.array([2, 6, 2, 2]))
  assert ucm.merge(weighted).levels[-1] == pytest.approx(0.25 * 0.3 + 0.6)
  doubled = ucm.contours(tree)
  assert doubled.shape == (9, 9)
  np.testing.assert_allclose(
    doubled[4], [0, 0.55, 0.55, 0.55, 0.55, 0.55, 0.55, 0.55, 0]
  )
  np.testing.assert_allclose(doubled[1:4, 4], [0.1] * 3)
  np.testing.assert_allclose(doubled[5:8, 4], [0.2] * 3)
  assert not doubled[[0, 1, 8]][:, [0, 1, 2, 3, 5, 6, 7, 8]].any()
  np.testing.assert_allclose(
    ucm.strength(tree),
    [
      [0, 0.1, 0, 0],
      [0.55, 0.55, 0.55, 0.55],
      [0, 0.2, 0, 0],
      [0, 0.2, 0, 0],
    ],
  )


def test_greedy_against_brute_force():
  """At each merge no boundary of two regions is weaker than the one taken."""
  arcs = owt.transform(oriented(0))
  tree = ucm.merge(arcs)
  node = np.arange(tree.count)
  total = arcs.strength * arcs.length
  for i, ((a, b), level) in enumerate(zip(tree.merges, tree.levels)):
    ends = np.sort(node[arcs.pairs], -1)
    keep = ends[:, 0] != ends[:, 1]
    _, group = np.unique(ends[keep], axis=0, return_inverse=True)
    group = group.reshape(-1)
    mean = np.bincount(group, total[keep]) / np.bincount(
      group, arcs.length[keep]
    )
    assert level == pytest.approx(mean.min(), rel=1e-9)
    node[(node == a) | (node == b)] = tree.count + i
  assert len(np.unique(node)) == 1


def test_the_strong_triangle_inequality(tree):
  d = ucm.distance(tree)
  assert tree.count > 20
  # a, b, c: d(a, c) against d(a, b) and d(b, c)
  assert (d[:, None, :] <= np.maximum(d[:, :, None], d[None])).all()
  np.testing.assert_array_equal(d, d.T)
  np.testing.assert_allclose(d[tuple(tree.pairs.T)], tree.heights)
  assert (d[~np.eye(len(d), dtype=bool)] >= tree.levels[0]).all()


def test_the_leaves_of_every_node_are_side_by_side(tree):
  order, start, stop = ucm.spans(tree)
  members = [{i} for i in range(tree.count)]
  for a, b in tree.merges:
    members.append(members[a] | members[b])
  assert sorted(order) == list(range(tree.count))
  for want, i, j in zip(members, start, stop, strict=True):
    assert set(order[i:j]) == want


def test_partitions_are_nested_and_valid(tree):
  levels = [0, *np.quantile(tree.levels, [0.2, 0.5, 0.9]), np.inf]
  cuts = [ucm.segments(tree, t) for t in levels]
  assert len(np.unique(cuts[0])) == tree.count
  assert not cuts[-1].any()
  for label in cuts:
    partition.validate(label)
  for fine, coarse in itertools.pairwise(cuts):
    pairs = np.unique(np.stack([fine, coarse]).reshape(2, -1), axis=1)
    assert len(pairs.T) == len(np.unique(fine)) > len(np.unique(coarse))


def test_contours_are_closed(tree):
  """What the map's walls enclose at a threshold are the regions, to the pixel:
  a gap anywhere would let two of them run together."""
  doubled = ucm.contours(tree)
  for i in (5, len(tree.levels) // 2, len(tree.levels) - 5):
    t = tree.levels[i : i + 2].mean()  # between two, for it is float32
    label = ucm.segments(tree, t)
    inside = doubled[1:-1, 1:-1]  # the picture's border is no wall
    pieces = ndimage.label(inside < t)[0][::2, ::2]
    np.testing.assert_array_equal(
      partition.relabel(pieces), partition.relabel(label)
    )


def test_two_flat_halves_with_noise_are_two_regions():
  rng = np.random.default_rng(0)
  boundary = 0.05 * rng.random((24, 30, 8))
  boundary[:, 14:16, 3:6] += 0.8
  tree = ucm.merge(owt.transform(boundary))
  label = ucm.segments(tree, 0.4)
  assert len(np.unique(label)) == 2
  assert len(np.unique(label[:, :14])) == len(np.unique(label[:, 16:])) == 1


def test_one_region():
  tree = ucm.merge(owt.transform(np.zeros((5, 6, 8))))
  assert tree.count == 1
  assert not ucm.segments(tree, 0.5).any()
  assert not ucm.contours(tree).any()
  assert ucm.distance(tree).shape == (1, 1)
