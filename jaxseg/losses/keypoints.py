"""Losses of keypoints: on heatmaps, on positions, on coordinates.

All take `weight` (b, k), 0 where a keypoint is not seen, and `mask` (b,) of
real examples; both keep what they leave out away from value and gradient. The
count is the sum of the weights: an image with few seen points does not weigh
more per point.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxseg import types
from jaxseg.losses import masking

Array = jax.Array


def _counts(weight: Array, mask: Array | None) -> Array:
  """(b, k) bool: keypoints that count."""
  return (weight > 0) & masking.spread(mask, weight)


def _mean(values: Array, weight: Array, counts: Array) -> types.Mean:
  """Weighted sum of (b, k) values, and the weights that were counted."""
  weight = masking.keep(weight, counts)
  return types.Mean(
    jnp.sum(jnp.where(counts, values * weight, 0.0)), jnp.sum(weight)
  )


def heatmap_mse(
  maps: Array, target: Array, *, weight: Array, mask: Array | None = None
) -> types.Mean:
  """Mean over the positions of a map of (map - target)^2, per keypoint.

  Xiao et al. 2018 (arXiv:1804.06208), whose code halves it and divides by all
  keypoints, seen or not.

  Args:
    maps: (b, h, w, k).
    target: (b, h, w, k), of `ops.heatmaps.gaussian`.
    weight, mask: see the module.
  """
  masking.check_shapes(maps, target)
  counts = _counts(weight, mask)
  keep = counts[:, None, None, :]
  error = masking.keep(maps, keep) - masking.keep(target, keep)
  return _mean(jnp.mean(error**2, (1, 2)), weight, counts)


def position_cross_entropy(
  logits: Array, cell: Array, *, weight: Array, mask: Array | None = None
) -> types.Mean:
  """-log softmax over all h * w positions, at the keypoint's own.

  He et al. 2017 (arXiv:1703.06870): the target is one-hot.

  Args:
    logits: (b, h, w, k).
    cell: (b, k, 2) integer x, y, of `ops.heatmaps.cells`.
    weight, mask: see the module.
  """
  b, h, w, k = logits.shape
  counts = _counts(weight, mask)
  flat = masking.keep(logits, counts[:, None, None, :]).reshape(b, h * w, k)
  index = cell[..., 1] * w + cell[..., 0]  # (b, k)
  index = jnp.clip(index, 0, h * w - 1)
  own = jnp.take_along_axis(flat, index[:, None, :], 1)[:, 0]
  return _mean(jax.nn.logsumexp(flat, 1) - own, weight, counts)


def _difference(
  xy: Array, target: Array, weight: Array, mask: Array | None
) -> tuple[Array, Array]:
  masking.check_shapes(xy, target)
  counts = _counts(weight, mask)
  keep = counts[..., None]
  return masking.keep(xy, keep) - masking.keep(target, keep), counts


def coordinate_l2(
  xy: Array, target: Array, *, weight: Array, mask: Array | None = None
) -> types.Mean:
  """Squared distance (b, k, 2), in shares of the image, per keypoint."""
  error, counts = _difference(xy, target, weight, mask)
  return _mean(jnp.sum(error**2, -1), weight, counts)


def coordinate_smooth_l1(
  xy: Array,
  target: Array,
  *,
  weight: Array,
  mask: Array | None = None,
  beta: float = 0.05,
) -> types.Mean:
  """Sum over x and y of e^2 / (2 beta), or |e| - beta / 2 where |e| > beta.

  Girshick 2015 (arXiv:1504.08083) with beta 1. Differs from it in the default
  `beta`, since coordinates in shares of the image never differ by 1.
  """
  error, counts = _difference(xy, target, weight, mask)
  size = jnp.abs(error)
  near = jnp.minimum(size, beta)
  value = near**2 / (2 * beta) + size - near
  return _mean(jnp.sum(value, -1), weight, counts)
