"""Losses by name; every one returns types.Mean(total, count).

`LOSSES[name](logits, label, *, mask=None, **options)` for label maps,
`DEPTH_LOSSES[name](pred, depth, *, mask=None, **options)` for positive maps in
which 0 (or less, or NaN) means that nothing was measured,
`NORMAL_LOSSES[name](pred, normal, *, mask=None)` for vectors, 0 where unknown,
`BIN_LOSSES` and `ORDINAL_LOSSES` of (logits, bin, *, mask=None) for depth as
bins, -1 where nothing was measured.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxseg.losses.cross_entropy import binary_cross_entropy, cross_entropy
from jaxseg.losses.depth import chamfer, eigen, ordinal
from jaxseg.losses.dice import dice
from jaxseg.losses.focal import focal, sigmoid_focal
from jaxseg.losses.normals import angular, cosine, negative_dot
from jaxseg.losses.regression import berhu, huber, l1, l2, silog
from jaxseg.types import Mean

__all__ = [
  "BIN_LOSSES",
  "DEPTH_LOSSES",
  "LOSSES",
  "NORMAL_LOSSES",
  "ORDINAL_LOSSES",
  "angular",
  "berhu",
  "binary_cross_entropy",
  "chamfer",
  "cosine",
  "cross_entropy",
  "dice",
  "eigen",
  "focal",
  "huber",
  "l1",
  "l2",
  "negative_dot",
  "ordinal",
  "sigmoid_focal",
  "silog",
]


def _where_measured(loss: Callable[..., Mean]) -> Callable[..., Mean]:
  @functools.wraps(loss)
  def depth_loss(
    pred: jax.Array,
    depth: jax.Array,
    *,
    mask: jax.Array | None = None,
    **options,
  ) -> Mean:
    valid = (depth > 0) & jnp.isfinite(depth)
    return loss(pred, depth, valid=valid, mask=mask, **options)

  return depth_loss


LOSSES: dict[str, Callable[..., Mean]] = {
  "cross_entropy": cross_entropy,
  "dice": dice,
  "focal": focal,
}

DEPTH_LOSSES: dict[str, Callable[..., Mean]] = {
  "l1": _where_measured(l1),
  "l2": _where_measured(l2),
  "huber": _where_measured(huber),
  "berhu": _where_measured(berhu),
  "silog": _where_measured(silog),
  "eigen": _where_measured(eigen),
}

NORMAL_LOSSES: dict[str, Callable[..., Mean]] = {
  "cosine": cosine,
  "dot": negative_dot,
  "angular": angular,
}

BIN_LOSSES: dict[str, Callable[..., Mean]] = {
  # Bin 255 is a bin like the others.
  "cross_entropy": functools.partial(cross_entropy, ignore=None),
}

ORDINAL_LOSSES: dict[str, Callable[..., Mean]] = {"ordinal": ordinal}
