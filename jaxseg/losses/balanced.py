"""Class-balanced sigmoid cross-entropy, for lines that few pixels are on.

Xie, Tu, "Holistically-Nested Edge Detection" (2015, arXiv 1504.06375),
equation 2: with beta the share of negatives among the pixels of an image,

  l = - beta sum over positives of log p - (1 - beta) sum over negatives of
      log (1 - p),

so that in each image the two kinds weigh the same in all. The paper sums over
the pixels of an image; 'mean' is the same divided by the number of pixels.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxseg import types
from jaxseg.losses import masking

Array = jax.Array
REDUCTIONS = ("mean", "sum")


def balanced_cross_entropy(
  logits: Array,
  target: Array,
  *,
  mask: Array | None = None,
  reduction: str = "mean",
) -> types.Mean:
  """See the module; an image all of one kind costs nothing.

  Args:
    logits: (b, ...).
    target: 0 or 1, the same shape; 255 = ignore.
    mask: (b,) bool, real examples.
    reduction: 'mean' over pixels, or 'sum' over the pixels of an image,
      averaged over real images (the paper's).

  Raises:
    ValueError: shapes do not match, or the reduction is not known.
  """
  if reduction not in REDUCTIONS:
    raise ValueError(f"reduction={reduction!r}; expected 'mean' or 'sum'.")
  valid, x, t = masking.binary_inputs(logits, target, mask, None)
  axes = tuple(range(1, x.ndim))
  positive = valid & (t > 0.5)

  def number(which):
    return jnp.sum(which, axes, keepdims=True, dtype=jnp.float32)

  # Of one image a count is exact in float32 up to 4096 x 4096 pixels.
  beta = 1 - number(positive) / jnp.maximum(number(valid), 1)
  loss = -jnp.where(
    positive,
    beta * jax.nn.log_sigmoid(x),
    (1 - beta) * jax.nn.log_sigmoid(-x),
  )
  total, pixels = masking.mean(loss, valid)
  if reduction == "sum":
    return types.Mean(total, masking.images(mask, len(logits)))
  return types.Mean(total, pixels)
