"""Compact watershed: scikit-image's, shortest paths, flat reliefs."""

import numpy as np
import pytest
from skimage import color, data, filters, segmentation

from jaxseg import types
from jaxseg.classical import compact_watershed as flooding
from jaxseg.classical import partition


@pytest.mark.parametrize("name", ["astronaut", "chelsea"])
@pytest.mark.parametrize("compactness", [0.001, 0.1])
def test_that_of_scikit_image(name, compactness):
  image = getattr(data, name)()[::2, ::2]
  relief = filters.sobel(color.rgb2gray(image))
  seeds = flooding.markers(*relief.shape, 250)
  theirs = segmentation.watershed(relief, seeds, compactness=compactness)
  ours = flooding.compact_watershed(relief, seeds, compactness)
  np.testing.assert_array_equal(ours, theirs)
  partition.validate(ours)
  assert name != "astronaut" or ours.max() == 256


@pytest.mark.parametrize("connectivity", [4, 8])
def test_without_compactness_it_takes_the_lowest_pass(connectivity):
  """Each pixel's seed is one whose path has the least highest point."""
  relief = np.random.default_rng(0).permutation(99).reshape(9, 11) / 99
  seeds = np.zeros((9, 11), int)
  seeds[1, 1], seeds[7, 9], seeds[2, 8] = 1, 2, 3
  got = flooding.compact_watershed(relief, seeds, connectivity=connectivity)
  p, q = partition.neighbours((9, 11), connectivity)
  height = relief.ravel()
  passes = np.full((4, 99), np.inf)  # min over paths of the highest pixel
  for k in (1, 2, 3):
    passes[k, seeds.ravel() == k] = height[seeds.ravel() == k]
    for _ in range(99):
      climb = np.maximum(height[p], height[q])
      np.minimum.at(passes[k], q, np.maximum(passes[k, p], climb))
      np.minimum.at(passes[k], p, np.maximum(passes[k, q], climb))
  best = passes.min(0)
  own = passes[got.ravel(), np.arange(99)]
  np.testing.assert_array_equal(own, best)
  partition.validate(got, connectivity=connectivity)


def test_a_flat_relief_gives_the_nearest_seed():
  seeds = flooding.markers(24, 36, 6)
  got = flooding.compact_watershed(np.zeros((24, 36)), seeds, 1.0)
  want = np.repeat(np.repeat(np.arange(6).reshape(2, 3), 12, 0), 12, 1) + 1
  # Seeds are at 6, 18 ...: rows and columns 12 and 24 are as near to both.
  clear = np.ix_(np.arange(24) != 12, ~np.isin(np.arange(36), (12, 24)))
  np.testing.assert_array_equal(got[clear], want[clear])


def test_compactness_weighs_the_way_against_the_wall():
  """One row: seed, 5 pixels, a wall of 1, 3 pixels, seed."""
  relief = np.array([[0, 0, 0, 0, 0, 0, 1.0, 0, 0, 0, 0]])
  seeds = np.array([[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]])
  got = flooding.compact_watershed(relief, seeds, 0.01)
  np.testing.assert_array_equal(got[0, :6], 1)
  np.testing.assert_array_equal(got[0, 7:], 2)
  assert got[0, 6] == 2  # 1.04 beside 1.06
  got = flooding.compact_watershed(relief, seeds, 10.0)
  np.testing.assert_array_equal(got[0], [1] * 6 + [2] * 5)  # tie: age


def test_markers_are_in_every_cell():
  got = flooding.markers(256, 256, 250)
  np.testing.assert_array_equal(
    np.argwhere(got), np.stack(np.mgrid[8:256:16, 8:256:16], -1).reshape(-1, 2)
  )
  np.testing.assert_array_equal(
    flooding.markers(2, 3, 6), [[1, 2, 3], [4, 5, 6]]
  )


@pytest.mark.parametrize(
  ("relief", "seeds", "settings", "text"),
  [
    (np.zeros((3, 3)), np.zeros((3, 3), int), {}, "no pixel is a seed"),
    (np.full((3, 3), np.nan), np.eye(3, dtype=int), {}, "finite"),
    (np.zeros((3, 4)), np.eye(3, dtype=int), {}, r"\(3, 4\) and the seeds"),
    (np.zeros((3, 3)), np.eye(3), {}, "float64"),
    (np.zeros((3, 3)), -np.eye(3, dtype=int), {}, "no region"),
    (
      np.zeros((3, 3)),
      np.eye(3, dtype=int),
      {"compactness": -1},
      "compactness = -1",
    ),
    (np.zeros((3, 3)), np.eye(3, dtype=int), {"connectivity": 5}, "5 is not"),
  ],
)
def test_what_it_cannot_do(relief, seeds, settings, text):
  with pytest.raises(types.UserError, match=text):
    flooding.compact_watershed(relief, seeds, **settings)


def test_more_markers_than_pixels():
  with pytest.raises(types.UserError, match=r"7 segments .* 1 to 6"):
    flooding.markers(2, 3, 7)
