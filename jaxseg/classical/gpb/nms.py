"""Thin lines out of oriented strength: non-maximum suppression.

Canny, PAMI 1986: a pixel stays if it is no weaker than the two points at one
pixel's distance across the orientation that is strongest at it, linear between
pixels.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax.scipy import ndimage

Array = jax.Array


def suppress(boundary: Array) -> Array:
  """float32 (h, w): the largest over orientations where it is a ridge, else 0.

  Args:
    boundary: (h, w, n), orientation i at the angle pi i / n; see `discs`.
  """
  h, w, n = boundary.shape
  strength = boundary.max(-1)
  angle = jnp.argmax(boundary, -1) * (jnp.pi / n)
  y, x = jnp.mgrid[:h, :w]
  dy, dx = jnp.cos(angle), -jnp.sin(angle)
  sides = [
    ndimage.map_coordinates(
      strength, (y + s * dy, x + s * dx), order=1, mode="nearest"
    )
    for s in (-1, 1)
  ]
  # Of a line two pixels wide one side stays, the first, whatever the rounding.
  more = 1 + 1e-5
  ridge = (strength > sides[0] * more) & (strength * more >= sides[1])
  return jnp.where(ridge, strength, 0.0)
