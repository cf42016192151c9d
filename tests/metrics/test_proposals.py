"""Overlap of proposals with objects: by hand, by loops, split over pictures."""

import numpy as np
import pytest

from jaxseg import types
from jaxseg.metrics import proposals


def row(*pixels, n=10):
  mask = np.zeros((1, n), bool)
  mask[0, list(pixels)] = True
  return mask


def test_by_hand():
  objects = np.stack([row(0, 1, 2, 3), row(6, 7), row(8, 9)])
  pool = np.stack([row(0, 1), row(6, 7, 8), row(0, 1, 2, 3, 4), row(6)])
  found = proposals.bests(objects, [1, 2, 2], pool, (1, 2, 3, 99))
  want = [[0.5, 0.5, 0.8, 0.8], [0, 2 / 3, 2 / 3, 2 / 3], [0, 0.25, 0.25, 0.25]]
  np.testing.assert_allclose(found.overlap, want)
  got = proposals.scores(found)
  np.testing.assert_allclose(got["instance"], np.mean(want, 0))
  np.testing.assert_allclose(got["class"][2], (0.8 + (2 / 3 + 0.25) / 2) / 2)
  # 0.5 reaches 0.5.
  np.testing.assert_allclose(got["recall/0.5"], [1 / 3, 2 / 3, 2 / 3, 2 / 3])
  np.testing.assert_allclose(got["recall/0.7"], [0, 0, 1 / 3, 1 / 3])


def test_a_larger_pool_is_no_worse_and_sets_add():
  rng = np.random.default_rng(0)
  sizes = (1, 3, 8)
  parts, overlaps = [], []
  for n in (3, 0, 5):
    objects = rng.random((n, 6, 7)) < 0.4
    pool = rng.random((8, 6, 7)) < 0.4
    valid = rng.random((6, 7)) < 0.8
    classes = rng.integers(0, 2, n)
    parts.append(proposals.bests(objects, classes, pool, sizes, valid))
    for a in objects & valid:
      each = [(a & b & valid).sum() / ((a | b) & valid).sum() for b in pool]
      overlaps.append([max(each[:k]) for k in sizes])
  whole = parts[0] + parts[1] + parts[2]
  np.testing.assert_allclose(whole.overlap, overlaps)
  assert (np.diff(whole.overlap, axis=1) >= 0).all()
  got = proposals.scores(whole)["instance"]
  np.testing.assert_allclose(got, np.mean(overlaps, 0))
  each = [proposals.scores(p)["instance"] for p in parts]
  assert np.isnan(each[1]).all()
  assert not np.allclose(np.nanmean(each, 0), got)  # no mean of means


def test_nothing_proposed_and_empty_masks():
  objects = np.stack([row(0, 1), row()])
  found = proposals.bests(objects, [1, 1], np.zeros((0, 1, 10), bool), (1, 5))
  np.testing.assert_array_equal(found.overlap, 0)
  np.testing.assert_array_equal(
    proposals.jaccard(objects, np.stack([row(), row(0, 1)])), [[0, 1], [0, 0]]
  )


def test_sizes_that_differ():
  with pytest.raises(types.UserError, match="one picture"):
    proposals.jaccard(np.zeros((1, 2, 3)), np.zeros((1, 3, 2)))


def test_proposals_made_of_leaves_are_those_of_pixels():
  rng = np.random.default_rng(0)
  leaves = np.repeat(rng.integers(0, 12, (7, 4)), 2, 1)
  leaves.ravel()[:12] = np.arange(12)
  regions = rng.integers(0, 5, (3, 7, 8)).astype(np.uint8)
  regions[0][regions[0] == 2] = 3  # an id that one of them has not
  rows = rng.random((6, 12)) < 0.4
  objects = np.stack([r == i for r in regions for i in range(5)])
  for smallest in (1, 11):
    kept = objects[objects.sum((1, 2)) >= smallest]
    table = proposals.by_leaf(regions, leaves, smallest)
    got = proposals.jaccard_by_leaf(table, np.bincount(leaves.ravel()), rows)
    np.testing.assert_allclose(
      got, proposals.jaccard(kept, rows[:, leaves]), atol=1e-12
    )
  assert 0 < len(kept) < 14
