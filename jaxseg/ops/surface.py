"""Surface normals from depth and intrinsics, by least squares.

On a plane n . P = d the inverse depth is linear in the ray, 1 / z = n . r / d,
so a straight-line fit to 1 / z over a window gives the normal of a plane
exactly, however it is inclined; central differences of points, the usual
cross product, do not. What is fitted is z0 / z - 1, with z0 the depth of the
centre, which keeps the digits that 1 / z would lose far away.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxseg.ops import camera as cam
from jaxseg.ops import vectors

Array = jax.Array


def _shifted(x: Array, dy: int, dx: int) -> Array:
  """x[..., i + dy, j + dx] of (..., h, w), zeros beyond the border."""
  h, w = x.shape[-2:]
  ry, rx = abs(dy), abs(dx)
  pads = ((0, 0),) * (x.ndim - 2) + ((ry, ry), (rx, rx))
  x = jnp.pad(x, pads)
  return x[..., ry + dy : ry + dy + h, rx + dx : rx + dx + w]


def normals_from_depth(
  depth: Array, camera: Array, *, radius: int = 1, jump: float | None = None
) -> Array:
  """Depth (..., h, w) and camera (..., 4) -> unit normals (..., h, w, 3).

  In the camera's frame, facing it; 0 where undefined: no depth, or fewer than
  three neighbours that are not on one line. At the border the window has what
  is left of it.

  Args:
    depth: metres, 0 is invalid.
    camera: fx, fy, cx, cy in pixels.
    radius: the window has (2 radius + 1)^2 pixels.
    jump: neighbours whose depth differs by more than this share of it are on
      another thing and left out; None keeps all.
  """
  depth = depth.astype(jnp.float32)
  known = depth > 0
  here = jnp.where(known, depth, 1.0)
  # Sums over the window of weight times 1, i, j, ii, ij, jj, q, iq, jq, where
  # (i, j) is the step in pixels and q = z0 / z - 1.
  sums = [jnp.zeros_like(depth) for _ in range(9)]
  reach = range(-radius, radius + 1)
  for i, j in ((i, j) for i in reach for j in reach):
    there = _shifted(jnp.where(known, depth, 0.0), i, j)
    use = known & (there > 0)
    if jump is not None:
      use &= jnp.abs(there - here) <= jump * here
    q = jnp.where(use, (here - there) / jnp.where(use, there, 1.0), 0.0)
    weight = use.astype(jnp.float32)
    terms = (1, i, j, i * i, i * j, j * j)
    parts = [weight * t for t in terms] + [q, i * q, j * q]
    sums = [a + b for a, b in zip(sums, parts)]
  n, si, sj, sii, sij, sjj, sq, siq, sjq = sums
  # Centred sums, times n: whole numbers but for those with q.
  ii, ij, jj = n * sii - si * si, n * sij - si * sj, n * sjj - sj * sj
  iq, jq = n * siq - si * sq, n * sjq - sj * sq
  determinant = ii * jj - ij * ij
  defined = known & (determinant > 0.5)
  safe = jnp.where(defined, determinant, 1.0)
  by_row = (iq * jj - jq * ij) / safe
  by_column = (jq * ii - iq * ij) / safe
  at_centre = (sq - by_row * si - by_column * sj) / jnp.where(n > 0, n, 1.0)

  # 1 + q = m . r up to a factor, with r = (u, v, 1) and f du = one pixel.
  ray = cam.rays(camera, depth.shape[-2:])
  k = cam.spread(camera, ray.ndim)
  mx, my = by_column * k[..., 0], by_row * k[..., 1]
  mz = 1 + at_centre - ray[..., 0] * mx - ray[..., 1] * my
  # m . r > 0 at the centre: m looks away from the camera.
  normal = vectors.unit(-jnp.stack([mx, my, mz], -1))
  return jnp.where(defined[..., None], normal, 0.0)
