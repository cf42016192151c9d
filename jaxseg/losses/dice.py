"""Soft Dice loss (Milletari, Navab, Ahmadi 2016, arXiv:1606.04797).

Differs from the paper in its default: plain sums in the denominator; the
paper's squares are `squared=True`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxseg import types
from jaxseg.losses import masking

Array = jax.Array


def dice(
  logits: Array,
  label: Array,
  *,
  mask: Array | None = None,
  ignore: int | None = types.IGNORE,
  squared: bool = False,
  image_wise: bool = False,
) -> types.Mean:
  """Mean over classes of 1 - 2 sum(p t) / (sum p + sum t), p = softmax.

  A class without a true pixel is left out: its term is constant and would
  only move the value. The sums run over the batch, so the count is the number
  of classes present and the value is no mean over pixels: batches of another
  size give another value. With `image_wise` they run over each image and the
  count is the number of (image, class) pairs.

  Args:
    logits: (b, h, w, k).
    label: (b, h, w) int.
    mask: (b,) bool, real examples.
    ignore: the label that does not count.
    squared: sum p^2 + sum t^2 in the denominator.
    image_wise: sums per image instead of per batch.
  """
  return dice_mean(
    dice_sums(
      logits,
      label,
      mask=mask,
      ignore=ignore,
      squared=squared,
      image_wise=image_wise,
    )
  )


def dice_sums(
  logits: Array,
  label: Array,
  *,
  mask: Array | None = None,
  ignore: int | None = types.IGNORE,
  squared: bool = False,
  image_wise: bool = False,
) -> tuple[Array, Array, Array]:
  """sum p t, sum t and the denominator, (k,) or (b, k); they add over rows.

  Arguments as of `dice`.
  """
  masking.check_logits(logits, label)
  k = logits.shape[-1]
  valid = masking.valid_labels(label, k, ignore, mask)[..., None]
  p = jax.nn.softmax(masking.keep(logits, valid))
  p = jnp.where(valid, p, 0.0)
  t = (masking.one_hot(label, k) & valid).astype(jnp.float32)
  axes = (1, 2) if image_wise else (0, 1, 2)
  both = jnp.sum(p * t, axes)  # (b, k) or (k,)
  true = jnp.sum(t, axes)
  return both, true, jnp.sum(p * p if squared else p, axes) + true  # t^2 = t


def dice_mean(sums: tuple[Array, Array, Array]) -> types.Mean:
  """The loss of `dice_sums`."""
  both, true, size = sums
  present = true > 0
  loss = 1 - 2 * both / jnp.where(present, size, 1.0)
  return masking.mean(loss, present)
