"""Which pixels count, and how the others are kept out of loss and gradient.

A pixel that does not count must not be multiplied by zero: 0 * inf is NaN, in
the value or in the gradient. It is replaced by a harmless number before any
arithmetic (`keep`), and its result is replaced again (`total`).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxseg import types

Array = jax.Array


def spread(mask: Array | None, like: Array) -> Array:
  """(b,) mask of real examples -> bool of the shape of `like` (b, ...)."""
  if mask is None:
    return jnp.ones(like.shape, bool)
  mask = mask.astype(bool).reshape((-1,) + (1,) * (like.ndim - 1))
  return jnp.broadcast_to(mask, like.shape)


def valid_labels(
  label: Array, classes: int, ignore: int | None, mask: Array | None
) -> Array:
  """(b, h, w) bool: a class of 0 .. classes - 1, not ignored, a real example.

  Ids outside the classes cannot be refused inside a compiled function: they do
  not count here; the reader of the data and the metrics refuse them.
  """
  label = label.astype(jnp.int32)
  valid = (label >= 0) & (label < classes) & spread(mask, label)
  return valid if ignore is None else valid & (label != ignore)


def one_hot(label: Array, classes: int) -> Array:
  """(b, h, w) -> (b, h, w, classes) bool; all False outside the classes."""
  # int32 on both sides: in uint8 the classes from 256 on would wrap around.
  return label.astype(jnp.int32)[..., None] == jnp.arange(classes)


def keep(x: Array, valid: Array, fill: float = 0.0) -> Array:
  """x in float32 where valid, else `fill`; the gradient there is exactly 0."""
  return jnp.where(valid, x.astype(jnp.float32), fill)


def count(valid: Array) -> Array:
  """Number of True, float32 (exact up to 2^24 in a batch)."""
  return jnp.sum(valid, dtype=jnp.float32)


def images(mask: Array | None, batch: int) -> Array:
  """Number of real examples, float32."""
  return count(mask.astype(bool)) if mask is not None else jnp.float32(batch)


def mean(values: Array, valid: Array) -> types.Mean:
  """Sum and number of the valid values."""
  return types.Mean(jnp.sum(jnp.where(valid, values, 0.0)), count(valid))


def check_shapes(pred: Array, target: Array) -> None:
  """Raises ValueError unless the shapes are equal: no silent broadcasting."""
  if pred.shape != target.shape:
    raise ValueError(
      f"prediction {pred.shape} and target {target.shape} differ in shape;"
      " expected equal shapes."
    )


def check_logits(logits: Array, label: Array) -> None:
  """Raises ValueError unless logits are (b, h, w, k), labels (b, h, w)."""
  if logits.ndim != label.ndim + 1 or logits.shape[:-1] != label.shape:
    raise ValueError(
      f"logits {logits.shape} and label {label.shape} do not match; expected"
      " (b, h, w, k) and (b, h, w)."
    )


def counting(target: Array, valid: Array | None, mask: Array | None) -> Array:
  """bool of the shape of `target`: valid elements of real examples."""
  keep = spread(mask, target)
  if valid is None:
    return keep
  check_shapes(valid, target)
  return keep & valid.astype(bool)


def binary_inputs(
  logits: Array, target: Array, mask: Array | None, valid: Array | None
) -> tuple[Array, Array, Array]:
  """(which elements count, logits, targets) with the others made harmless."""
  check_shapes(logits, target)
  valid = counting(target, valid, mask) & (target != types.IGNORE)
  return valid, keep(logits, valid), keep(target, valid)
