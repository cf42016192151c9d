"""Losses of dense regression: l1, l2, Huber, berHu and the log-depth loss.

All take pred and target of one shape (b, h, w) or (b, h, w, c), `valid` of the
same shape (None: every pixel counts) and `mask` (b,) of real examples.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg import types
from jaxseg.losses import masking

Array = jax.Array


def _error(
  pred: Array, target: Array, valid: Array | None, mask: Array | None
) -> tuple[Array, Array]:
  """pred - target, 0 where it does not count; and where it counts."""
  masking.check_shapes(pred, target)
  keep = masking.counting(target, valid, mask)
  return masking.keep(pred, keep) - masking.keep(target, keep), keep


def l1(
  pred: Array,
  target: Array,
  *,
  valid: Array | None = None,
  mask: Array | None = None,
) -> types.Mean:
  """Mean of |pred - target|."""
  error, keep = _error(pred, target, valid, mask)
  return masking.mean(jnp.abs(error), keep)


def l2(
  pred: Array,
  target: Array,
  *,
  valid: Array | None = None,
  mask: Array | None = None,
) -> types.Mean:
  """Mean of (pred - target)^2."""
  error, keep = _error(pred, target, valid, mask)
  return masking.mean(error**2, keep)


def huber(
  pred: Array,
  target: Array,
  *,
  valid: Array | None = None,
  mask: Array | None = None,
  delta: float = 1.0,
) -> types.Mean:
  """Mean of e^2 / 2 for |e| <= delta, delta (|e| - delta / 2) beyond."""
  error, keep = _error(pred, target, valid, mask)
  size = jnp.abs(error)
  near = jnp.minimum(size, delta)
  return masking.mean(near**2 / 2 + delta * (size - near), keep)


def berhu(
  pred: Array,
  target: Array,
  *,
  valid: Array | None = None,
  mask: Array | None = None,
  fraction: float = 0.2,
) -> types.Mean:
  """Reverse Huber (Laina et al. 2016, arXiv:1606.00373).

  |e| up to c, (e^2 + c^2) / (2 c) beyond; c is `fraction` of the largest
  error of the batch and carries no gradient.
  """
  error, keep = _error(pred, target, valid, mask)
  size = jnp.abs(error)
  c = fraction * lax.stop_gradient(jnp.max(size, initial=0.0))
  safe = jnp.where(c > 0, c, 1.0)
  far = (error**2 + c**2) / (2 * safe)
  return masking.mean(jnp.where(size <= c, size, far), keep)


def silog(
  pred: Array,
  target: Array,
  *,
  valid: Array | None = None,
  mask: Array | None = None,
  lam: float = 0.5,
  root: bool = False,
  scale: float = 1.0,
  unbiased: bool = False,
) -> types.Mean:
  """Scale-invariant log loss (Eigen et al. 2014, arXiv:1406.2283).

  With d = log pred - log target over the valid pixels of one image:
  scale * (var d + (1 - lam) (mean d)^2), which is mean d^2 - lam (mean d)^2.
  `root` takes the square root before the scale; lam 0.85, scale 10, root and
  `unbiased` (sample variance) is the form of AdaBins (arXiv:2011.14141).

  pred and target are positive; a prediction below 1e-6 counts as 1e-6 and
  gets no gradient. The count is the number of images with a valid pixel.
  """
  masking.check_shapes(pred, target)
  keep = masking.counting(target, valid, mask)
  d = jnp.log(jnp.maximum(masking.keep(pred, keep, 1.0), 1e-6))
  d = d - jnp.log(masking.keep(target, keep, 1.0))
  d, keep = (x.reshape(x.shape[0], -1) for x in (d, keep))
  n = jnp.sum(keep, -1, dtype=jnp.float32)  # (b,)
  safe = jnp.maximum(n, 1.0)
  average = jnp.sum(d, -1) / safe  # d is 0 where it does not count
  apart = jnp.where(keep, d - average[:, None], 0.0)
  freedom = jnp.maximum(n - 1, 1.0) if unbiased else safe
  value = jnp.sum(apart**2, -1) / freedom + (1 - lam) * average**2
  if root:
    positive = value > 0
    value = jnp.where(positive, jnp.sqrt(jnp.where(positive, value, 1.0)), 0.0)
  return masking.mean(scale * value, n > 0)
