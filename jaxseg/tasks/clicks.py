"""Cutting out the object that a person clicks on.

Xu, Price, Cohen, Yang, Huang, "Deep Interactive Object Selection" (2016, arXiv
1603.04042): a network that sees the image and two maps of clicks, on the object
and beside it (see `ops.clicks`), tells the object from all else. Any network of
single images will do; its first layer has five channels.

Training: in each step one instance of an image, at random, and clicks drawn for
it. Evaluation: always the same instance of an image. The first click is in its
middle, each further one in the middle of the largest error of the answer so
far, `clicks` in all; counted is how many it takes to an IoU of 0.85 and 0.90.

Differs from the paper: trained from instances, without its objects that are
partly ignored; no graph cut behind the network; the rest is in `ops.clicks`.
An image without an instance of at least `LEAST` pixels neither trains nor
counts. What 'pad' and 'crop' add is taken for background.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import viz
from jaxseg.losses import LOSSES
from jaxseg.metrics.number_of_clicks import iou, number_of_clicks
from jaxseg.ops import clicks as ops
from jaxseg.tasks.semantic import Semantic
from jaxseg.types import IGNORE, Array, Batch, Mean, Metric, Outputs, UserError

LEAST = 20  # pixels of an instance
INSTANCES = 256  # ids of an image lie below


@dataclasses.dataclass(frozen=True)
class Clicks:
  """See the module. Implements types.Task.

  Attributes:
    click_map: 'distance' (the paper) or 'disc', of ops.clicks.maps.
    click_reach: pixels, where distances are cut off, or the radius of a disc;
      None: 255 (the paper), 5.
    click_step: pixels from one click to another of its kind, in training; the
      other lengths of ops.clicks.Draw in proportion. None: 10 (the paper),
      which leaves one click to each of the objects of small pictures.
    clicks: the most that are made in evaluation.
    losses: ((name in LOSSES, weight, ((option, value), ...)), ...).
  """

  click_map: str = "distance"
  click_reach: float | None = None
  click_step: float | None = None
  clicks: int = 20
  losses: tuple[tuple[str, float, tuple[tuple[str, Any], ...]], ...] = (
    ("cross_entropy", 1.0, ()),
  )

  name = "clicks"
  best = ("noc85", "min")
  blended = "probability"
  registry = LOSSES
  fuses = True
  classes = ("background", "object")
  palette = ((40, 60, 90), (250, 190, 60))

  def __post_init__(self):
    if self.click_map not in ops.KINDS:
      raise UserError(
        f"config.task.click_map = {self.click_map!r}: expected "
        f"{' or '.join(ops.KINDS)}."
      )
    for key in ("click_reach", "click_step"):
      value = getattr(self, key)
      if value is not None and not value > 0:
        raise UserError(
          f"config.task.{key} = {value}: expected pixels, more than 0."
        )
    if self.clicks < 1:
      raise UserError(
        f"config.task.clicks = {self.clicks}: expected at least 1, such as 20."
      )

  @functools.cached_property
  def _two(self) -> Semantic:
    """Two classes of pixels: what the heads mean."""
    return Semantic(self.classes, self.palette, self.losses)

  @property
  def outputs(self) -> dict[str, int]:
    """One head of two logits."""
    return self._two.outputs

  @property
  def fields(self) -> tuple[str, ...]:
    """Reads the instances."""
    return ("instance",)

  def blank(self, size: tuple[int, int]) -> dict[str, Array]:
    """An image of `size` with its maps, all 0."""
    return {"image": jnp.zeros((1, *size, 5))}

  def guide(self, image: Array, clicks: Array) -> Array:
    """(b, h, w, 3) and clicks (b, n, 3) -> (b, h, w, 5) for the network."""
    reach = self.click_reach or {"distance": 255.0, "disc": 5.0}[self.click_map]
    maps = ops.maps(clicks, image.shape[-3:-1], self.click_map, reach)
    return jnp.concatenate([image, maps.astype(image.dtype)], -1)

  def prepare(self, batch: Batch, key: Array) -> Batch:
    """Adds 'target', an instance at random, and 'guided', with clicks on it."""
    instance = batch["instance"]
    ids = batch.get("_id", jnp.arange(len(instance)))
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(ids)
    keys = jax.vmap(jax.random.split)(keys)  # (b, 2)
    chosen = jax.vmap(_choose)(keys[:, 0], instance)[:, None, None]
    object_ = (instance == chosen) & (chosen > 0)
    others = (instance > 0) & ~object_
    how = ops.Draw()  # the paper's
    how = how.spaced(self.click_step) if self.click_step else how
    draw = functools.partial(ops.draw, how=how)
    clicks = jax.vmap(draw)(keys[:, 1], object_, others)
    target = jnp.where(chosen > 0, object_.astype(jnp.int32), IGNORE)
    guided = self.guide(batch["image"], clicks)
    return {**batch, "target": target, "guided": guided}

  def inputs(self, batch: Batch) -> tuple[Array, ...]:
    """The image with its maps; an image of five channels has them already."""
    return (batch["guided"] if "guided" in batch else batch["image"],)

  def loss(self, out: Outputs, batch: Batch) -> dict[str, Mean]:
    """That of two classes."""
    return self._two.loss(out, {**batch, "label": batch["target"]})

  def predict(self, out: Outputs) -> dict[str, Array]:
    """label int32 (b, h, w): 1 is the object."""
    return self._two.predict(out)

  def converse(
    self, ask: Callable[[Batch], Mapping[str, Array]], batch: Batch
  ) -> dict[str, Array]:
    """The answer after `clicks` clicks, and how good each was.

    Returns:
      label int32 (b, h, w), the last; clicks int32 (b, n, 3), see ops.clicks;
      iou float32 (b, n) after each; target as in the batch.
    """
    target = batch["target"]
    known = target != IGNORE

    def click(carry, index):
      made, label = carry
      new = ops.following(label == 1, target == 1, known, made)
      made = made.at[:, index].set(new)
      guided = self.guide(batch["image"], made)
      label = ask({**batch, "guided": guided})["label"]
      return (made, label), iou(label, target)

    start = (
      jnp.zeros((len(target), self.clicks, 3), jnp.int32),
      jnp.zeros_like(target),
    )
    (made, label), ious = jax.lax.scan(click, start, jnp.arange(self.clicks))
    return {"label": label, "clicks": made, "iou": ious.T, "target": target}

  def to_mean(self, out: Outputs) -> dict[str, Array]:
    """Probabilities."""
    return self._two.to_mean(out)

  def from_mean(self, out: Outputs) -> dict[str, Array]:
    """Probabilities back to logits, up to a constant."""
    return self._two.from_mean(out)

  def flip(self, out: Outputs) -> dict[str, Array]:
    """Mirrors left to right."""
    return self._two.flip(out)

  def metrics(self) -> dict[str, Metric]:
    """NoC@85, NoC@90 and the IoU after some clicks."""
    return {"clicks": number_of_clicks(self.clicks)}

  def render(
    self, batch: Batch, pred: Mapping[str, Any]
  ) -> dict[str, np.ndarray]:
    """Object and answer over the image, the clicks, and what is wrong."""
    target = pred.get("target", batch.get("target"))
    if target is None:
      return {}
    label = {**batch, "label": np.asarray(target)}
    pictures = self._two.render(label, pred)
    if "clicks" in pred:
      pictures["prediction"] = np.stack(
        [viz.clicks(*p) for p in zip(pictures["prediction"], pred["clicks"])]
      )
    return pictures


def _choose(key: Array, instance: Array) -> Array:
  """The id of an instance of (h, w) with LEAST pixels, at random; else 0."""
  ids = jnp.clip(instance, 0, INSTANCES - 1)
  size = jnp.zeros(INSTANCES, jnp.int32).at[ids.reshape(-1)].add(1)
  there = (size >= LEAST) & (jnp.arange(INSTANCES) > 0)
  score = jax.random.uniform(key, (INSTANCES,))
  return jnp.argmax(jnp.where(there, score, -1.0)) * there.any()
