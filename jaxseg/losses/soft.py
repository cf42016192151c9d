"""Cross-entropy against soft truths that give weight to a few classes.

Colour bins (Zhang, Isola, Efros 2016, arXiv:1603.08511, equation 2).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxseg import types
from jaxseg.losses import masking

Array = jax.Array


def soft_cross_entropy(
  logits: Array,
  index: Array,
  weight: Array,
  *,
  scale: Array | None = None,
  valid: Array | None = None,
  mask: Array | None = None,
) -> types.Mean:
  """Mean over valid pixels of -scale * sum of weight log softmax(logits).

  Args:
    logits: (b, h, w, q).
    index: (b, h, w, k) int, the classes that get weight.
    weight: (b, h, w, k), how much; sums to 1.
    scale: (b, h, w), of each pixel's term; None: 1. The mean is over pixels,
      not over their scales.
    valid: (b, h, w) bool; None: all.
    mask: (b,) bool, real examples.

  Raises:
    ValueError: shapes do not match.
  """
  masking.check_shapes(index, weight)
  masking.check_logits(logits, index[..., 0])
  keep = masking.counting(index[..., 0], valid, mask)
  logp = jax.nn.log_softmax(masking.keep(logits, keep[..., None]), -1)
  of_truth = jnp.take_along_axis(logp, index, -1)
  loss = -jnp.sum(jnp.where(weight > 0, weight * of_truth, 0.0), -1)
  return masking.mean(loss if scale is None else scale * loss, keep)
