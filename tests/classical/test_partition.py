"""The rules of a partition, each broken once, and graphs counted by hand."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import measure

from jaxseg import types
from jaxseg.classical import partition

# Two vertical bars, a corner that touches one of them by its corner only.
LABELS = np.array(
  [
    [0, 0, 7, 7],
    [0, 0, 7, 7],
    [3, 3, 3, 9],
  ]
)


def verdict(*arguments, **keywords):
  """What the validator says: nothing, or one sentence."""
  said = ""
  try:
    partition.validate(*arguments, **keywords)
  except types.UserError as e:
    said = str(e)
  assert ". " not in said
  return said


def test_components_of_a_constant_coloured_picture_are_a_partition():
  rng = np.random.default_rng(0)
  image = rng.integers(0, 3, (9, 11))
  for n in (4, 8):
    labels = partition.components(image, n)
    assert not verdict(labels, partition.constant, image, connectivity=n)


def test_each_rule_is_named_when_it_is_broken():
  image = LABELS.astype(float)
  assert not verdict(LABELS, partition.constant, image)
  split = LABELS.copy()
  split[2, 3] = 0
  assert "region 0 is in 2 pieces" in verdict(split)
  hole = LABELS.copy()
  hole[1, 2] = -1
  where = "1 pixels belong to no region, the first at row 1, column 2"
  assert where in verdict(hole)
  uneven = image.copy()
  uneven[2, 0] += 1
  said = verdict(LABELS, partition.constant, uneven)
  assert "false on region 3" in said
  two = LABELS.copy()
  two[0, :2] = 5  # of the colour of region 0 below it
  said = verdict(two, partition.constant, image)
  assert "union of the neighbours 0 and 5" in said


def test_corners_connect_eight_neighbours_alone():
  labels = np.array([[0, 1], [1, 0]])
  assert not verdict(labels, connectivity=8)
  assert "in 2 pieces" in verdict(labels)


def test_the_range_of_a_region():
  image = np.array([[0.0, 0.2, 1.0, 1.1]])
  labels = np.array([[0, 0, 1, 1]])

  def within(most):
    return verdict(labels, partition.range_within(most), image)

  assert not within(0.25)
  assert "false on region 0" in within(0.15)
  assert "the neighbours 0 and 1" in within(2)


@pytest.mark.parametrize(
  ("labels", "text"),
  [
    (np.zeros((0, 3), int), "shape (0, 3)"),
    (np.zeros((1, 2, 3), int), "shape (1, 2, 3)"),
    (np.zeros((2, 2)), "of float64;"),
    (np.full((2, 2), np.nan), "with NaN in it"),
    (np.zeros((2, 2), bool), "of bool"),
  ],
)
def test_what_is_no_label_map(labels, text):
  assert text in verdict(labels)


def test_what_the_predicate_cannot_read():
  image = np.full(LABELS.shape, np.nan)
  constant = partition.constant
  assert "not finite" in verdict(LABELS, constant, image)
  assert "no image was given" in verdict(LABELS, constant)
  assert "(2, 4) was given" in verdict(LABELS, constant, image[:2])
  assert "connectivity 6" in verdict(LABELS, connectivity=6)


@pytest.mark.parametrize("connectivity", [4, 8])
def test_components_agree_with_scikit_image(connectivity):
  labels = np.random.default_rng(1).integers(0, 4, (13, 10))
  got = partition.components(labels, connectivity)
  want = measure.label(labels, background=-1, connectivity=connectivity // 4)
  np.testing.assert_array_equal(got, want - 1)
  # Of one id alone, as SciPy has it.
  shape = ndimage.generate_binary_structure(2, connectivity // 4)
  pieces = ndimage.label(labels == 2, shape)[1]
  assert len(np.unique(got[labels == 2])) == pieces


def test_uncovered_pixels_stay_so():
  labels = np.array([[5, -2, 5], [5, -1, 2]])
  np.testing.assert_array_equal(
    partition.relabel(labels), [[0, -1, 0], [0, -1, 1]]
  )
  np.testing.assert_array_equal(
    partition.components(labels), [[0, -1, 1], [0, -1, 2]]
  )


def test_sizes_and_borders_by_hand():
  np.testing.assert_array_equal(
    partition.sizes(LABELS), [4, 0, 0, 3, 0, 0, 0, 4, 0, 1]
  )
  np.testing.assert_array_equal(
    partition.relabel(LABELS), [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 2, 3]]
  )
  pairs, length = partition.adjacency(LABELS)
  np.testing.assert_array_equal(pairs, [[0, 3], [0, 7], [3, 7], [3, 9], [7, 9]])
  np.testing.assert_array_equal(length, [2, 2, 1, 1, 1])
  pairs, length = partition.adjacency(LABELS, 8)
  # Diagonals: 0-3 thrice more, 0-7 and 3-7 twice, 7-9 once.
  np.testing.assert_array_equal(pairs, [[0, 3], [0, 7], [3, 7], [3, 9], [7, 9]])
  np.testing.assert_array_equal(length, [5, 4, 3, 1, 2])


def test_one_region_has_no_neighbours():
  pairs, length = partition.adjacency(np.zeros((2, 3), int))
  assert pairs.shape == (0, 2)
  assert length.shape == (0,)
  partition.validate(np.full((1, 1), 12))
