"""Distances against SciPy, exact as whole numbers, and brute force."""

import functools

import jax
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from jaxseg.losses import separation
from jaxseg.ops import distance
from tests import quick


@functools.partial(quick.jit, static_argnames=("spacing", "axes"))
def squared(seeds, spacing=None, axes=2):
  return distance.squared_distance(seeds, spacing, axes=axes)


@pytest.mark.parametrize("share", [0.002, 0.05, 0.5])
def test_squares_are_scipys_and_exact(share):
  rng = np.random.default_rng(0)
  seeds = rng.random((3, 61, 47)) < share
  seeds[:, 5, 7] = True
  square, index = squared(seeds)
  assert square.dtype == np.int32
  for i in range(3):
    want = ndimage.distance_transform_edt(~seeds[i])
    np.testing.assert_array_equal(square[i], np.rint(want**2).astype(int))
  # The index is of a seed, and that seed is at this distance.
  assert np.take_along_axis(
    seeds.reshape(3, -1), np.asarray(index).reshape(3, -1), 1
  ).all()
  y, x = np.divmod(np.asarray(index), 47)
  rows, columns = np.mgrid[:61, :47]
  np.testing.assert_array_equal(square, (y - rows) ** 2 + (x - columns) ** 2)


def test_spacing():
  seeds = np.random.default_rng(1).random((40, 23)) < 0.01
  got = quick.jit(lambda s: distance.distance(s, (0.7, 2.5)))(seeds)
  want = ndimage.distance_transform_edt(~seeds, sampling=(0.7, 2.5))
  np.testing.assert_allclose(got, want, atol=1e-4)


def test_large_units_do_not_run_into_nowhere():
  """Nanometres: squares beyond what whole numbers would hold."""
  seeds = np.zeros((2, 9), bool)
  seeds[0, 0] = True
  got = quick.jit(lambda s: distance.distance(s, (5e4, 1e5)))(seeds)
  want = ndimage.distance_transform_edt(~seeds, sampling=(5e4, 1e5))
  np.testing.assert_allclose(got, want, rtol=1e-6)


def test_volumes():
  seeds = np.random.default_rng(2).random((2, 9, 12, 7)) < 0.02
  got = quick.jit(lambda s: distance.distance(s, (3.0, 1.0, 0.5), axes=3))(
    seeds
  )
  for a, b in zip(got, seeds):
    want = ndimage.distance_transform_edt(~b, sampling=(3, 1, 0.5))
    np.testing.assert_allclose(a, want, atol=1e-4)


def test_a_single_seed_in_the_corner_and_none():
  seeds = np.zeros((2, 1, 300), bool)
  seeds[0, 0, 0] = True
  square, index = squared(seeds)
  np.testing.assert_array_equal(square[0, 0], np.arange(300) ** 2)
  assert (np.asarray(index[0]) == 0).all()
  assert (np.asarray(square[1]) == distance.FAR).all()
  assert (np.asarray(index[1]) == distance.NONE).all()
  assert np.isinf(quick.jit(distance.distance)(seeds)[1]).all()


def test_under_vmap_it_is_the_same():
  seeds = np.random.default_rng(3).random((4, 11, 9)) < 0.05
  np.testing.assert_array_equal(
    quick.jit(jax.vmap(distance.distance))(seeds),
    quick.jit(distance.distance)(seeds),
  )


@pytest.mark.parametrize("spacing", [(1.0,), (1.0, 0.0), (1.0, -2.0)])
def test_a_spacing_that_does_not_fit(spacing):
  with pytest.raises(ValueError, match="does not fit 2 axes"):
    distance.distance(np.zeros((2, 2), bool), spacing)


@pytest.mark.parametrize("spacing", [None, (1.5, 0.5)])
def test_two_nearest_things_against_brute_force(spacing):
  rng = np.random.default_rng(4)
  labels = rng.integers(1, 6, (6, 12, 14)) * (rng.random((6, 12, 14)) < 0.1)
  labels[:, 3, ::3] = [1, 2, 3, 4, 5]  # each is somewhere
  got = quick.jit(lambda x: distance.two_nearest(x, spacing))(labels)
  step = np.array(spacing or (1, 1))
  here = np.argwhere(labels[0] >= 0) * step
  for i, (one, two, name, other) in enumerate(zip(*map(np.asarray, got))):
    to = np.stack(
      [
        cdist(here, np.argwhere(labels[i] == k) * step).min(1)
        for k in range(1, 6)
      ]
    ).reshape(5, 12, 14)
    want = np.sort(to, 0)
    np.testing.assert_allclose(one, want[0], atol=1e-5)
    np.testing.assert_allclose(two, want[1], atol=1e-5)
    assert (name != other).all()
    for d, k in ((one, name), (two, other)):
      at = np.take_along_axis(to, k[None] - 1, 0)[0]
      np.testing.assert_allclose(d, at, atol=1e-5)


def squares():
  cells = np.zeros((5, 9), int)
  cells[1:4, 1:4], cells[1:4, 5:8] = 4, 2
  return cells


def test_golden_weights_between_two_cells():
  got = np.asarray(quick.jit(separation.separation)(squares()))
  np.testing.assert_allclose(got[1:4, 4], 9.2312, atol=1e-4)
  np.testing.assert_allclose(got[[0, 4], 4], 8.5214, atol=1e-4)
  np.testing.assert_allclose(
    got[[0, 0, -1, -1], [0, -1] * 2], 4.2808, atol=1e-4
  )
  np.testing.assert_allclose(got[1:4, 0], 4.8675, atol=1e-4)
  assert (got[squares() > 0] == 0).all()
  # Equation 2 by hand at the middle: d1 = d2 = 1.
  assert got[2, 4] == pytest.approx(10 * np.exp(-4 / 50))


def test_one_cell_has_nothing_to_be_separated_from():
  one = np.minimum(squares() % 4, 1)
  assert one.any()
  assert not np.asarray(quick.jit(separation.separation)(one)).any()
  weights = quick.jit(lambda x: separation.unet_weights(x, (0.5, 3.0)))(one)
  np.testing.assert_array_equal(weights, np.where(one, 3.0, 0.5))
