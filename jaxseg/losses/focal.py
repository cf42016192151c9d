"""Focal loss (Lin, Goyal, Girshick, He, Dollar 2017, arXiv:1708.02002).

Differs from the paper in its normalisation: mean over the pixels (elements)
that count instead of the number of positive anchors.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxseg import types
from jaxseg.losses import masking

Array = jax.Array
_TINY = 1e-12  # keeps the slope of q^gamma finite at q = 0 for gamma < 1


def _modulate(q: Array, gamma: float) -> Array:
  """q^gamma with a finite gradient at q = 0."""
  return jnp.maximum(q, _TINY) ** gamma if gamma else jnp.ones_like(q)


def focal(
  logits: Array,
  label: Array,
  *,
  mask: Array | None = None,
  ignore: int | None = types.IGNORE,
  gamma: float = 2.0,
  alpha: float | Sequence[float] | None = None,
) -> types.Mean:
  """Mean over valid pixels of -alpha (1 - p_t)^gamma log p_t, p = softmax.

  Args:
    logits: (b, h, w, k).
    label: (b, h, w) int.
    mask: (b,) bool, real examples.
    ignore: the label that does not count.
    gamma: focus; 0 is cross-entropy.
    alpha: one weight, or one per class.
  """
  masking.check_logits(logits, label)
  k = logits.shape[-1]
  valid = masking.valid_labels(label, k, ignore, mask)
  truth = masking.one_hot(label, k)
  logp = jax.nn.log_softmax(masking.keep(logits, valid[..., None]))
  log_pt = jnp.sum(jnp.where(truth, logp, 0.0), -1)  # (b, h, w)
  loss = -_modulate(-jnp.expm1(log_pt), gamma) * log_pt
  if alpha is not None:
    weights = jnp.broadcast_to(jnp.asarray(alpha, jnp.float32), (k,))
    loss = loss * jnp.sum(jnp.where(truth, weights, 0.0), -1)
  return masking.mean(loss, valid)


def sigmoid_focal(
  logits: Array,
  target: Array,
  *,
  mask: Array | None = None,
  valid: Array | None = None,
  gamma: float = 2.0,
  alpha: float | None = 0.25,
) -> types.Mean:
  """Mean over elements of -alpha_t (1 - p_t)^gamma log p_t, p = sigmoid.

  Args:
    logits: (b, ...).
    target: 0 or 1, the same shape; 255 = ignore.
    mask: (b,) bool, real examples.
    valid: bool, the same shape: elements that count (None: all).
    gamma: focus.
    alpha: weight of the positives, 1 - alpha of the negatives; None: both 1.
  """
  keep, x, t = masking.binary_inputs(logits, target, mask, valid)
  z = x * (2 * t - 1)  # p_t = sigmoid(z)
  loss = -_modulate(jax.nn.sigmoid(-z), gamma) * jax.nn.log_sigmoid(z)
  if alpha is not None:
    loss = loss * (alpha * t + (1 - alpha) * (1 - t))
  return masking.mean(loss, keep)
