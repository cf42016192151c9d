"""Looking one image up in another: bilinear samples and what they are worth.

Coordinates are those of `camera`: the centre of pixel (i, j) is at y = i + 0.5,
x = j + 0.5. A sample is valid where all pixels that it mixes exist; what is
not valid is 0, with gradient 0, and never NaN.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from jaxseg.ops import camera as cam
from jaxseg.ops import motion as rigid

Array = jax.Array


def _sample_one(
  image: Array, xy: Array, source: Array | None
) -> tuple[Array, Array]:
  """(h, w, c), (n, 2) and (h, w) bool -> (n, c) and (n,) bool."""
  h, w = image.shape[:2]
  x, y = xy[:, 0] - 0.5, xy[:, 1] - 0.5
  valid = (x >= 0) & (x <= w - 1) & (y >= 0) & (y <= h - 1)  # NaN is not
  x, y = jnp.where(valid, x, 0.0), jnp.where(valid, y, 0.0)
  # On the last centre the other neighbour, outside, would weigh nothing.
  left = jnp.clip(jnp.floor(x), 0, max(w - 2, 0))
  top = jnp.clip(jnp.floor(y), 0, max(h - 2, 0))
  px, py = x - left, y - top
  out = jnp.zeros((len(xy), image.shape[-1]), jnp.float32)
  for dy, wy in ((0, 1 - py), (1, py)):
    for dx, wx in ((0, 1 - px), (1, px)):
      row = jnp.minimum(top.astype(jnp.int32) + dy, h - 1)
      column = jnp.minimum(left.astype(jnp.int32) + dx, w - 1)
      weight = wy * wx
      value = image[row, column].astype(jnp.float32)
      if source is not None:
        good = source[row, column]
        valid &= good | (weight == 0)
        value = jnp.where(good[:, None], value, 0.0)
      out += weight[:, None] * value
  return jnp.where(valid[:, None], out, 0.0), valid


def sample(
  image: Array, xy: Array, *, source: Array | None = None
) -> tuple[Array, Array]:
  """Bilinear samples of an image at any places.

  Args:
    image: (..., h, w, c).
    xy: (..., n, m, 2) x and y in pixels; the leading axes are the image's.
    source: (..., h, w) bool, which pixels of the image may be mixed; None is
      all.

  Returns:
    float32 (..., n, m, c) and bool (..., n, m): valid, see the module.
  """
  lead, grid = image.shape[:-3], xy.shape[len(image.shape) - 3 : -1]
  images = image.reshape(-1, *image.shape[-3:])
  places = xy.reshape(len(images), -1, 2)
  one = _sample_one
  if source is None:
    one = functools.partial(one, source=None)
    out, valid = jax.vmap(one)(images, places)
  else:
    masks = source.astype(bool).reshape(-1, *source.shape[-2:])
    out, valid = jax.vmap(one)(images, places, masks)
  return out.reshape(*lead, *grid, -1), valid.reshape(*lead, *grid)


def reproject(
  depth: Array,
  camera: Array,
  motion: Array,
  previous_camera: Array | None = None,
) -> tuple[Array, Array, Array]:
  """Where each pixel of this frame was in the previous one.

  Args:
    depth: (..., h, w) metres of this frame; 0 is invalid.
    camera: (..., 4) of this frame.
    motion: (..., 4, 4) previous camera from this one.
    previous_camera: (..., 4); None is `camera`.

  Returns:
    xy (..., h, w, 2) in pixels of the previous frame, z (..., h, w) there, and
    bool (..., h, w): the depth is known and the point lies before the camera.
  """
  points = rigid.apply(motion, cam.backproject(depth, camera))
  previous = camera if previous_camera is None else previous_camera
  xy, z = cam.project(points, previous)
  return xy, z, (depth > 0) & (z > cam.NEAR)


def warp_previous(
  previous: Array,
  depth: Array,
  camera: Array,
  motion: Array,
  *,
  previous_camera: Array | None = None,
  previous_depth: Array | None = None,
  tolerance: float = 0.05,
) -> tuple[Array, Array]:
  """The previous frame as it would look from here, if nothing moved.

  Args:
    previous: (..., h, w, c), image or features of the previous frame.
    depth: (..., h, w) metres of this frame.
    camera: (..., 4).
    motion: (..., 4, 4) previous camera from this one.
    previous_camera: (..., 4); None is `camera`.
    previous_depth: (..., h, w) of the previous frame. With it, points that
      something else hid there are not valid.
    tolerance: they are hidden if what was seen is nearer by this share.

  Returns:
    float32 (..., h, w, c) and bool (..., h, w): valid. Without
    `previous_depth` hidden points show what hid them.
  """
  xy, z, valid = reproject(depth, camera, motion, previous_camera)
  out, inside = sample(previous, xy)
  valid &= inside
  if previous_depth is not None:
    # Inverse depth is affine on the image of a plane: interpolate that.
    known = previous_depth > 0
    inverse = jnp.where(known, 1 / jnp.where(known, previous_depth, 1.0), 0.0)
    seen, measured = sample(inverse[..., None], xy, source=known)
    valid &= measured & (z * seen[..., 0] < 1 / (1 - tolerance))
  return jnp.where(valid[..., None], out, 0.0), valid
