"""Noise on one image, from a key: Gaussian, salt and pepper, hidden pixels.

Functions take (key, image (h, w, c) in [0, 1], amount) and give an image of
that shape; `corrupt` does a batch, each image with a key of its own. Hiding
pixels is the corruption of Vincent et al. 2010 (JMLR 11), hiding patches that
of masked autoencoders (He et al. 2021, arXiv:2111.06377).

Differs from Vincent: a pixel is hidden or hit in all its channels, each with
the same probability, where the paper draws a fixed number of inputs.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxseg.ops import resize

Array = jax.Array
Noise = Callable[[Array, Array, float], Array]


def gaussian(key: Array, image: Array, sigma: float) -> Array:
  """Adds normal noise of deviation `sigma`; may leave [0, 1]."""
  return image + sigma * jax.random.normal(key, image.shape, image.dtype)


def salt_pepper(key: Array, image: Array, fraction: float) -> Array:
  """This share of the pixels becomes white or black, evenly."""
  draw = jax.random.uniform(key, (*image.shape[:2], 1))
  salt = draw < fraction / 2
  return jnp.where(salt, 1.0, jnp.where(draw < fraction, 0.0, image))


def hide_pixels(key: Array, image: Array, fraction: float) -> Array:
  """This share of the pixels becomes 0."""
  draw = jax.random.uniform(key, (*image.shape[:2], 1))
  return jnp.where(draw < fraction, 0.0, image)


def hide_patches(
  key: Array, image: Array, fraction: float, side: int = 16
) -> Array:
  """Exactly this share of side x side patches, rounded, becomes 0.

  The patches begin at the upper left corner; the last ones may be cut off.
  """
  h, w = image.shape[:2]
  rows, cols = -(-h // side), -(-w // side)
  rank = jax.random.permutation(key, rows * cols).reshape(1, rows, cols)
  hidden = rank < round(fraction * rows * cols)
  hidden = resize.repeat(resize.repeat(hidden, side, 1), side, 2)
  return jnp.where(hidden[0, :h, :w, None], 0.0, image)


def corrupt(
  key: Array, image: Array, ids: Array, noise: Callable[[Array, Array], Array]
) -> Array:
  """Noise on (b, h, w, c) that depends on the key and on each image's id.

  Not on the place in the batch: another batch size, or more devices, give an
  image the same noise.

  Args:
    key: of the step, or of the evaluation.
    image: (b, h, w, c).
    ids: (b,) int, such as the positions of the examples in their split.
    noise: (key, image (h, w, c)) -> image.
  """
  keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(ids)
  return jax.vmap(noise)(keys, image)
