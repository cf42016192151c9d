"""One network, several tasks: a shared encoder and decoder, a head per task.

The loss is the weighted sum of the tasks' losses. The weights are numbers of
the config, or learned: Kendall, Gal, Cipolla, "Multi-Task Learning Using
Uncertainty to Weigh Losses" (2018, arXiv 1705.07115), equations 7 and 10. With
s = log sigma^2, a parameter per task that starts at 0, a task with loss L adds

  exp(-s) L / 2 + s / 2    where it regresses,
  exp(-s) L + s / 2        where it classifies.

Differs from the paper in that L is the loss that the config names for the
task, whatever it is, where the paper has L1 and cross-entropy.

An example need not have the truth of every task: `_has_FIELD` of a batch says
which examples have the field; the others neither train nor count in the tasks
that read it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxseg.types import Array, Batch, Mean, Metric, Outputs, Task, UserError

WEIGHTINGS = ("fixed", "learned")
SCALARS = "log_variance"  # the parameter that weighs, one number per task


@dataclasses.dataclass(frozen=True)
class Multi:
  """See the module. Implements types.Task.

  Attributes:
    parts: ((name, task), ...); the first decides which checkpoint is best.
    weights: of the tasks' losses, in their order; None: 1 each.
    weighting: fixed, or learned; learned ones are times `weights`.
  """

  parts: tuple[tuple[str, Task], ...]
  weights: tuple[float, ...] | None = None
  weighting: str = "fixed"

  name = "multi"

  def __post_init__(self):
    names = [name for name, _ in self.parts]
    if len(names) < 2:
      raise UserError(
        f"config.task.tasks = {names}: expected at least two tasks, such as "
        "('semantic', 'depth'); one alone is config.task.name."
      )
    if self.weights is None:
      object.__setattr__(self, "weights", (1.0,) * len(names))
    if len(self.weights) != len(names) or min(self.weights) < 0:
      raise UserError(
        f"config.task.weights = {self.weights} for the tasks {names}: expected "
        "one number per task, at least 0."
      )
    if self.weighting not in WEIGHTINGS:
      raise UserError(
        f"config.task.weighting = {self.weighting!r}: expected "
        f"{' or '.join(WEIGHTINGS)}."
      )
    owners: dict[str, str] = {}
    for name, part in self.parts:
      for trait in ("alters", "compose", "coarse", "reads", "converse"):
        if getattr(part, trait, False):
          raise UserError(
            f"config.task.tasks: {name} lets the network see another picture "
            "or clips, or answers at another size, and cannot share it with "
            "other tasks: leave it out."
          )
      for key in (*part.outputs, *part.fields, *part.metrics()):
        other = owners.setdefault(key, name)
        if other != name:
          raise UserError(
            f"config.task.tasks: {other} and {name} both predict {key!r}: "
            "keep one of them."
          )

  @property
  def best(self) -> tuple[str, str]:
    """That of the first task."""
    return self.parts[0][1].best

  @property
  def blended(self) -> str:
    """What views are averaged in, of every task."""
    return ", ".join(f"{name}: {part.blended}" for name, part in self.parts)

  @property
  def windows(self) -> bool:
    """Whether outputs of windows can be blended, of all tasks."""
    return all(getattr(part, "windows", True) for _, part in self.parts)

  @property
  def method(self) -> str:
    """Of the first task that cannot be blended; for the message."""
    return next((p.method for _, p in self.parts if hasattr(p, "method")), "")

  @property
  def classes(self) -> tuple[str, ...]:
    """Class names of the task that has some; else ()."""
    return self._first("classes")

  @property
  def palette(self) -> tuple[tuple[int, int, int], ...]:
    """Colours of the classes."""
    return self._first("palette")

  @property
  def depth_range(self) -> tuple[float, float]:
    """Metres that train and count, of the task that has depth."""
    return self._first("depth_range")

  def _first(self, key: str) -> tuple:
    return next((getattr(p, key) for _, p in self.parts if hasattr(p, key)), ())

  @property
  def outputs(self) -> dict[str, int]:
    """The heads of all tasks."""
    return {k: c for _, part in self.parts for k, c in part.outputs.items()}

  @property
  def scalars(self) -> dict[str, int]:
    """Parameters beside the network's: name -> how many numbers, from 0."""
    learned = self.weighting == "learned"
    return {SCALARS: len(self.parts)} if learned else {}

  @property
  def fields(self) -> tuple[str, ...]:
    """The batch keys of all tasks."""
    return tuple(key for _, part in self.parts for key in part.fields)

  def prepare(self, batch: Batch, key: Array) -> Batch:
    """Nothing to prepare: tasks that do are refused."""
    del key
    return batch

  def inputs(self, batch: Batch) -> tuple[Array, ...]:
    """The image."""
    return (batch["image"],)

  def loss(self, out: Outputs, batch: Batch) -> dict[str, Mean]:
    """The terms of each task, 'depth/l1', and where they are learned the
    logarithms, 'depth/log_sigma'."""
    terms = {}
    for i, (name, part) in enumerate(self.parts):
      own = part.loss(self._own(part, out), _labelled(part, batch))
      factor = self.weights[i]
      if self.scalars:
        s = out[SCALARS][i]
        half = 1.0 if part.blended == "probability" else 0.5
        has = sum(jnp.asarray(m.count, jnp.float32) for m in own.values()) > 0
        has = has.astype(jnp.float32)  # a task without truth does not speak
        log_sigma = Mean(s / 2 * has, has).scaled(factor)
        terms[f"{name}/log_sigma"] = log_sigma
        factor *= half * jnp.exp(-s)
      terms |= {f"{name}/{k}": mean.scaled(factor) for k, mean in own.items()}
    return terms

  def _own(self, part: Task, out: Outputs) -> dict[str, Array]:
    """The heads of one task, with their auxiliary ones."""
    others = self.outputs.keys() - part.outputs.keys()

    def belongs(key):
      if not key.startswith("aux"):
        return key in part.outputs
      # 'aux', 'aux_2' are of the head 'logits', 'aux_depth' of 'depth'.
      named = [head for head in self.outputs if key.endswith(f"_{head}")]
      if named:
        return named[0] not in others
      return "logits" in part.outputs

    return {key: value for key, value in out.items() if belongs(key)}

  def _each(self, method: str, out: Outputs) -> dict[str, Array]:
    """What the tasks' own `method` makes of their heads."""
    answers = {}
    for _, part in self.parts:
      answers |= getattr(part, method)({k: out[k] for k in part.outputs})
    return answers

  def predict(self, out: Outputs) -> dict[str, Array]:
    """The answers of all tasks."""
    return self._each("predict", out)

  def to_mean(self, out: Outputs) -> dict[str, Array]:
    """Each task's own."""
    return self._each("to_mean", out)

  def from_mean(self, out: Outputs) -> dict[str, Array]:
    """Each task's own."""
    return self._each("from_mean", out)

  def flip(self, out: Outputs) -> dict[str, Array]:
    """Each task's own."""
    return self._each("flip", out)

  def metrics(self) -> dict[str, Metric]:
    """The metrics of all tasks, each over the examples with its truth."""

    def over_labelled(part, metric):
      def update(state, pred, batch):
        return metric.update(state, pred, _labelled(part, batch))

      return metric._replace(update=update)

    return {
      key: over_labelled(part, metric)
      for _, part in self.parts
      for key, metric in part.metrics().items()
    }

  def render(
    self, batch: Batch, pred: Mapping[str, Any]
  ) -> dict[str, np.ndarray]:
    """Pictures of all tasks: 'depth truth', 'depth prediction' ..."""
    return {
      f"{name} {title}": picture
      for name, part in self.parts
      for title, picture in part.render(batch, pred).items()
    }


def _labelled(part: Task, batch: Batch) -> Batch:
  """The batch with examples without the task's truth masked out."""
  mask = batch.get("_mask")
  for key in part.fields:
    has = batch.get(f"_has_{key}")
    if has is not None:
      mask = has if mask is None else mask & has
  return batch if mask is None else {**batch, "_mask": mask}
