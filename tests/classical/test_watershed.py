"""Watersheds: scikit-image's, lowest passes, flat reliefs, minima."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import color, data, filters, measure, morphology, segmentation

from jaxseg import types
from jaxseg.classical import partition, watershed


@pytest.mark.parametrize("name", ["astronaut", "chelsea"])
@pytest.mark.parametrize("compactness", [0.001, 0.1])
def test_that_of_scikit_image(name, compactness):
  image = getattr(data, name)()[::2, ::2]
  relief = filters.sobel(color.rgb2gray(image))
  seeds = watershed.grid_seeds(*relief.shape, 250)
  theirs = segmentation.watershed(relief, seeds, compactness=compactness)
  ours = watershed.watershed(relief, seeds, compactness)
  np.testing.assert_array_equal(ours, theirs)
  partition.validate(ours)
  assert name != "astronaut" or ours.max() == 256


@pytest.mark.parametrize("connectivity", [4, 8])
def test_without_compactness_it_takes_the_lowest_pass(connectivity):
  """Each pixel's seed is one whose path has the least highest point."""
  relief = np.random.default_rng(0).permutation(99).reshape(9, 11) / 99
  seeds = np.zeros((9, 11), int)
  seeds[1, 1], seeds[7, 9], seeds[2, 8] = 1, 2, 3
  got = watershed.watershed(relief, seeds, connectivity=connectivity)
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
  seeds = watershed.grid_seeds(24, 36, 6)
  got = watershed.watershed(np.zeros((24, 36)), seeds, 1.0)
  want = np.repeat(np.repeat(np.arange(6).reshape(2, 3), 12, 0), 12, 1) + 1
  # Seeds are at 6, 18 ...: rows and columns 12 and 24 are as near to both.
  clear = np.ix_(np.arange(24) != 12, ~np.isin(np.arange(36), (12, 24)))
  np.testing.assert_array_equal(got[clear], want[clear])


def test_compactness_weighs_the_way_against_the_wall():
  """One row: seed, 5 pixels, a wall of 1, 3 pixels, seed."""
  relief = np.array([[0, 0, 0, 0, 0, 0, 1.0, 0, 0, 0, 0]])
  seeds = np.array([[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]])
  got = watershed.watershed(relief, seeds, 0.01)
  np.testing.assert_array_equal(got[0, :6], 1)
  np.testing.assert_array_equal(got[0, 7:], 2)
  assert got[0, 6] == 2  # 1.04 beside 1.06
  got = watershed.watershed(relief, seeds, 10.0)
  np.testing.assert_array_equal(got[0], [1] * 6 + [2] * 5)  # tie: age


def test_grid_seeds_are_in_every_cell():
  got = watershed.grid_seeds(256, 256, 250)
  np.testing.assert_array_equal(
    np.argwhere(got), np.stack(np.mgrid[8:256:16, 8:256:16], -1).reshape(-1, 2)
  )
  np.testing.assert_array_equal(
    watershed.grid_seeds(2, 3, 6), [[1, 2, 3], [4, 5, 6]]
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
    watershed.watershed(relief, seeds, **settings)


def test_more_seeds_than_pixels():
  with pytest.raises(types.UserError, match=r"7 segments .* 1 to 6"):
    watershed.grid_seeds(2, 3, 7)


@pytest.mark.parametrize("seed", range(3))
def test_basins_of_minima_are_scikit_images(seed):
  height = np.random.default_rng(seed).normal(size=(30, 37))
  height = ndimage.gaussian_filter(height, 1.5)
  got = watershed.watershed(height)
  low = morphology.local_minima(height, connectivity=1)
  np.testing.assert_array_equal(watershed.minima(height) > 0, low)
  want = segmentation.watershed(height, measure.label(low, connectivity=1))
  np.testing.assert_array_equal(partition.relabel(got), partition.relabel(want))
  partition.validate(got)


def test_basins_of_plateaus():
  """A flat picture is one basin; a wall between two pits parts them."""
  assert (watershed.watershed(np.ones((4, 6))) == 1).all()
  height = np.zeros((5, 9))
  height[:, 4] = 1
  label = watershed.watershed(height)
  assert len(np.unique(label)) == 2
  assert len(np.unique(label[:, :4])) == len(np.unique(label[:, 5:])) == 1
