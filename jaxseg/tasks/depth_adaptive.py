"""Depth over bins that every image has of its own.

Bhat, Alhashim, Wonka, "AdaBins: Depth Estimation Using Adaptive Bins" (2020,
arXiv:2011.14141): a network gives K logits per pixel and the widths of the K
bins, once per image; depth is the sum of probability times centre. The loss is
the root of the scale-invariant one on the metres, and the Chamfer distance
between the centres and the depths of the image.
Differs from the paper in that any network serves: one that gives widths at
every pixel has bins at every pixel, and the mean of their centres over the
measured pixels is what the Chamfer distance sees. Where the logits are coarser
than the truth the metres are enlarged, corners aligned, as in the paper.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp

from jaxseg.losses import CENTRE_LOSSES, DEPTH_LOSSES
from jaxseg.ops import bins as binning
from jaxseg.ops import resize
from jaxseg.tasks.depth_maps import DepthMaps
from jaxseg.types import Array, Batch, Mean, Outputs, UserError


@dataclasses.dataclass(frozen=True)
class DepthAdaptive(DepthMaps):
  """See the module. Implements types.Task.

  Attributes:
    losses: ((name in DEPTH_LOSSES or CENTRE_LOSSES, weight, options), ...).
    bins: K.
  """

  losses: tuple[tuple[str, float, tuple[tuple[str, Any], ...]], ...] = (
    ("silog_root", 1.0, ()),
    ("chamfer", 0.1, ()),
  )
  bins: int = 256

  name = "depth_adaptive"
  best = ("abs_rel", "min")
  blended = "value"
  coarse = True
  registry = MappingProxyType({**DEPTH_LOSSES, **CENTRE_LOSSES})

  def __post_init__(self):
    super().__post_init__()
    if self.bins < 2:
      raise UserError(f"config.task.bins = {self.bins}: expected at least 2.")

  @property
  def outputs(self) -> dict[str, int]:
    """K logits, and K widths: (b, 1, 1, K), or at every pixel."""
    return {"bins": self.bins, "widths": self.bins}

  def _centres(self, out: Outputs) -> Array:
    """(b, 1, 1, K), or (b, h, w, K): metres, increasing."""
    edges = binning.adaptive_edges(out["widths"], self.min_m, self.max_m)
    return binning.centres(edges)

  def loss(self, out: Outputs, batch: Batch) -> dict[str, Mean]:
    """One term per configured loss, over the valid pixels."""
    depth, mask = self.truth(batch), batch.get("_mask")
    centres = self._centres(out)
    metres = binning.from_expectation(out["bins"], centres)
    metres = _grown(metres, depth.shape[1:])
    terms = {}
    for name, factor, options in self.losses:
      if name in CENTRE_LOSSES:
        pred = _of_image(centres, depth)
        mean = CENTRE_LOSSES[name](pred, depth, mask=mask, **dict(options))
      else:
        mean = DEPTH_LOSSES[name](metres, depth, mask=mask, **dict(options))
      terms[name] = mean.scaled(factor)
    return terms

  def predict(self, out: Outputs) -> dict[str, Array]:
    """depth float32 (b, h, w) in metres, within the range."""
    return {"depth": self.to_mean(out)["depth"][..., 0]}

  def compose(
    self, pred: Mapping[str, Array], image: Array
  ) -> dict[str, Array]:
    """The depth at the size of the image."""
    return {**pred, "depth": _grown(pred["depth"], image.shape[1:3])}

  def to_mean(self, out: Outputs) -> dict[str, Array]:
    """Metres: the bins of two views are not the same bins."""
    if "depth" in out:  # it has been here
      return dict(out)
    metres = binning.from_expectation(out["bins"], self._centres(out))
    return {"depth": metres[..., None]}

  def from_mean(self, out: Outputs) -> dict[str, Array]:
    """`predict` reads metres too."""
    return dict(out)


def _grown(depth: Array, size: tuple[int, int]) -> Array:
  """(b, h, w) -> (b, *size), corners aligned."""
  return resize.resize_bilinear(
    depth[..., None], tuple(size), align_corners=True
  )[..., 0]


def _of_image(centres: Array, depth: Array) -> Array:
  """(b, k): of the one place there is, or the mean over measured pixels."""
  if centres.shape[1:3] == (1, 1):
    return centres[:, 0, 0]
  # Nearest: no measured depth appears where there was none.
  depth = resize.resize_nearest(depth, centres.shape[1:3])
  valid = ((depth > 0) & jnp.isfinite(depth))[..., None]
  total = jnp.sum(jnp.where(valid, centres, 0.0), (1, 2))
  return total / jnp.maximum(jnp.sum(valid, (1, 2)), 1)
