"""Depth as ordinal regression: for every bin, does it lie beyond?

Fu, Gong, Wang, Batmanghelich, Tao, "DORN" (2018, arXiv:1806.02446): K binary
softmaxes, 2 K channels, over bins that widen with depth; what is predicted is
the centre of the bin whose number is the count of answers above one half. A
wrong bin costs the more, the farther off it is, which cross-entropy over bins
does not know.
Differs from the paper in that the first bin starts at min_m, and in that any
network serves; the paper's has a full-image encoder.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.losses import ORDINAL_LOSSES
from jaxseg.ops import bins as binning
from jaxseg.ops import grown
from jaxseg.tasks.depth_maps import DepthMaps
from jaxseg.types import Array, Batch, Mean, Outputs


@dataclasses.dataclass(frozen=True)
class DepthOrdinal(DepthMaps):
  """See the module. Implements types.Task.

  Attributes:
    losses: ((name in ORDINAL_LOSSES, weight, options), ...).
    bins: K; the network has 2 K channels.
    spacing: sid, uniform.
  """

  losses: tuple[tuple[str, float, tuple[tuple[str, Any], ...]], ...] = (
    ("ordinal", 1.0, ()),
  )
  bins: int = 64
  spacing: str = "sid"

  name = "depth_ordinal"
  best = ("abs_rel", "min")
  blended = "probability"
  registry = ORDINAL_LOSSES
  fuses = True

  def __post_init__(self):
    super().__post_init__()
    binning.edges(self.min_m, self.max_m, self.bins, self.spacing)

  @property
  def edges(self) -> np.ndarray:
    """(K + 1,) metres."""
    return binning.edges(self.min_m, self.max_m, self.bins, self.spacing)

  @property
  def outputs(self) -> dict[str, int]:
    """One head of K pairs of logits."""
    return {"pairs": 2 * self.bins}

  def loss(self, out: Outputs, batch: Batch) -> dict[str, Mean]:
    """One term per configured loss, over the valid pixels."""
    label = binning.index_of(self.truth(batch), self.edges)
    terms = {}
    for name, factor, options in self.losses:

      def one(pairs, label, name=name, options=options):
        beyond = binning.beyond_logits(pairs)
        return ORDINAL_LOSSES[name](
          beyond, label, mask=batch.get("_mask"), **dict(options)
        )

      pairs = out["pairs"]
      late = isinstance(pairs, grown.Grown)  # then rows are added
      mean = grown.total(one, pairs, label) if late else one(pairs, label)
      terms[name] = mean.scaled(factor)
    return terms

  def predict(self, out: Outputs) -> dict[str, Array]:
    """depth float32 (b, h, w) in metres: a centre of a bin."""
    beyond = binning.beyond_logits(out["pairs"])
    return {"depth": binning.from_ordinal(beyond, binning.centres(self.edges))}

  def to_mean(self, out: Outputs) -> dict[str, Array]:
    """Probabilities of each pair: what views of a pixel are averaged in."""
    beyond = binning.beyond_logits(out["pairs"])
    both = jnp.stack([jax.nn.sigmoid(-beyond), jax.nn.sigmoid(beyond)], -1)
    return {"pairs": both.reshape(out["pairs"].shape)}

  def from_mean(self, out: Outputs) -> dict[str, Array]:
    """Probabilities back to logits, up to a constant of each pair."""
    return {"pairs": jnp.log(jnp.maximum(out["pairs"], 1e-30))}
