"""Depth by direct regression: metres for every pixel.

The network's one channel z is read as log-depth, depth_m = exp(z + log mid)
clipped to [min_m, max_m], with mid the geometric mean of the two: positive by
construction, and an untrained network starts in the middle of the range.
Pixels whose truth is 0 or outside the range neither train nor count.
Losses: L1, L2, berHu (Laina et al. 2016, arXiv 1606.00373) on metres, and the
scale-invariant log loss (Eigen et al. 2014, arXiv 1406.2283).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxseg import viz
from jaxseg.losses import DEPTH_LOSSES
from jaxseg.metrics import depth as depth_metric
from jaxseg.types import Array, Batch, Mean, Metric, Outputs


@dataclasses.dataclass(frozen=True)
class Depth:
  """See the module. Implements types.Task.

  Attributes:
    min_m: nearest depth that trains and counts, metres.
    max_m: farthest.
    losses: ((name in DEPTH_LOSSES, weight, ((option, value), ...)), ...).
  """

  min_m: float = 0.5
  max_m: float = 80.0
  losses: tuple[tuple[str, float, tuple[tuple[str, Any], ...]], ...] = (
    ("l1", 1.0, ()),
  )

  name = "depth"
  best = ("abs_rel", "min")
  blended = "value"
  registry = DEPTH_LOSSES

  @property
  def outputs(self) -> dict[str, int]:
    """One head of one channel."""
    return {"depth": 1}

  @property
  def fields(self) -> tuple[str, ...]:
    """Reads the depth map."""
    return ("depth",)

  def prepare(self, batch: Batch, key: Array) -> Batch:
    """Nothing to prepare."""
    del key
    return batch

  def inputs(self, batch: Batch) -> tuple[Array, ...]:
    """The image."""
    return (batch["image"],)

  def _metres(self, out: Outputs) -> Array:
    """(b, h, w) positive, not clipped: the loss needs the gradient."""
    log_mid = 0.5 * (math.log(self.min_m) + math.log(self.max_m))
    reach = math.log(self.max_m / self.min_m)
    z = jnp.clip(out["depth"][..., 0], -reach, reach)  # exp stays finite
    return jnp.exp(z + log_mid)

  def loss(self, out: Outputs, batch: Batch) -> dict[str, Mean]:
    """One term per configured loss, over the valid pixels."""
    depth = batch["depth"]
    inside = (depth >= self.min_m) & (depth <= self.max_m)
    depth = jnp.where(inside, depth, 0.0)  # 0: nothing was measured
    pred = self._metres(out)
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

  def flip(self, out: Outputs) -> dict[str, Array]:
    """Mirrors left to right."""
    return {key: jnp.flip(value, axis=2) for key, value in out.items()}

  def metrics(self) -> dict[str, Metric]:
    """AbsRel, RMSE, delta and the others, from sums over the set."""
    return {"depth": depth_metric(self.min_m, self.max_m)}

  def render(
    self, batch: Batch, pred: Mapping[str, Any]
  ) -> dict[str, np.ndarray]:
    """Truth and prediction in turbo colours, both on the truth's range."""
    pictures = {}
    for title, depth in (
      ("truth", batch.get("depth")),
      ("prediction", pred["depth"]),
    ):
      if depth is not None:
        pictures[title] = np.stack(
          [
            viz.depth_colors(np.asarray(d), self.min_m, self.max_m)[0]
            for d in depth
          ]
        )
    return pictures
