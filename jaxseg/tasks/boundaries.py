"""Boundaries: the probability that a person draws a line at a pixel.

Xie, Tu, "Holistically-Nested Edge Detection" (2015, arXiv 1504.06375). Several
people drew lines on a picture: a pixel is on a line where a share of at least
`agreement` of them drew one, beside all lines where nobody did. What lies
between is not sure and does not train; in the paper it is beside. The loss is
the class-balanced cross-entropy, of the fused answer and of each side output:
heads whose name begins with 'aux' are trained with the same losses times
`aux_weight` (1 in the paper) and are not used to predict.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import viz
from jaxseg.losses import BOUNDARY_LOSSES
from jaxseg.metrics import lines
from jaxseg.tasks import auxiliary
from jaxseg.types import (
  IGNORE,
  Array,
  Batch,
  Mean,
  Metric,
  Outputs,
  UserError,
)

# 0.0075 of the diagonal of BSDS500's pictures, 321 x 481.
TOLERANCE = 4.34


@dataclasses.dataclass(frozen=True)
class Boundaries:
  """See the module. Implements types.Task.

  Attributes:
    losses: ((name in BOUNDARY_LOSSES, weight, ((option, value), ...)), ...).
    aux_weight: weight of auxiliary heads.
    agreement: share of the people, in (0, 1].
    tolerance: of the metrics, in pixels.
  """

  losses: tuple[tuple[str, float, tuple[tuple[str, Any], ...]], ...] = (
    ("balanced", 1.0, ()),
  )
  aux_weight: float = 1.0
  agreement: float = 0.5
  tolerance: float = TOLERANCE

  name = "boundaries"
  best = ("boundary_f", "max")
  blended = "probability"
  registry = BOUNDARY_LOSSES

  def __post_init__(self):
    if not 0 < self.agreement <= 1:
      raise UserError(
        f"config.task.agreement = {self.agreement}: expected a share of the "
        "people above 0 and up to 1, such as 0.5."
      )
    if not self.tolerance >= 0:
      raise UserError(
        f"config.task.tolerance = {self.tolerance}: expected a distance in "
        f"pixels of at least 0, such as {TOLERANCE}."
      )

  @property
  def outputs(self) -> dict[str, int]:
    """One head of one logit."""
    return {"boundary": 1}

  @property
  def fields(self) -> tuple[str, ...]:
    """Reads the percent of people who drew a line."""
    return ("boundary",)

  def prepare(self, batch: Batch, key: Array) -> Batch:
    """Nothing to prepare."""
    del key
    return batch

  def inputs(self, batch: Batch) -> tuple[Array, ...]:
    """The image."""
    return (batch["image"],)

  def target(self, percent: Array) -> Array:
    """int32 (b, h, w): 1 on a line, 0 beside all, IGNORE where not sure.

    Args:
      percent: as in types.BATCH_KEYS.
    """
    least = max(round(100 * self.agreement), 1)
    sure = jnp.where(percent >= least, 1, IGNORE)
    target = jnp.where(percent == 0, 0, sure)
    return jnp.where(percent == IGNORE, IGNORE, target).astype(jnp.int32)

  def loss(self, out: Outputs, batch: Batch) -> dict[str, Mean]:
    """One term per configured loss, and the same again per auxiliary head."""
    target = self.target(batch["boundary"])
    terms = {}
    heads = auxiliary.heads(out, "boundary", self.aux_weight)
    for logits, weight, prefix in heads:
      for name, factor, options in self.losses:
        mean = BOUNDARY_LOSSES[name](
          logits[..., 0], target, mask=batch.get("_mask"), **dict(options)
        )
        terms[prefix + name] = mean.scaled(weight * factor)
    return terms

  def predict(self, out: Outputs) -> dict[str, Array]:
    """boundary float32 (b, h, w) in [0, 1], from one logit (b, h, w, 1)."""
    return {"boundary": self.to_mean(out)["boundary"][..., 0]}

  def to_mean(self, out: Outputs) -> dict[str, Array]:
    """Probabilities: what views of one pixel are averaged in."""
    return {"boundary": jax.nn.sigmoid(out["boundary"].astype(jnp.float32))}

  def from_mean(self, out: Outputs) -> dict[str, Array]:
    """Probabilities back to logits."""
    p = jnp.clip(out["boundary"], 1e-7, 1 - 1e-7)
    return {"boundary": jnp.log(p) - jnp.log1p(-p)}

  def flip(self, out: Outputs) -> dict[str, Array]:
    """Mirrors left to right."""
    return {key: jnp.flip(value, axis=2) for key, value in out.items()}

  def metrics(self) -> dict[str, Metric]:
    """F, precision and recall within a tolerance; see `metrics.lines`."""
    return {"lines": lines(self.tolerance)}

  def render(
    self, batch: Batch, pred: Mapping[str, Any]
  ) -> dict[str, np.ndarray]:
    """Truth and prediction, dark on white, and what is wrong."""
    said = np.asarray(pred["boundary"])
    pictures = {}
    if batch.get("boundary") is not None:
      percent = np.asarray(batch["boundary"])
      truth = viz.ink(percent / 100)
      truth[percent == IGNORE] = viz.INVALID
      pictures["truth"] = truth
    pictures["prediction"] = viz.ink(said)
    if "truth" in pictures:
      target = np.asarray(self.target(percent))
      pictures["error"] = np.stack(
        [
          viz.error_colors(np.abs(one - t), 1.0, t != IGNORE)
          for one, t in zip(said, target)
        ]
      )
    return pictures
