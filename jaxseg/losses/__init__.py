"""Losses by name; every one returns types.Mean(total, count).

`LOSSES[name](logits, label, *, mask=None, **options)` for label maps,
`DEPTH_LOSSES[name](pred, depth, *, mask=None, **options)` for positive maps in
which 0 (or less, or NaN) means that nothing was measured,
`NORMAL_LOSSES[name](pred, normal, *, mask=None)` for vectors, 0 where unknown,
`IMAGE_LOSSES[name](pred, image, *, valid=None, mask=None, **options)` for
images in [0, 1], (b, h, w, c), every channel of a pixel one element;
`KEYPOINT_LOSSES[method][name](pred, target, *, weight, mask=None, **options)`
for keypoints as maps, as positions and as coordinates;
`BIN_LOSSES` and `ORDINAL_LOSSES` of (logits, bin, *, mask=None) for depth as
bins, -1 where nothing was measured; `CENTRE_LOSSES` of (centres (b, k), depth,
*, mask=None) for bins that are an image's own; `BOUNDARY_LOSSES` of (logits,
target, *, mask=None) for lines: target 1 on them, 255 where it is not sure.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxseg.losses.balanced import balanced_cross_entropy
from jaxseg.losses.cross_entropy import binary_cross_entropy, cross_entropy
from jaxseg.losses.depth import chamfer, eigen, ordinal
from jaxseg.losses.dice import dice
from jaxseg.losses.focal import focal, sigmoid_focal
from jaxseg.losses.keypoints import (
  coordinate_l2,
  coordinate_smooth_l1,
  heatmap_mse,
  position_cross_entropy,
)
from jaxseg.losses.normals import angular, cosine, negative_dot
from jaxseg.losses.regression import berhu, huber, l1, l2, silog
from jaxseg.losses.soft import soft_cross_entropy
from jaxseg.losses.strips import by_strips
from jaxseg.types import Mean

__all__ = [
  "BIN_LOSSES",
  "BOUNDARY_LOSSES",
  "CENTRE_LOSSES",
  "DEPTH_LOSSES",
  "IMAGE_LOSSES",
  "KEYPOINT_LOSSES",
  "LOSSES",
  "NORMAL_LOSSES",
  "ORDINAL_LOSSES",
  "angular",
  "balanced_cross_entropy",
  "berhu",
  "binary_cross_entropy",
  "by_strips",
  "chamfer",
  "coordinate_l2",
  "coordinate_smooth_l1",
  "cosine",
  "cross_entropy",
  "dice",
  "eigen",
  "focal",
  "heatmap_mse",
  "huber",
  "l1",
  "l2",
  "negative_dot",
  "ordinal",
  "position_cross_entropy",
  "sigmoid_focal",
  "silog",
  "soft_cross_entropy",
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
  # As in AdaBins: 10 sqrt(var d + 0.15 (mean d)^2).
  "silog_root": functools.partial(
    _where_measured(silog), lam=0.85, root=True, scale=10.0, unbiased=True
  ),
  "eigen": _where_measured(eigen),
}

IMAGE_LOSSES: dict[str, Callable[..., Mean]] = {
  "l1": l1,
  "l2": l2,
  # Linear from a tenth of the range on: no error in [0, 1] reaches the 1.
  "huber": functools.partial(huber, delta=0.1),
}

NORMAL_LOSSES: dict[str, Callable[..., Mean]] = {
  "cosine": cosine,
  "dot": negative_dot,
  "angular": angular,
}

# By method of tasks.keypoints; the first of each is its default.
KEYPOINT_LOSSES: dict[str, dict[str, Callable[..., Mean]]] = {
  "heatmap": {"mse": heatmap_mse},
  "one_hot": {"softmax": position_cross_entropy},
  "direct": {"smooth_l1": coordinate_smooth_l1, "l2": coordinate_l2},
}

BIN_LOSSES: dict[str, Callable[..., Mean]] = {
  # Bin 255 is a bin like the others.
  "cross_entropy": functools.partial(cross_entropy, ignore=None),
}

BOUNDARY_LOSSES: dict[str, Callable[..., Mean]] = {
  "balanced": balanced_cross_entropy,
  # As in HED, whose learning rate goes with it.
  "balanced_sum": functools.partial(balanced_cross_entropy, reduction="sum"),
  "cross_entropy": binary_cross_entropy,
  "focal": sigmoid_focal,
}

ORDINAL_LOSSES: dict[str, Callable[..., Mean]] = {"ordinal": ordinal}

CENTRE_LOSSES: dict[str, Callable[..., Mean]] = {"chamfer": chamfer}
