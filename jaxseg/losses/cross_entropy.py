"""Pixel-wise cross-entropy, of softmax and of sigmoid outputs."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jaxseg import types
from jaxseg.losses import masking

Array = jax.Array


def cross_entropy(
  logits: Array,
  label: Array,
  *,
  mask: Array | None = None,
  ignore: int | None = types.IGNORE,
  class_weights: Sequence[float] | None = None,
  normalization: str = "weights",
  label_smoothing: float = 0.0,
  reduction: str = "mean",
) -> types.Mean:
  """-sum over valid pixels of w[y] log softmax(logits)[y].

  Args:
    logits: (b, h, w, k).
    label: (b, h, w) int.
    mask: (b,) bool, real examples.
    ignore: the label that does not count.
    class_weights: w, k numbers.
    normalization: what the mean divides by: 'weights' (sum of w[y], torch) or
      'pixels' (number of valid pixels).
    label_smoothing: e, torch's definition: (1 - e) times the term above plus
      e / k times sum over c of -w[c] log softmax(logits)[c].
    reduction: 'mean' per pixel, or 'sum': summed over the pixels of an image
      and averaged over real images (the unnormalised loss of FCN, whose
      batches hold one image).

  Raises:
    ValueError: shapes do not match or an option is unknown.
  """
  masking.check_logits(logits, label)
  if normalization not in ("weights", "pixels"):
    raise ValueError(
      f"normalization={normalization!r}; expected 'weights' or 'pixels'."
    )
  if reduction not in ("mean", "sum"):
    raise ValueError(f"reduction={reduction!r}; expected 'mean' or 'sum'.")
  k = logits.shape[-1]
  valid = masking.valid_labels(label, k, ignore, mask)
  truth = masking.one_hot(label, k)
  logp = jax.nn.log_softmax(masking.keep(logits, valid[..., None]))
  weights = jnp.ones(k) if class_weights is None else _weights(class_weights, k)
  # where, not a product: a class with logit -inf gives 0, not 0 * inf.
  loss = jnp.sum(jnp.where(truth, -logp * weights, 0.0), -1)  # (b, h, w)
  if label_smoothing:
    even = jnp.sum(-logp * weights, -1) / k
    loss = (1 - label_smoothing) * loss + label_smoothing * even
  total, pixels = masking.mean(loss, valid)
  if reduction == "sum":
    return types.Mean(total, masking.images(mask, label.shape[0]))
  if normalization == "weights" and class_weights is not None:
    per_pixel = jnp.sum(jnp.where(truth, weights, 0.0), -1)
    return types.Mean(total, jnp.sum(jnp.where(valid, per_pixel, 0.0)))
  return types.Mean(total, pixels)


def _weights(class_weights: Sequence[float], k: int) -> Array:
  weights = jnp.asarray(class_weights, jnp.float32)
  if weights.shape != (k,):
    raise ValueError(
      f"class_weights has shape {weights.shape}; expected one weight for each"
      f" of {k} classes."
    )
  return weights


def binary_cross_entropy(
  logits: Array,
  target: Array,
  *,
  mask: Array | None = None,
  valid: Array | None = None,
  positive_weight: float = 1.0,
) -> types.Mean:
  """-w t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)), mean over elements.

  Args:
    logits: x, (b, ...).
    target: t in [0, 1], the same shape; 255 = ignore.
    mask: (b,) bool, real examples.
    valid: bool, the same shape: elements that count (None: all).
    positive_weight: w.
  """
  keep, x, t = masking.binary_inputs(logits, target, mask, valid)
  loss = -positive_weight * t * jax.nn.log_sigmoid(x)
  loss = loss - (1 - t) * jax.nn.log_sigmoid(-x)
  return masking.mean(loss, keep)
