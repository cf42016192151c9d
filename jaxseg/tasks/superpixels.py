"""Superpixels of learned features: superpixel sampling networks.

Jampani, Sun, Liu, Yang, Kautz, "Superpixel Sampling Networks", ECCV 2018 (arXiv
1807.10174). A network says features of every pixel; with the pixel's place and
Lab beside them they are clustered by the differentiable SLIC of
`classical.soft_slic`. What trains is how well a map of regions survives being
averaged over the superpixels (cross-entropy of equation 8), and how compact
they are (equation 9). Gradients go through the rounds of the clustering.

Regions have no classes: of each picture they are numbered, and those beyond
`labels` do not count. Superpixels start from cells of `step` pixels, at any
size of picture; as the answer each pixel has its likeliest one, not yet in one
piece each (the method `learned_slic` connects them).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import viz
from jaxseg.classical import cells as grids
from jaxseg.classical import soft_slic
from jaxseg.metrics import partition
from jaxseg.ops import color
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


@dataclasses.dataclass(frozen=True)
class Superpixels:
  """See the module. Implements types.Task.

  Attributes:
    channels: of the features.
    step: side of a cell in pixels.
    rounds: of the clustering.
    place: what a step in place counts.
    colour: what a unit of Lab counts.
    labels: regions of a picture that can be told apart in training.
    compactness: weight of the compactness loss, which is in square pixels.
    aux_weight: of auxiliary heads.
  """

  channels: int = 15
  step: float = 20.0
  rounds: int = 5
  place: float = 2.5
  colour: float = 0.26
  labels: int = 50
  compactness: float = 1e-5
  aux_weight: float = 0.4

  name = "superpixels"
  best = ("asa", "max")
  blended = "value"

  def __post_init__(self):
    for key, low in (("channels", 1), ("rounds", 1), ("labels", 2)):
      value = getattr(self, key)
      if value < low:
        raise UserError(
          f"config.task.{key} = {value}: expected at least {low}."
        )
    if not self.step >= 1:
      raise UserError(
        f"config.task.step = {self.step}: expected the side of a superpixel's "
        "cell in pixels, at least 1, such as 20."
      )
    for key in ("place", "colour", "compactness"):
      value = getattr(self, key)
      if not value >= 0:
        raise UserError(
          f"config.task.{key} = {value}: expected a weight of at least 0."
        )

  @property
  def outputs(self) -> dict[str, int]:
    """One head of features."""
    return {"features": self.channels}

  @property
  def fields(self) -> tuple[str, ...]:
    """Reads a map of regions."""
    return ("region",)

  def prepare(self, batch: Batch, key: Array) -> Batch:
    """Nothing to prepare."""
    del key
    return batch

  def inputs(self, batch: Batch) -> tuple[Array, ...]:
    """The image."""
    return (batch["image"],)

  def cells(self, height: int, width: int) -> grids.Grid:
    """The grid of pictures of that size."""
    count = max(round(height * width / self.step**2), 1)
    return grids.grid(height, width, count)

  def soft(
    self, image: Array, features: Array, cells: grids.Grid
  ) -> soft_slic.Soft:
    """Soft superpixels of one picture (h, w, 3) with features (h, w, c)."""
    plain = soft_slic.scaled(
      color.rgb_to_lab(image), cells, place=self.place, colour=self.colour
    )
    joint = jnp.concatenate([plain, features.astype(jnp.float32)], -1)
    return soft_slic.soft_slic(joint, cells, rounds=self.rounds)

  def loss(self, out: Outputs, batch: Batch) -> dict[str, Mean]:
    """'labels' and 'compactness', and the same again per auxiliary head."""
    cells = self.cells(*batch["image"].shape[1:3])
    region = numbered(batch["region"], self.labels)
    mask = batch.get("_mask")

    def one(image, features, label):
      soft = self.soft(image, features, cells)
      labels = soft_slic.label_loss(soft, label, self.labels, cells)
      return Mean(*labels), Mean(*soft_slic.compactness_loss(soft, cells))

    terms = {}
    heads = auxiliary.heads(out, "features", self.aux_weight)
    for features, weight, prefix in heads:
      said = jax.vmap(one)(batch["image"], features, region)
      if mask is not None:
        said = jax.tree.map(lambda x: jnp.where(mask, x, 0.0), said)
      labels, compact = jax.tree.map(jnp.sum, said)
      terms[f"{prefix}labels"] = labels.scaled(weight)
      factor = weight * self.compactness
      terms[f"{prefix}compactness"] = compact.scaled(factor)
    return terms

  def predict(self, out: Outputs) -> dict[str, Array]:
    """features float32 (b, h, w, c), for `compose`."""
    return {"features": out["features"].astype(jnp.float32)}

  def compose(
    self, pred: Mapping[str, Array], image: Array
  ) -> dict[str, Array]:
    """segments int32 (b, h, w): the likeliest superpixel of each pixel."""
    cells = self.cells(*image.shape[1:3])

    def one(image, features):
      return soft_slic.hard(self.soft(image, features, cells), cells)

    return {"segments": jax.vmap(one)(image, pred["features"])}

  def to_mean(self, out: Outputs) -> dict[str, Array]:
    """Features as they are."""
    return dict(out)

  def from_mean(self, out: Outputs) -> dict[str, Array]:
    """Features as they are."""
    return dict(out)

  def flip(self, out: Outputs) -> dict[str, Array]:
    """Mirrors left to right."""
    return {key: jnp.flip(value, axis=2) for key, value in out.items()}

  def metrics(self) -> dict[str, Metric]:
    """Recall of boundaries, undersegmentation, ASA; see `metrics.partition`."""

    def of(count: int) -> Metric:
      return partition(IGNORE, count)

    def update(state, pred, batch):
      # As many as there are cells: the tables are no larger than that.
      count = self.cells(*pred["segments"].shape[1:3]).count
      batch = {**batch, "label": batch["region"]}
      return of(count).update(state, pred, batch)

    return {"superpixels": Metric(of(1).init, update, of(1).result)}

  def render(
    self, batch: Batch, pred: Mapping[str, Any]
  ) -> dict[str, np.ndarray]:
    """Outlines of truth and answer; red where a superpixel holds more of
    another region."""
    image = np.asarray(batch["image"])
    pictures = {}
    region = batch.get("region")
    if region is not None:
      region = np.asarray(region)
      pictures["truth"] = _each(viz.outline, image, region)
    if "segments" in pred:
      said = np.asarray(pred["segments"])
      pictures["prediction"] = _each(viz.outline, image, said)
      if region is not None:
        pictures["error"] = _each(_leaks, region, said)
    return pictures


def numbered(region: Array, labels: int) -> Array:
  """Ids of each picture's regions from 0 on, in their order; IGNORE beyond.

  Args:
    region: int (b, h, w), 0 .. 254 or IGNORE.
    labels: how many are kept.
  """

  def one(region):
    there = jnp.zeros(IGNORE + 1, bool).at[region.ravel()].set(True)
    there = there.at[IGNORE].set(False)
    rank = jnp.cumsum(there) - 1
    rank = jnp.where(there & (rank < labels), rank, IGNORE)
    return rank[region]

  return jax.vmap(one)(region.astype(jnp.int32))


def _each(function, *maps: np.ndarray) -> np.ndarray:
  return np.stack([function(*one) for one in zip(*maps)])


def _leaks(region: np.ndarray, segments: np.ndarray) -> np.ndarray:
  """uint8 (h, w, 3): see `Superpixels.render`."""
  known = region != IGNORE
  table = np.zeros((segments.max() + 1, IGNORE), np.int64)
  np.add.at(table, (segments[known], region[known]), 1)
  wrong = table.argmax(1)[segments] != region
  return viz.error_colors(wrong.astype(np.float32), 1.0, known)
