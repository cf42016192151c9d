"""Semantic segmentation: a class for every pixel.

Softmax over K classes, trained by a weighted sum of losses (cross-entropy,
Dice, focal), decoded by argmax, judged by one confusion matrix over the set.
The argmax makes the fewest wrong pixels; the mean IoU asks for more of the
classes that are hard to tell, which `decision_weights` give.
Logits that are yet to be enlarged (`ops.grown`) are judged in strips.
Heads whose name begins with 'aux' are trained with the same losses times
`aux_weight` (PSPNet 0.4, torchvision 0.5) and are not used to predict.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import viz
from jaxseg.losses import LOSSES, by_strips
from jaxseg.metrics import confusion, contours
from jaxseg.ops.grown import Grown
from jaxseg.tasks import auxiliary
from jaxseg.types import Array, Batch, Mean, Metric, Outputs, UserError


@dataclasses.dataclass(frozen=True)
class Semantic:
  """See the module. Implements types.Task.

  Attributes:
    classes: class names; their number is the number of channels.
    palette: RGB per class, for pictures.
    losses: ((name in LOSSES, weight, ((option, value), ...)), ...).
    aux_weight: weight of auxiliary heads.
    decision_weights: of the probability of each class before the argmax; to
      be chosen on validation images. None: all equal.
    boundary: pixels that a boundary may be off; adds 'boundary_f' to the
      metrics. None: boundaries are not judged.
    groups: ids of classes whose probabilities together `predict` tells beside
      the label, 'probability'; for applications. (): none.
  """

  classes: tuple[str, ...]
  palette: tuple[tuple[int, int, int], ...]
  losses: tuple[tuple[str, float, tuple[tuple[str, Any], ...]], ...] = (
    ("cross_entropy", 1.0, ()),
  )
  aux_weight: float = 0.4
  decision_weights: tuple[float, ...] | None = None
  boundary: float | None = None
  groups: tuple[tuple[int, ...], ...] = ()

  name = "semantic"
  best = ("miou", "max")
  blended = "probability"
  registry = LOSSES
  fuses = True

  def __post_init__(self):
    if not self.classes:
      raise UserError(
        "task semantic needs classes, and this data set has none: choose "
        "another config.task.name, such as keypoints."
      )
    if self.boundary is not None and self.boundary < 0:
      raise UserError(
        f"config.task.boundary = {self.boundary}: expected pixels, at least 0, "
        "or unset it."
      )

  @property
  def outputs(self) -> dict[str, int]:
    """One head of K logits."""
    return {"logits": len(self.classes)}

  @property
  def fields(self) -> tuple[str, ...]:
    """Reads the label map."""
    return ("label",)

  def prepare(self, batch: Batch, key: Array) -> Batch:
    """Nothing to prepare."""
    del key
    return batch

  def inputs(self, batch: Batch) -> tuple[Array, ...]:
    """The image."""
    return (batch["image"],)

  def loss(self, out: Outputs, batch: Batch) -> dict[str, Mean]:
    """One term per configured loss, and the same again per auxiliary head."""
    terms = {}
    heads = auxiliary.heads(out, "logits", self.aux_weight)
    for logits, weight, prefix in heads:
      for name, factor, options in self.losses:
        mean = _loss(
          name, logits, batch["label"], mask=batch.get("_mask"), **dict(options)
        )
        terms[prefix + name] = mean.scaled(weight * factor)
    return terms

  def predict(self, out: Outputs) -> dict[str, Array]:
    """label int32 (b, h, w) from logits (b, h, w, K); see `groups`.

    probability float32 (b, h, w, groups) is not moved by `decision_weights`.
    """
    logits = out["logits"]
    more = {}
    if self.groups:
      share = jax.nn.softmax(logits.astype(jnp.float32), -1)
      parts = [share[..., list(ids)].sum(-1) for ids in self.groups]
      more = {"probability": jnp.stack(parts, -1)}
    if self.decision_weights is not None:
      logits += jnp.log(jnp.asarray(self.decision_weights, logits.dtype))
    return {"label": jnp.argmax(logits, -1).astype(jnp.int32), **more}

  def to_mean(self, out: Outputs) -> dict[str, Array]:
    """Probabilities: what views of one pixel are averaged in."""
    return {"logits": jax.nn.softmax(out["logits"], -1)}

  def from_mean(self, out: Outputs) -> dict[str, Array]:
    """Probabilities back to logits, up to a constant."""
    return {"logits": jnp.log(jnp.maximum(out["logits"], 1e-30))}

  def flip(self, out: Outputs) -> dict[str, Array]:
    """Mirrors left to right; classes do not change."""
    return {key: jnp.flip(value, axis=2) for key, value in out.items()}

  def metrics(self) -> dict[str, Metric]:
    """The confusion matrix and all that is read off it; see `boundary`."""
    out = {"confusion": confusion(len(self.classes), self.classes)}
    if self.boundary is not None:
      out["contours"] = contours(self.classes, self.boundary)
    return out

  def render(
    self, batch: Batch, pred: Mapping[str, Any]
  ) -> dict[str, np.ndarray]:
    """Truth and prediction over the image in the palette, and what is wrong."""
    palette = np.asarray(self.palette, np.uint8)
    pictures = {}
    for title, label in (
      ("truth", batch.get("label")),
      ("prediction", pred["label"]),
    ):
      if label is None:
        continue
      pictures[title] = np.stack(
        [
          viz.overlay(image, np.asarray(one), palette)
          for image, one in zip(batch["image"], label)
        ]
      )
    if "truth" in pictures:
      triples = zip(batch["image"], pred["label"], batch["label"])
      pictures["error"] = np.stack(
        [viz.label_error(*map(np.asarray, triple)) for triple in triples]
      )
    return pictures


def _loss(name: str, logits: Array | Grown, *args: Any, **options: Any) -> Mean:
  if isinstance(logits, Grown):
    return by_strips(name, logits, *args, **options)
  return LOSSES[name](logits, *args, **options)
