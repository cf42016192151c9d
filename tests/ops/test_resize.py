"""Resizing, padding and cropping against jax.image and by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.ops import resize


def line(values):
  return np.asarray(values, np.float32)[None, None, :, None]


def test_a_ramp_of_three_pixels():
  half = resize.resize_bilinear(line([0, 1, 2]), (1, 6))[0, 0, :, 0]
  np.testing.assert_allclose(half, [0, 0.25, 0.75, 1.25, 1.75, 2], atol=1e-6)
  same = resize.resize_bilinear(line([0, 1, 2]), (1, 6), align_corners=True)
  np.testing.assert_allclose(
    same[0, 0, :, 0], [0, 0.4, 0.8, 1.2, 1.6, 2], atol=1e-6
  )


@pytest.mark.parametrize(
  ("old", "new"),
  [
    ((4, 5), (8, 15)),  # whole factors: shifts
    ((4, 5), (7, 9)),
    ((9, 6), (4, 3)),
    ((1, 7), (5, 1)),
    ((6, 6), (6, 13)),
  ],
)
def test_bilinear_equals_jax_image_with_gradient(old, new):
  rng = np.random.default_rng(0)
  x, weight = (
    rng.normal(size=(2, *n, 3)).astype("float32") for n in (old, new)
  )

  def ours(x):
    y = resize.resize_bilinear(x, new)
    return jnp.sum(y * weight), y

  def theirs(x):
    y = jax.image.resize(x, (2, *new, 3), "bilinear", antialias=False)
    return jnp.sum(y * weight), y

  got, want = jax.jit(
    lambda x: [jax.grad(f, has_aux=True)(x) for f in (ours, theirs)]
  )(x)
  for a, b in zip(got, want):
    np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("new", [(1, 1), (3, 7), (12, 5), (4, 10)])
def test_align_corners_by_interpolation(new):
  x = np.random.default_rng(0).normal(size=(4, 5))
  rows = np.linspace(0, 3, new[0]) if new[0] > 1 else [0]
  cols = np.linspace(0, 4, new[1]) if new[1] > 1 else [0]
  want = np.array([np.interp(cols, range(5), row) for row in x])
  want = np.array([np.interp(rows, range(4), c) for c in want.T]).T
  got = resize.resize_bilinear(
    jnp.asarray(x, jnp.float32)[None, :, :, None], new, align_corners=True
  )
  np.testing.assert_allclose(got[0, :, :, 0], want, atol=1e-5)


def test_nearest_unpool_of_the_lecture():
  x = jnp.asarray([[1, 2], [3, 4]])[None, :, :, None]
  np.testing.assert_array_equal(
    resize.resize_nearest(x, (4, 4))[0, :, :, 0],
    [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]],
  )


@pytest.mark.parametrize("new", [(3, 4), (10, 15), (7, 2), (1, 1)])
def test_nearest_equals_jax_image(new):
  x = jnp.arange(2 * 5 * 5).reshape(2, 5, 5, 1).astype(jnp.float32)
  want = jax.image.resize(x, (2, *new, 1), "nearest")
  np.testing.assert_array_equal(resize.resize_nearest(x, new), want)
  labels = resize.resize_nearest(x[..., 0].astype(jnp.int32), new)
  np.testing.assert_array_equal(labels, want[..., 0])


def test_pad_and_crop_are_inverse():
  x = np.random.default_rng(0).random((2, 5, 9, 3), np.float32)
  padded = resize.pad_to_stride(x, 4)
  assert padded.shape == (2, 8, 12, 3)
  np.testing.assert_array_equal(resize.crop(padded, 5, 9), x)
  np.testing.assert_array_equal(
    padded[:, 5:, :9], np.repeat(x[:, 4:5], 3, axis=1)
  )
  np.testing.assert_array_equal(resize.pad_to_stride(padded, 4), padded)


def test_mirror_beyond_the_image():
  x = line([0, 1, 2])
  got = resize.pad_mirror(x, (0, 0), (5, 4))[0, 0, :, 0]
  np.testing.assert_array_equal(got, [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2])


def test_crop_center_and_its_error():
  x = jnp.arange(5)[None, :, None, None]
  np.testing.assert_array_equal(
    resize.crop_center(x, 3, 1)[0, :, 0, 0], [1, 2, 3]
  )
  with pytest.raises(ValueError, match="does not fit into 5 x 1"):
    resize.crop(x, 3, 2)
