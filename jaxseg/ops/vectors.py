"""Unit vectors and the angle between them, with gradients that stay finite.

arccos of a dot product is the textbook's angle and a trap twice over: its
gradient is infinite at 0 and 180 degrees, and float32 cannot tell angles
below 0.02 degrees apart. Here the angle is atan2(|a x b|, a . b).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

Array = jax.Array
TINY = 1e-6  # shorter vectors have no direction


def norm(v: Array) -> Array:
  """(..., k) -> (...): length; at the zero vector the gradient is 0."""
  square = jnp.sum(v * v, -1)
  some = square > 0
  return jnp.where(some, jnp.sqrt(jnp.where(some, square, 1.0)), 0.0)


def unit(v: Array) -> Array:
  """(..., k) -> (..., k): v / |v|; 0 with gradient 0 where |v| <= TINY."""
  square = jnp.sum(v * v, -1, keepdims=True)
  some = ~(square <= TINY**2)  # NaN stays NaN
  length = jnp.sqrt(jnp.where(some, square, 1.0))
  return jnp.where(some, v / length, 0.0)


def dot(a: Array, b: Array) -> Array:
  """(..., k) and (..., k) -> (...). Exact sums, no matrix unit."""
  return jnp.sum(a * b, -1)


def angle(a: Array, b: Array) -> Array:
  """(..., 3) and (..., 3) -> (...): the angle between them in [0, pi].

  Lengths do not matter. The gradient is finite everywhere; it is 0 where the
  vectors are parallel, the tip of a cone. A zero vector is at a right angle
  to everything, as its dot product says.
  """
  across, along = norm(jnp.cross(a, b)), dot(a, b)
  none = (across == 0) & (along == 0)
  angles = jnp.arctan2(across, jnp.where(none, 1.0, along))
  return jnp.where(none, 0.5 * jnp.pi, angles)
