"""Losses of logits that have not been enlarged, a strip of rows at a time.

The value and the gradient are those of the loss of the enlarged logits; what
is not there is an array of (b, h, w, k) numbers, let alone the four that a
softmax and its gradient want.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxseg import types
from jaxseg.losses import masking
from jaxseg.losses.cross_entropy import cross_entropy
from jaxseg.losses.dice import dice_mean, dice_sums
from jaxseg.losses.focal import focal
from jaxseg.ops import grown

Array = jax.Array


class Parts(NamedTuple):
  """A loss as sums over rows, and what is made of the sums.

  sums(logits, label, *, mask, **options) -> pytree that adds over rows
  mean(sums, *, mask, batch, **options) -> types.Mean
  """

  sums: Callable[..., Any]
  mean: Callable[..., types.Mean]


def _mean(
  sums: types.Mean,
  *,
  mask: Array | None,
  batch: int,
  reduction: str = "mean",
  **options: Any,
) -> types.Mean:
  """Pixels add over rows; images, which `reduction='sum'` counts, do not."""
  del options
  if reduction == "sum":
    return types.Mean(sums.total, masking.images(mask, batch))
  return sums


def _dice_mean(sums: Any, *, mask, batch, **options: Any) -> types.Mean:
  del mask, batch, options
  return dice_mean(sums)


PARTS: dict[str, Parts] = {
  "cross_entropy": Parts(cross_entropy, _mean),
  "dice": Parts(dice_sums, _dice_mean),
  "focal": Parts(focal, _mean),
}


def by_strips(
  name: str,
  logits: grown.Grown,
  label: Array,
  *,
  mask: Array | None = None,
  rows: int | None = None,
  **options: Any,
) -> types.Mean:
  """LOSSES[name](logits.whole(), label, mask=mask, **options), in strips.

  Args:
    name: in PARTS.
    logits: that grow to (b, h, w, k).
    label: (b, h, w) int.
    mask: (b,) bool, real examples.
    rows: of a strip; None: by size, see `ops.grown`.
    **options: of the loss.

  Raises:
    ValueError: shapes do not match, or the loss refuses an option.
  """
  if logits.shape[:-1] != label.shape:
    raise ValueError(
      f"logits that grow to {logits.shape} and label {label.shape} do not "
      "match; expected (b, h, w, k) and (b, h, w)."
    )
  part = PARTS[name]
  # Rows beyond the image are of class -1, which does not count.
  sums = grown.total(
    lambda x, t: part.sums(x, t, mask=mask, **options),
    logits,
    label.astype("int32"),
    rows=rows,
  )
  return part.mean(sums, mask=mask, batch=len(label), **options)
