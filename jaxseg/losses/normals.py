"""Losses of surface normals: cosine, -dot and the angle itself.

All take pred (b, h, w, 3) of any length above zero, target (b, h, w, 3) unit
vectors in which 0 (or NaN) means that there is no truth, and `mask` (b,) of
real examples. The count is the number of pixels that have a truth. Both are
normalised here: the length of a prediction changes nothing.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxseg import types
from jaxseg.losses import masking
from jaxseg.ops import vectors

Array = jax.Array


def valid_normals(target: Array, mask: Array | None = None) -> Array:
  """(b, h, w) bool: a vector of length above 0.1, a real example."""
  length = jnp.sum(target.astype(jnp.float32) ** 2, -1)
  known = (length > 0.01) & jnp.isfinite(length)
  return known & masking.spread(mask, known)


def _units(
  pred: Array, target: Array, mask: Array | None
) -> tuple[Array, Array, Array]:
  """Unit pred and target, harmless where they do not count; what counts."""
  masking.check_shapes(pred, target)
  valid = valid_normals(target, mask)
  pred, target = (
    vectors.unit(masking.keep(x, valid[..., None], 1.0)) for x in (pred, target)
  )
  return pred, target, valid


def cosine(
  pred: Array, target: Array, *, mask: Array | None = None
) -> types.Mean:
  """Mean of 1 - dot: 0 at best, 2 at worst; half the squared distance."""
  pred, target, valid = _units(pred, target, mask)
  return masking.mean(jnp.sum((pred - target) ** 2, -1) / 2, valid)


def negative_dot(
  pred: Array, target: Array, *, mask: Array | None = None
) -> types.Mean:
  """Mean of -dot, -1 at best (Eigen, Fergus 2015, arXiv:1411.4734)."""
  pred, target, valid = _units(pred, target, mask)
  return masking.mean(-vectors.dot(pred, target), valid)


def angular(
  pred: Array, target: Array, *, mask: Array | None = None
) -> types.Mean:
  """Mean of the angle in radians; its gradient does not fade near the truth.

  At the truth itself and opposite to it the gradient is 0, never NaN.
  """
  pred, target, valid = _units(pred, target, mask)
  return masking.mean(vectors.angle(pred, target), valid)
