"""Surface normals: a unit vector for every pixel, in the camera's frame.

x right, y down, z forward, so what a camera sees has normals that point
against its rays. The network's three channels are added to (0, 0, -1), the
wall seen from the front, and normalised: an untrained network starts there,
and not at the zero vector, which has no direction.
Losses as in Eigen, Fergus (2015, arXiv:1411.4734): -dot of unit vectors; or
1 - dot, or the angle. Differs from the paper in that offset, and in that any
network serves; the paper adds the loss to that of depth with weight 10.

A mirrored view has the x of its normals negated: `flip` does it for test-time
flips, the data transforms do it for training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxseg import viz
from jaxseg.losses import NORMAL_LOSSES
from jaxseg.metrics import normals as normals_metric
from jaxseg.ops import vectors
from jaxseg.types import Array, Batch, Mean, Metric, Outputs

FRONT = (0.0, 0.0, -1.0)


@dataclasses.dataclass(frozen=True)
class Normals:
  """See the module. Implements types.Task.

  Attributes:
    losses: ((name in NORMAL_LOSSES, weight, ((option, value), ...)), ...).
  """

  losses: tuple[tuple[str, float, tuple[tuple[str, Any], ...]], ...] = (
    ("cosine", 1.0, ()),
  )

  name = "normals"
  best = ("mean_deg", "min")
  blended = "value"
  registry = NORMAL_LOSSES

  @property
  def outputs(self) -> dict[str, int]:
    """One head of three channels."""
    return {"normal": 3}

  @property
  def fields(self) -> tuple[str, ...]:
    """Reads the normal map."""
    return ("normal",)

  def prepare(self, batch: Batch, key: Array) -> Batch:
    """Nothing to prepare."""
    del key
    return batch

  def inputs(self, batch: Batch) -> tuple[Array, ...]:
    """The image."""
    return (batch["image"],)

  def _vectors(self, out: Outputs) -> Array:
    """(b, h, w, 3), not normalised."""
    return out["normal"].astype(jnp.float32) + jnp.asarray(FRONT)

  def loss(self, out: Outputs, batch: Batch) -> dict[str, Mean]:
    """One term per configured loss, over the pixels with a truth."""
    pred = self._vectors(out)
    return {
      name: NORMAL_LOSSES[name](
        pred, batch["normal"], mask=batch.get("_mask"), **dict(options)
      ).scaled(factor)
      for name, factor, options in self.losses
    }

  def predict(self, out: Outputs) -> dict[str, Array]:
    """normal float32 (b, h, w, 3), unit vectors."""
    return {"normal": vectors.unit(self._vectors(out))}

  def to_mean(self, out: Outputs) -> dict[str, Array]:
    """Unit vectors are averaged: every view has one voice."""
    return {"normal": vectors.unit(self._vectors(out))}

  def from_mean(self, out: Outputs) -> dict[str, Array]:
    """Back to what is added to the front."""
    return {"normal": out["normal"] - jnp.asarray(FRONT)}

  def flip(self, out: Outputs) -> dict[str, Array]:
    """Mirrors left to right; what pointed right points left."""
    mirrored = jnp.flip(out["normal"], axis=2)
    return {"normal": mirrored * jnp.asarray([-1.0, 1.0, 1.0])}

  def metrics(self) -> dict[str, Metric]:
    """Mean, median and RMSE of the angle, and the shares below limits."""
    return {"normals": normals_metric()}

  def render(
    self, batch: Batch, pred: Mapping[str, Any]
  ) -> dict[str, np.ndarray]:
    """Truth and prediction: right is red, up green, to the viewer blue; and
    the angle between them."""
    maps = {"truth": batch.get("normal"), "prediction": pred["normal"]}
    pictures = {
      title: np.stack([viz.normal_colors(np.asarray(n)) for n in normal])
      for title, normal in maps.items()
      if normal is not None
    }
    if "truth" in pictures:
      pairs = zip(np.asarray(pred["normal"]), np.asarray(batch["normal"]))
      pictures["error"] = np.stack([viz.normal_error(*pair) for pair in pairs])
    return pictures
