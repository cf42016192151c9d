"""Orientation of the ridges of a plain map, and what is thinned of them."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from jaxseg.classical import orient, owt, ucm
from jaxseg.classical.gpb import nms

N = 8


def ridge(degrees, size=41, width=1.5):
  """A straight ridge through the middle, and the distance to it."""
  angle = np.deg2rad(degrees)
  y, x = np.mgrid[:size, :size] - size // 2
  side = y * np.cos(angle) - x * np.sin(angle)
  return np.exp(-((side / width) ** 2) / 2).astype(np.float32), side


def run(boundary, **options):
  return np.asarray(jax.jit(lambda x: orient.oriented(x, **options))(boundary))


@pytest.mark.parametrize("degrees", [0, 10, 30, 45, 70, 90, 120, 150, 179])
def test_orientation_of_ridges(degrees):
  """As gPb has it: 0 is horizontal, the angle grows towards y, downwards."""
  boundary, side = ridge(degrees)
  got = np.asarray(jax.jit(orient.angle)(boundary))
  inner = np.zeros(side.shape, bool)
  inner[8:-8, 8:-8] = np.abs(side[8:-8, 8:-8]) < 1
  off = (got[inner] - np.deg2rad(degrees) + np.pi / 2) % np.pi - np.pi / 2
  assert np.abs(off).max() < np.deg2rad(1.5)
  strength = run(boundary)
  index = round(degrees * N / 180) % N
  assert (strength[inner].argmax(-1) == index).all()
  np.testing.assert_allclose(strength.max(-1), boundary, rtol=1e-5, atol=1e-6)
  # Across the ridge nothing is left.
  across = strength[inner][:, (index + N // 2) % N]
  assert across.max() < 0.05
  thin = np.asarray(jax.jit(nms.suppress)(strength))[8:-8, 8:-8]
  found = np.abs(side[8:-8, 8:-8][thin > 0.5])
  assert len(found) >= 15
  assert found.max() <= 1.0
  assert (thin > 0.5).sum() <= 1.3 * max(25, 25 / np.cos(np.pi / 4))


def test_second_derivatives_of_a_quadratic():
  """x^2, x y and y^2 have the Hessian that they have, inside the border."""
  g, first, second = orient._kernels(2.0)
  t = np.arange(len(g)) - len(g) // 2
  assert g.sum() == pytest.approx(1)
  assert (first @ t) == pytest.approx(-1, rel=1e-2)  # convolved: 1
  assert (second @ (t * t)) == pytest.approx(2, rel=1e-2)
  assert abs(second.sum()) < 1e-12
  assert abs(second @ t) < 1e-12


def test_turning_the_map_permutes_orientations():
  rng = np.random.default_rng(0)
  boundary = ndimage.gaussian_filter(rng.random((30, 43)), 1.5)
  boundary = boundary.astype(np.float32)
  got = run(np.ascontiguousarray(np.rot90(boundary)), blur=1.0)
  want = np.roll(np.rot90(run(boundary, blur=1.0)), N // 2, -1)
  np.testing.assert_allclose(got, want, atol=1e-4)


def test_blur_is_a_gaussian():
  x = np.random.default_rng(1).random((20, 27)).astype(np.float32)
  got = jax.jit(lambda x: orient.smooth(x, 1.5))(x)
  want = ndimage.gaussian_filter(x, 1.5, mode="reflect", truncate=4)
  np.testing.assert_allclose(got, want, atol=1e-5)
  np.testing.assert_array_equal(orient.smooth(x, 0), x)


def test_a_flat_map_is_finite_and_one_region():
  strength = run(np.full((12, 15), 0.3, np.float32))
  np.testing.assert_allclose(strength.max(-1), 0.3, rtol=1e-5)
  tree = ucm.merge(owt.transform(run(np.zeros((12, 15), np.float32))))
  assert tree.count == 1


def test_lines_of_a_map_become_regions():
  """A cross of two soft lines, one weaker: four regions, then two."""
  y, x = np.mgrid[:40, :50]
  vertical = 0.9 * np.exp(-(((x - 20) / 1.5) ** 2))
  level = 0.5 * np.exp(-(((y - 25) / 1.5) ** 2))
  boundary = np.maximum(vertical, level)
  tree = ucm.merge(owt.transform(run(boundary.astype(np.float32))))
  four = ucm.segments(tree, 0.3)
  two = ucm.segments(tree, 0.7)
  assert len(np.unique(four)) == 4
  assert len(np.unique(two)) == 2
  assert len(np.unique(two[:, :18])) == len(np.unique(two[:, 23:])) == 1
  np.testing.assert_allclose(tree.levels[-1], 0.9, atol=0.05)
  np.testing.assert_allclose(tree.levels[-3:-1], 0.5, atol=0.05)
