"""The band along boundaries in which labels are judged: a trimap.

Kohli, Ladicky, Torr, "Robust higher order potentials for enforcing label
consistency", IJCV 2009: only pixels within a width of the true boundary count.
The boundaries themselves are judged by `contours`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxseg import types
from jaxseg.metrics import superpixels
from jaxseg.ops import distance

Array = jax.Array


def trimap(label: Array, width: float) -> Array:
  """The truth within `width` pixels of its boundaries; elsewhere IGNORE.

  Any measure of labels is then one of the trimap. A boundary is two pixels
  wide, and both are at distance 0; those to IGNORE do not count.

  Args:
    label: int (..., h, w).
    width: in pixels, at least 0.
  """
  known = label != types.IGNORE
  square, _ = distance.squared_distance(superpixels.boundaries(label, known))
  return jnp.where(square <= width**2, label, types.IGNORE)
