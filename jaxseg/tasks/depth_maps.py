"""What every depth task shares: the range, the protocol, the pictures.

The tasks differ in what a network's channels mean (`depth`, `depth_bins`,
`depth_ordinal`); all predict metres and are judged alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxseg import viz
from jaxseg.metrics import depth as depth_metric
from jaxseg.types import Array, Batch, Metric, Outputs, UserError


@dataclasses.dataclass(frozen=True)
class DepthMaps:
  """Range and protocol of a depth task; see the module.

  Attributes:
    min_m: nearest depth that trains and counts, metres.
    max_m: farthest.
    crop: none, garg, eigen, nyu: what the metrics look at.
    average: pixels, images: what the metrics are averaged over.
    median_scaling: the metrics forgive a factor per image.
  """

  min_m: float = 0.5
  max_m: float = 80.0
  crop: str = dataclasses.field(default="none", kw_only=True)
  average: str = dataclasses.field(default="pixels", kw_only=True)
  median_scaling: bool = dataclasses.field(default=False, kw_only=True)

  def __post_init__(self):
    if not 0 < self.min_m < self.max_m:
      raise UserError(
        f"config.task.min_m = {self.min_m}, max_m = {self.max_m}: expected 0 < "
        "min_m < max_m, in metres."
      )
    if self.average not in ("pixels", "images"):
      raise UserError(
        f"config.task.average = {self.average!r}: expected pixels or images."
      )
    self.metrics()  # refuses what it does not know

  @property
  def fields(self) -> tuple[str, ...]:
    """Reads the depth map."""
    return ("depth",)

  @property
  def depth_range(self) -> tuple[float, float]:
    """Metres that train and count."""
    return self.min_m, self.max_m

  def prepare(self, batch: Batch, key: Array) -> Batch:
    """Nothing to prepare."""
    del key
    return batch

  def inputs(self, batch: Batch) -> tuple[Array, ...]:
    """The image."""
    return (batch["image"],)

  def truth(self, batch: Batch) -> Array:
    """(b, h, w) metres; 0, nothing was measured, also outside the range."""
    depth = batch["depth"]
    inside = (depth >= self.min_m) & (depth <= self.max_m)
    return jnp.where(inside, depth, 0.0)

  def flip(self, out: Outputs) -> dict[str, Array]:
    """Mirrors left to right."""
    return {key: jnp.flip(value, axis=2) for key, value in out.items()}

  def metrics(self) -> dict[str, Metric]:
    """AbsRel, RMSE, delta and the others, from sums over the set."""
    metric = depth_metric(
      self.min_m,
      self.max_m,
      average=self.average,
      crop=self.crop,
      median_scaling=self.median_scaling,
    )
    return {"depth": metric}

  def render(
    self, batch: Batch, pred: Mapping[str, Any]
  ) -> dict[str, np.ndarray]:
    """Truth, prediction and relative error; a scale of the first two.

    Both are coloured on the truth's range, or without one on their own.
    """
    guess = np.asarray(pred["depth"])
    if batch.get("depth") is None:
      return {"prediction": np.stack([_scaled(d, d) for d in guess])}
    true = np.asarray(batch["depth"])
    pairs = list(zip(guess, true))
    return {
      "truth": np.stack([_scaled(t, t) for t in true]),
      "prediction": np.stack([_scaled(d, t) for d, t in pairs]),
      "error": np.stack([viz.depth_error(d, t) for d, t in pairs]),
    }


def _scaled(depth: np.ndarray, like: np.ndarray) -> np.ndarray:
  """Depth in the colours of another's range, and what they mean beside it."""
  from jaxseg import sheets  # whose text wants Pillow; training does not

  _, (low, high) = viz.depth_colors(like)
  picture, _ = viz.depth_colors(depth, low, high)
  return np.hstack([picture, sheets.scale_bar(low, high, len(picture))])
