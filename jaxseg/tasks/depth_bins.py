"""Depth as classification: a softmax over bins, read as an expectation.

K logits per pixel over bins between min_m and max_m, equally wide in the
logarithm (sid) or in metres (uniform). Depth is the sum of probability times
centre (AdaBins, Bhat et al. 2020, arXiv:2011.14141), which is smooth where the
centre of the likeliest bin steps. Differs from AdaBins in that the bins are
the same for all images. An untrained network predicts the mean of the
centres. `cross_entropy` is that of the bin that holds the truth; every loss
of direct regression may be added, on the metres of the expectation.
"""

from __future__ import annotations

import dataclasses
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.losses import BIN_LOSSES, DEPTH_LOSSES
from jaxseg.ops import bins as binning
from jaxseg.tasks.depth_maps import DepthMaps
from jaxseg.types import Array, Batch, Mean, Outputs, UserError

DECODES = ("expectation", "argmax")


@dataclasses.dataclass(frozen=True)
class DepthBins(DepthMaps):
  """See the module. Implements types.Task.

  Attributes:
    losses: ((name in BIN_LOSSES or DEPTH_LOSSES, weight, options), ...).
    bins: K.
    spacing: sid, uniform.
    decode: expectation, argmax (the centre of the likeliest bin).
  """

  losses: tuple[tuple[str, float, tuple[tuple[str, Any], ...]], ...] = (
    ("cross_entropy", 1.0, ()),
  )
  bins: int = 64
  spacing: str = "sid"
  decode: str = "expectation"

  name = "depth_bins"
  best = ("abs_rel", "min")
  blended = "probability"
  registry = MappingProxyType({**BIN_LOSSES, **DEPTH_LOSSES})

  def __post_init__(self):
    super().__post_init__()
    binning.edges(self.min_m, self.max_m, self.bins, self.spacing)
    if self.decode not in DECODES:
      raise UserError(
        f"config.task.decode = {self.decode!r}: expected one of "
        f"{', '.join(DECODES)}."
      )

  @property
  def edges(self) -> np.ndarray:
    """(K + 1,) metres."""
    return binning.edges(self.min_m, self.max_m, self.bins, self.spacing)

  @property
  def outputs(self) -> dict[str, int]:
    """One head of K logits."""
    return {"bins": self.bins}

  def loss(self, out: Outputs, batch: Batch) -> dict[str, Mean]:
    """One term per configured loss, over the valid pixels."""
    depth, mask = self.truth(batch), batch.get("_mask")
    terms = {}
    for name, factor, options in self.losses:
      if name in BIN_LOSSES:
        pred, target = out["bins"], binning.index_of(depth, self.edges)
        mean = BIN_LOSSES[name](pred, target, mask=mask, **dict(options))
      else:
        metres = binning.from_expectation(
          out["bins"], binning.centres(self.edges)
        )
        mean = DEPTH_LOSSES[name](metres, depth, mask=mask, **dict(options))
      terms[name] = mean.scaled(factor)
    return terms

  def predict(self, out: Outputs) -> dict[str, Array]:
    """depth float32 (b, h, w) in metres, within the range."""
    read = {
      "expectation": binning.from_expectation,
      "argmax": binning.from_argmax,
    }[self.decode]
    return {"depth": read(out["bins"], binning.centres(self.edges))}

  def to_mean(self, out: Outputs) -> dict[str, Array]:
    """Probabilities: what views of one pixel are averaged in."""
    return {"bins": jax.nn.softmax(out["bins"], -1)}

  def from_mean(self, out: Outputs) -> dict[str, Array]:
    """Probabilities back to logits, up to a constant."""
    return {"bins": jnp.log(jnp.maximum(out["bins"], 1e-30))}
