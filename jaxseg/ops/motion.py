"""Rigid motions: (..., 4, 4) matrices that turn points and shift them.

`motion` of a batch takes points of this camera's frame to the previous one's;
`pose` takes them to the world. Only the upper 3 x 4 is read.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxseg.types import UserError

Array = jax.Array
TOLERANCE = 1e-3  # of R^T R - I; matrices written with four digits pass


def _product(a: Array, b: Array) -> Array:
  return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def _assemble(rotation: Array, translation: Array) -> Array:
  upper = jnp.concatenate([rotation, translation[..., None]], -1)
  last = jnp.broadcast_to(
    jnp.array([0.0, 0.0, 0.0, 1.0], upper.dtype), (*upper.shape[:-2], 1, 4)
  )
  return jnp.concatenate([upper, last], -2)


def rotate(motion: Array, vectors: Array) -> Array:
  """Turns vectors (..., h, w, 3) by motion (..., 4, 4), without the shift.

  Leading axes of `motion` are those of `vectors`; it broadcasts over others.
  """
  ones = (1,) * (vectors.ndim - motion.ndim + 1)
  shape = (*motion.shape[:-2], *ones, 3, 3)
  turn = motion[..., :3, :3].reshape(shape)
  # Written out: a matrix unit would round to bfloat16.
  return jnp.sum(turn * vectors[..., None, :], -1)


def translation(motion: Array, ndim: int) -> Array:
  """(..., 4, 4) -> (..., 1, 1, 3) of `ndim` axes."""
  ones = (1,) * (ndim - motion.ndim + 1)
  return motion[..., :3, 3].reshape(*motion.shape[:-2], *ones, 3)


def apply(motion: Array, points: Array) -> Array:
  """Moves points (..., h, w, 3) by motion (..., 4, 4); see `rotate`."""
  return rotate(motion, points) + translation(motion, points.ndim)


def invert(motion: Array) -> Array:
  """(..., 4, 4) -> (..., 4, 4): the way back."""
  back = jnp.swapaxes(motion[..., :3, :3], -1, -2)
  shift = _product(back, motion[..., :3, 3:])[..., 0]
  return _assemble(back, -shift)


def compose(second: Array, first: Array) -> Array:
  """(..., 4, 4) twice -> (..., 4, 4): `first`, then `second`."""
  return _product(second, first)


def from_quaternion(quaternion: Array, shift: Array | None = None) -> Array:
  """Quaternion (..., 4) as w, x, y, z -> motion (..., 4, 4).

  The quaternion need not be of unit length; q and -q are one rotation, and
  the zero quaternion is none (it gives the identity). `shift` is (..., 3).
  """
  q = jnp.asarray(quaternion, jnp.float32)
  square = jnp.sum(q * q, -1)
  s = 2.0 / jnp.where(square > 0, square, 1.0)
  w, x, y, z = (q[..., i] for i in range(4))
  entries = [
    [1 - s * (y * y + z * z), s * (x * y - w * z), s * (x * z + w * y)],
    [s * (x * y + w * z), 1 - s * (x * x + z * z), s * (y * z - w * x)],
    [s * (x * z - w * y), s * (y * z + w * x), 1 - s * (x * x + y * y)],
  ]
  rotation = jnp.stack([jnp.stack(row, -1) for row in entries], -2)
  if shift is None:
    shift = jnp.zeros_like(rotation[..., 0])
  return _assemble(rotation, jnp.asarray(shift, jnp.float32))


def validate_motion(motion: Any, where: str = "motion") -> np.ndarray:
  """Checks rigid motions on the host; returns them as float32 (..., 4, 4).

  Raises:
    UserError: none given, another shape, NaN, a last row that is not 0 0 0 1,
      or an upper left that scales, shears or mirrors.
  """
  if motion is None:
    raise UserError(
      f"{where}: there is no motion between the frames: give the 4 x 4 matrix "
      "that takes points of this camera to the previous one."
    )
  motion = np.asarray(motion, np.float64)
  if motion.ndim < 2 or motion.shape[-2:] != (4, 4):
    raise UserError(
      f"{where}: a motion of shape {motion.shape}: expected (..., 4, 4)."
    )
  if not np.isfinite(motion).all():
    raise UserError(f"{where}: the motion holds NaN or infinite numbers.")
  if (np.abs(motion[..., 3, :] - [0, 0, 0, 1]) > TOLERANCE).any():
    raise UserError(
      f"{where}: the last row of the motion is {motion[..., 3, :].tolist()}: "
      "expected 0 0 0 1 (is the matrix transposed?)."
    )
  turn = motion[..., :3, :3]
  off = np.abs(np.swapaxes(turn, -1, -2) @ turn - np.eye(3)).max()
  if off > TOLERANCE:
    raise UserError(
      f"{where}: the upper left 3 x 3 of the motion is no rotation, its "
      f"columns are off being orthonormal by {off:.3g}: expected at most "
      f"{TOLERANCE:g}; remove any scale from the matrix."
    )
  if (np.linalg.det(turn) < 0).any():
    raise UserError(
      f"{where}: the motion mirrors (determinant -1) and is no rotation: check "
      "the signs of the axes."
    )
  return motion.astype(np.float32)
