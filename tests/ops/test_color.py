"""Colour spaces against scikit-image, published colours and the definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage import color as reference

from jaxseg.ops import color


def every_colour():
  """Black, white, the knees of the curves, and a grid of the cube."""
  grid = np.linspace(0, 1, 18)
  cube = np.stack(np.meshgrid(grid, grid, grid), -1).reshape(-1, 3)
  dark = np.random.default_rng(0).uniform(0, 0.06, (500, 3))
  return np.concatenate([cube, dark, np.full((1, 3), 0.04045)])


def test_parity_with_scikit_image():
  rgb = every_colour()
  lab = reference.rgb2lab(rgb)
  np.testing.assert_allclose(jax.jit(color.rgb_to_lab)(rgb), lab, atol=1e-4)
  np.testing.assert_allclose(
    color.linear_to_xyz(color.srgb_to_linear(rgb)),
    reference.rgb2xyz(rgb),
    atol=1e-6,
  )
  np.testing.assert_allclose(
    jax.jit(color.lab_to_rgb)(lab), reference.lab2rgb(lab), atol=1e-4
  )


@pytest.mark.filterwarnings("ignore:.*negative Z values:UserWarning")
def test_colours_that_no_screen_shows_are_cut_off_alike():
  rng = np.random.default_rng(0)
  lab = rng.uniform((0, -110, -110), (100, 110, 110), (5000, 3))
  want = reference.lab2rgb(lab)
  assert ((want == 0) | (want == 1)).any(-1).mean() > 0.5
  np.testing.assert_allclose(color.lab_to_rgb(lab), want, atol=1e-4)


def test_there_and_back_again():
  rgb = every_colour().astype(np.float32)
  linear = color.srgb_to_linear(rgb)
  np.testing.assert_allclose(color.linear_to_srgb(linear), rgb, atol=1e-6)
  xyz = color.linear_to_xyz(linear)
  np.testing.assert_allclose(color.xyz_to_linear(xyz), linear, atol=1e-6)
  lab = color.xyz_to_lab(xyz)
  np.testing.assert_allclose(color.lab_to_xyz(lab), xyz, atol=1e-6)


def test_published_colours():
  """Red, green, blue of sRGB in Lab as CIE tables have them, to 0.01."""
  lab = color.rgb_to_lab(np.eye(3))
  want = [
    (53.24, 80.09, 67.20),
    (87.73, -86.18, 83.18),
    (32.30, 79.19, -107.86),
  ]
  np.testing.assert_allclose(lab, want, atol=0.02)
  np.testing.assert_allclose(
    color.rgb_to_lab(np.ones(3)), (100, 0, 0), atol=0.01
  )


@pytest.mark.parametrize("there", [True, False])
def test_gradients_are_finite_and_right(there):
  """At black, white and the knees; elsewhere they equal differences."""
  function = color.rgb_to_lab if there else color.lab_to_rgb
  points = np.array([[0, 0, 0], [1, 1, 1], [0.04045] * 3], np.float32)
  inner = np.array([[0.2, 0.5, 0.7], [0.01, 0.02, 0.03]], np.float32)
  if not there:
    points, inner = color.rgb_to_lab(points), color.rgb_to_lab(inner)
  jacobian = jax.jit(jax.vmap(jax.jacfwd(function)))
  backward = jax.jit(jax.vmap(jax.jacrev(function)))
  assert np.isfinite(jacobian(points)).all()
  assert np.isfinite(backward(points)).all()
  assert np.abs(jacobian(points)[0]).max() > 0  # not cut off at black
  step = 1e-2 if not there else 1e-3
  for x, slope in zip(inner, jacobian(inner)):
    moved = np.eye(3, dtype=np.float32) * step
    moves = [(function(x + d) - function(x - d)) / (2 * step) for d in moved]
    want = np.stack(moves, -1)
    atol = 0.02 if there else 1e-5
    np.testing.assert_allclose(slope, want, rtol=0.02, atol=atol)


def test_grey_keeps_the_lightness_and_loses_the_colour():
  rgb = every_colour()
  flat = color.grey(jnp.asarray(rgb))
  before, after = color.rgb_to_lab(rgb), color.rgb_to_lab(flat)
  np.testing.assert_allclose(after[:, 0], before[:, 0], atol=2e-4)
  assert np.abs(after[:, 1:]).max() < 0.02
  np.testing.assert_allclose(color.grey(flat), flat, atol=1e-6)
