"""The pinhole camera on the device: rays, points and pixels.

The convention of the whole house: the camera looks along +z, x points right,
y down, metres. Pixel (row i, column j) has its centre at y = i + 0.5, x = j +
0.5. `camera` is (..., 4): fx, fy, cx, cy in pixels, so that x = fx X / Z + cx.
Depth is Z, not the distance along the ray.
Leading axes of `camera` are those of the maps; it broadcasts over the others.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.types import UserError

Array = jax.Array
NEAR = 1e-3  # metres; nothing nearer has a place in the image


def spread(camera: Array, ndim: int) -> Array:
  """(..., 4) -> (..., 1, 1, 4) of `ndim` axes."""
  camera = jnp.asarray(camera, jnp.float32)
  ones = (1,) * (ndim - camera.ndim)
  return camera.reshape(*camera.shape[:-1], *ones, 4)


def centres(size: tuple[int, int]) -> Array:
  """(h, w, 2) float32: x and y of the pixel centres."""
  x, y = np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5
  return jnp.asarray(np.stack(np.meshgrid(x, y), -1), jnp.float32)


def rays(camera: Array, size: tuple[int, int]) -> Array:
  """(..., 4) -> (..., h, w, 3): through the pixel centres, with z = 1.

  Not unit vectors: depth times ray is the point.
  """
  camera = spread(camera, jnp.ndim(camera) + 2)
  xy = (centres(size) - camera[..., 2:]) / camera[..., :2]
  return jnp.concatenate([xy, jnp.ones_like(xy[..., :1])], -1)


def backproject(depth: Array, camera: Array) -> Array:
  """Depth (..., h, w) and camera (..., 4) -> points (..., h, w, 3), metres.

  Where the depth is 0 (invalid) the point is the camera itself, (0, 0, 0).
  """
  return depth[..., None] * rays(camera, depth.shape[-2:])


def project(points: Array, camera: Array) -> tuple[Array, Array]:
  """Points (..., 3) of the camera's frame -> pixels (..., 2) and z (...).

  Pixels are x, y. Those of points nearer than NEAR, or behind the camera,
  mean nothing; they are finite, and so are their gradients.
  """
  camera = spread(camera, points.ndim)
  z = points[..., 2]
  safe = jnp.where(z < NEAR, NEAR, z)[..., None]
  return points[..., :2] / safe * camera[..., :2] + camera[..., 2:], z


def validate_camera(camera: Any, where: str = "camera") -> np.ndarray:
  """Checks intrinsics on the host; returns them as float32 (..., 4).

  Raises:
    UserError: none given, not four numbers, or a focal length that is not
      positive.
  """
  if camera is None:
    raise UserError(
      f"{where}: there are no intrinsics, and without them pixels have no "
      "direction: give fx, fy, cx, cy in pixels."
    )
  camera = np.asarray(camera, np.float32)
  if camera.ndim < 1 or camera.shape[-1] != 4 or not np.isfinite(camera).all():
    raise UserError(
      f"{where}: intrinsics of shape {camera.shape}, {camera.tolist()}, are "
      "not four finite numbers: give fx, fy, cx, cy in pixels."
    )
  if (camera[..., :2] <= 0).any():
    raise UserError(
      f"{where}: the focal lengths in {camera.tolist()} are not positive: give "
      "fx, fy, cx, cy in pixels."
    )
  return camera
