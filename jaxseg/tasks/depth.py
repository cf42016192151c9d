"""Depth by direct regression: metres for every pixel.

The network's one channel z is read as log-depth, depth_m = exp(s z + log mid)
clipped to [min_m, max_m], with mid the geometric mean of the two: positive by
construction, and an untrained network starts in the middle of the range. The
unit s is 1; Eigen and Fergus (2015, arXiv:1411.4734) take the deviation of
log-depth in their data, 0.45723134.
Pixels whose truth is 0 or outside the range neither train nor count.
Losses: L1, L2, berHu (Laina et al. 2016, arXiv 1606.00373) on metres, and the
scale-invariant log loss (Eigen et al. 2014, arXiv 1406.2283).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax.numpy as jnp

from jaxseg.losses import DEPTH_LOSSES
from jaxseg.tasks.depth_maps import DepthMaps
from jaxseg.types import Array, Batch, Mean, Outputs, UserError


@dataclasses.dataclass(frozen=True)
class Depth(DepthMaps):
  """See the module. Implements types.Task.

  Attributes:
    losses: ((name in DEPTH_LOSSES, weight, ((option, value), ...)), ...).
    log_unit: s, see the module; losses are of the metres, whatever it is.
  """

  losses: tuple[tuple[str, float, tuple[tuple[str, Any], ...]], ...] = (
    ("l1", 1.0, ()),
  )
  log_unit: float = 1.0

  name = "depth"
  best = ("abs_rel", "min")
  blended = "value"
  registry = DEPTH_LOSSES

  def __post_init__(self):
    super().__post_init__()
    if not self.log_unit > 0:
      raise UserError(
        f"config.task.log_unit = {self.log_unit}: expected a positive number."
      )

  @property
  def outputs(self) -> dict[str, int]:
    """One head of one channel."""
    return {"depth": 1}

  def _metres(self, out: Outputs) -> Array:
    """(b, h, w) positive, not clipped: the loss needs the gradient."""
    log_mid = 0.5 * (math.log(self.min_m) + math.log(self.max_m))
    reach = math.log(self.max_m / self.min_m)
    z = self.log_unit * out["depth"][..., 0]
    z = jnp.clip(z, -reach, reach)  # exp stays finite
    return jnp.exp(z + log_mid)

  def loss(self, out: Outputs, batch: Batch) -> dict[str, Mean]:
    """One term per configured loss, over the valid pixels."""
    depth, pred = self.truth(batch), self._metres(out)
    return {
      name: DEPTH_LOSSES[name](
        pred, depth, mask=batch.get("_mask"), **dict(options)
      ).scaled(factor)
      for name, factor, options in self.losses
    }

  def predict(self, out: Outputs) -> dict[str, Array]:
    """depth float32 (b, h, w) in metres, within the range."""
    return {"depth": jnp.clip(self._metres(out), self.min_m, self.max_m)}

  def to_mean(self, out: Outputs) -> dict[str, Array]:
    """Log-depth is averaged as it is."""
    return dict(out)

  def from_mean(self, out: Outputs) -> dict[str, Array]:
    """Log-depth is averaged as it is."""
    return dict(out)
