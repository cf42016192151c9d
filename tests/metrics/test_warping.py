"""Warping error: all 256 neighbourhoods, topologies made by hand."""

import numpy as np
import pytest
from scipy import ndimage

from jaxseg import types
from jaxseg.metrics import warping

EIGHT = np.ones((3, 3), int)


def topology(mask):
  """Objects (four neighbours) and pieces of the ground (eight, with a rim)."""
  ground = ~np.pad(mask, 1)
  return ndimage.label(mask)[1], ndimage.label(ground, EIGHT)[1]


def test_simple_points_are_those_that_change_no_count():
  """Of the pieces within the 3 x 3 window, of objects and of the ground."""
  for code in range(256):
    window = np.zeros((3, 3), bool)
    for k, (dy, dx) in enumerate(warping.AROUND):
      window[1 + dy, 1 + dx] = code >> k & 1
    counts = []
    for middle in (False, True):
      window[1, 1] = middle
      counts.append(
        (ndimage.label(window)[1], ndimage.label(~window, EIGHT)[1])
      )
    assert warping.SIMPLE[code] == (counts[0] == counts[1]), code
  assert sum(warping.SIMPLE) == 116


def block(*parts, shape=(12, 20)):
  mask = np.zeros(shape, bool)
  for y0, y1, x0, x1 in parts:
    mask[y0:y1, x0:x1] = True
  return mask


TWO = block((2, 9, 2, 8), (2, 9, 11, 17))


@pytest.mark.parametrize(
  ("truth", "predicted", "wrong"),
  [
    (TWO, TWO, 0),
    # Moved, grown, bent: no topology changes.
    (TWO, block((3, 11, 1, 7), (1, 8, 12, 19)), 0),
    # A bridge three long, two wide: one column of it cannot be.
    (TWO, TWO | block((5, 7, 8, 11)), 2),
    # Cut in two by a row of ground, six pixels long: one cannot be.
    (block((2, 9, 2, 8)), block((2, 5, 2, 8), (6, 9, 2, 8)), 1),
    # A hole of four, and an object of four, each down to one pixel at least.
    (block((2, 9, 2, 8)), block((2, 9, 2, 8)) & ~block((4, 6, 4, 6)), 4),
    (block((2, 9, 2, 8)), block((2, 9, 2, 8), (4, 6, 14, 16)), 4),
    # An object that is missing shrinks to a point.
    (TWO, block((2, 9, 2, 8)), 1),
  ],
)
def test_topologies_made_by_hand(truth, predicted, wrong):
  warped, differ = warping.warp(truth, predicted)
  assert topology(warped) == topology(truth)
  np.testing.assert_array_equal(differ, warped != predicted)
  assert differ.sum() == wrong
  total, count = warping.warping_error(truth, predicted)
  assert (total, count) == (differ.sum(), truth.size)


def test_no_warp_changes_a_topology():
  for seed in range(5):
    rng = np.random.default_rng(seed)
    truth, predicted = (
      ndimage.gaussian_filter(rng.normal(size=(24, 31)), 1.5) > 0
      for _ in range(2)
    )
    warped, differ = warping.warp(truth, predicted)
    assert topology(warped) == topology(truth)
    assert differ.sum() < (truth != predicted).sum()
    # Nothing more can be flipped.
    wide = np.pad(warped, 1)
    for y, x in np.argwhere(differ):
      code = sum(
        int(wide[1 + y + dy, 1 + x + dx]) << k
        for k, (dy, dx) in enumerate(warping.AROUND)
      )
      assert not warping.SIMPLE[code]


def test_it_changes_only_what_it_may():
  grown = block((2, 9, 2, 10))
  may = np.ones(grown.shape, bool)
  may[:, 9] = False
  warped, differ = warping.warp(block((2, 9, 2, 8)), grown, may)
  np.testing.assert_array_equal(warped, block((2, 9, 2, 9)))
  assert differ.sum() == 7


def test_masks_that_do_not_go_together():
  with pytest.raises(types.UserError, match="threshold"):
    warping.warp(TWO, TWO.astype(float))
  with pytest.raises(types.UserError, match=r"\(12, 19\)"):
    warping.warp(TWO, TWO[:, 1:])
