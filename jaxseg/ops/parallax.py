"""Parallax and depth between two frames of a known motion.

Fonder, Ernst, Van Droogenbroeck, "M4Depth" (2022, arXiv:2105.09847), from its
equations alone. Let r be the ray of a pixel with z = 1, R r its direction in
the previous camera and a the z of it. A point far away is seen there at
f R r / a; at depth z it lies off that place, along a line, by

  rho = |D| / (a z + t_z),  D = (f_x t_x - x t_z, f_y t_y - y t_z)

with t the motion's shift and (x, y) the far place, from the principal point.
So z = (|D| / rho - t_z) / a: parallax is a picture of depth that knows no
camera, and a network that finds correspondences finds it.

Where D = 0, in pure rotation or at the epipole, parallax is 0 at every depth
and tells nothing: those pixels are flagged as undefined.
Differs from the paper in that flag; the paper has no pure rotations.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxseg.ops import camera as cam
from jaxseg.ops import motion as rigid
from jaxseg.ops import vectors

Array = jax.Array
# Pixel metres. Shifts below a micrometre (at f = 1000) are no motion.
STILL = 1e-3


class Lines(NamedTuple):
  """Per pixel of this frame: its line in the previous one.

  far: (..., h, w, 2) where a point at infinity is seen, pixels.
  offset: (..., h, w, 2) D of the module, pixel metres.
  size: (..., h, w) its length.
  turn: (..., h, w) a of the module.
  forward: (..., 1, 1) t_z, metres.
  defined: (..., h, w) bool: the ray points forward there, and D is not 0.
  """

  far: Array
  offset: Array
  size: Array
  turn: Array
  forward: Array
  defined: Array


def lines(camera: Array, motion: Array, size: tuple[int, int]) -> Lines:
  """The lines of camera (..., 4) and motion (..., 4, 4); see `Lines`.

  Both frames share the camera.
  """
  ray = rigid.rotate(motion, cam.rays(camera, size))  # (..., h, w, 3)
  turn = ray[..., 2]
  ahead = turn > cam.NEAR
  k = cam.spread(camera, ray.ndim)
  shift = rigid.translation(motion, ray.ndim)
  centred = ray[..., :2] / jnp.where(ahead, turn, 1.0)[..., None] * k[..., :2]
  offset = k[..., :2] * shift[..., :2] - centred * shift[..., 2:]
  length = vectors.norm(offset)
  return Lines(
    far=centred + k[..., 2:],
    offset=offset,
    size=length,
    turn=turn,
    forward=shift[..., 2],
    defined=ahead & (length > STILL),
  )


def places(line: Lines, parallax: Array) -> Array:
  """Where points of these parallaxes are seen in the previous frame.

  Parallax (..., h, w) or, several per pixel, (..., h, w, n) pixels; also
  negative ones, beyond infinity -> (..., h, w, [n,] 2) x and y in pixels. Where
  nothing is defined all of them are the place of a point far away.
  """
  way = line.offset / jnp.where(line.defined, line.size, 1.0)[..., None]
  way = jnp.where(line.defined[..., None], way, 0.0)
  far = line.far
  if parallax.ndim > line.size.ndim:
    way, far = way[..., None, :], far[..., None, :]
  return far + parallax[..., None] * way


def depth_to_parallax(
  depth: Array, camera: Array, motion: Array
) -> tuple[Array, Array]:
  """Depth (..., h, w) metres -> parallax (..., h, w) pixels, and where defined.

  Camera (..., 4), motion (..., 4, 4). Not defined, and 0: invalid depth, points
  that were behind the previous camera, and where `Lines` says so.
  """
  line = lines(camera, motion, depth.shape[-2:])
  z = line.turn * depth + line.forward
  defined = line.defined & (depth > 0) & (z > cam.NEAR)
  parallax = line.size / jnp.where(defined, z, 1.0)
  return jnp.where(defined, parallax, 0.0), defined


def parallax_to_depth(
  parallax: Array, camera: Array, motion: Array
) -> tuple[Array, Array]:
  """Parallax (..., h, w) pixels -> depth (..., h, w) metres, and where defined.

  Not defined, and 0 (invalid): parallax that is not above 0, depth that would
  lie behind this camera, and where `Lines` says so.
  """
  line = lines(camera, motion, parallax.shape[-2:])
  some = line.defined & (parallax > 0)
  z = line.size / jnp.where(some, parallax, 1.0) - line.forward
  depth = z / jnp.where(some, line.turn, 1.0)
  defined = some & (depth > 0)
  return jnp.where(defined, depth, 0.0), defined
