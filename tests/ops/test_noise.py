"""Noise has the statistics that were asked for, image by image."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.ops import noise
from tests import quick

GREY = np.full((2, 96, 112, 3), 0.5, np.float32)
IDS = np.array([3, 8])


def made(function, amount, image=GREY, ids=IDS, key=0, **options):
  def one(key, x):
    return function(key, x, amount, **options)

  run = quick.jit(lambda k, x, i: noise.corrupt(k, x, i, one))
  return np.asarray(run(jax.random.key(key), image, ids))


def test_gaussian_has_its_deviation_in_every_channel():
  error = made(noise.gaussian, 25 / 255) - 0.5
  # 10752 pixels: the deviation of a deviation is 0.7%.
  np.testing.assert_allclose(error.std((1, 2)), 25 / 255, rtol=0.04)
  np.testing.assert_allclose(error.mean((1, 2)), 0, atol=4 * 0.098 / 103)
  channels = np.corrcoef(error[0].reshape(-1, 3).T)
  assert np.abs(channels - np.eye(3)).max() < 0.05
  assert np.abs(np.corrcoef(error.reshape(2, -1))[0, 1]) < 0.03


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.4, 1.0])
def test_salt_and_pepper_come_in_equal_parts(fraction):
  image = made(noise.salt_pepper, fraction)
  assert (image == image[..., :1]).all()  # all channels of a pixel
  sigma = np.sqrt(fraction / 2 / image[..., 0].size) + 1e-9
  for value in (0.0, 1.0):
    assert abs((image == value).mean() - fraction / 2) < 4 * sigma
  left = image[(image != 0) & (image != 1)]
  assert (left == 0.5).all()


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.4])
def test_hidden_pixels(fraction):
  image = made(noise.hide_pixels, fraction)
  hidden = (image == 0).all(-1)
  assert ((image == 0.5) | hidden[..., None]).all()
  sigma = np.sqrt(fraction * (1 - fraction) / hidden[0].size)
  assert (np.abs(hidden.mean((1, 2)) - fraction) < 4 * sigma).all()


@pytest.mark.parametrize(("size", "side"), [((96, 112), 16), ((33, 50), 8)])
def test_exactly_that_share_of_patches_is_hidden(size, side):
  image = made(
    noise.hide_patches, 0.75, GREY[:, : size[0], : size[1]], side=side
  )
  rows, cols = (-(-n // side) for n in size)
  hidden = 0
  for i, j in np.ndindex(rows, cols):
    patch = image[0, i * side : (i + 1) * side, j * side : (j + 1) * side]
    assert len(np.unique(patch)) == 1  # a patch is hidden or it is not
    hidden += patch[0, 0, 0] == 0
  assert hidden == round(0.75 * rows * cols)
  assert (image[0] != image[1]).any()


@pytest.mark.parametrize("name", ["gaussian", "hide_patches"])
def test_noise_belongs_to_the_example_and_the_key(name):
  make = functools.partial(made, getattr(noise, name), 0.5)
  both = make()
  np.testing.assert_array_equal(make(ids=IDS[::-1])[::-1], both)
  np.testing.assert_array_equal(make(image=GREY[:1], ids=IDS[1:]), both[1:])
  assert (both[0] != both[1]).any()
  assert (make(key=1) != both).any((1, 2, 3)).all()


def test_the_gradient_passes_where_pixels_are_left():
  slope = jax.grad(
    lambda x: jnp.sum(noise.hide_pixels(jax.random.key(0), x, 0.5))
  )(GREY[0] + 0.1)
  kept = noise.hide_pixels(jax.random.key(0), GREY[0] + 0.1, 0.5) > 0
  np.testing.assert_array_equal(slope, kept)
