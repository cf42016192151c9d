"""The words that every floor of the house shares.

A batch is a dict of arrays, a model is a Flax module, a task is a frozen
dataclass of pure functions. This module holds what they say to each other:
the table of batch keys, `Mean`, the `Metric` and `Task` interfaces, and the
one exception that a user's mistake raises.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp

Array = jax.Array
Batch = Mapping[str, Any]
Outputs = Mapping[str, Array]

IGNORE = 255  # the label of a pixel that neither trains nor counts

# key: (dtype, shape, meaning and unit). In batches of clips image, depth,
# camera and motion have an axis of time, t, behind b.
BATCH_KEYS: dict[str, tuple[str, str, str]] = {
  "image": ("float32", "(b, h, w, 3)", "RGB in [0, 1]"),
  "guided": ("float32", "(b, h, w, 5)", "image and maps of clicks, in [0, 1]"),
  "target": ("int32", "(b, h, w)", "1 = the object to cut out; 255 = ignore"),
  "noisy": ("float32", "(b, h, w, 3)", "image with noise, as a task made it"),
  "ab": ("float32", "(b, h, w, 2)", "colours in Lab, as a task made them"),
  "label": ("int32", "(b, h, w)", "class id; 255 = ignore"),
  "boundary": (
    "int32",
    "(b, h, w)",
    "percent of the people who drew a boundary there; 255 = ignore",
  ),
  "region": ("int32", "(b, h, w)", "region id, no class; 255 = ignore"),
  "instance": ("int32", "(b, h, w)", "instance id; 0 = none"),
  "depth": ("float32", "(b, h, w)", "z in metres; 0 = invalid"),
  "normal": ("float32", "(b, h, w, 3)", "unit, camera frame; 0 = invalid"),
  "keypoints": ("float32", "(b, n, k, 3)", "x, y in pixels, visibility"),
  "area": ("float32", "(b, n)", "of each person, square pixels; for OKS"),
  "regions": ("uint8", "(a, h, w)", "of one picture: region ids, by person"),
  "boundaries": ("bool", "(a, h, w)", "of one picture, by person; thin"),
  "boxes": ("float32", "(b, n, 5)", "y0, x0, y1, x1 in pixels, class"),
  "camera": ("float32", "(b, 4)", "fx, fy, cx, cy in pixels"),
  "pose": ("float32", "(b, 4, 4)", "world from camera, metres"),
  "motion": (
    "float32",
    "(b, t, 4, 4)",
    "of clips: previous camera from this one, metres; the first is I",
  ),
  "_mask": ("bool", "(b,)", "real example, or padding of the last batch"),
  "_has_FIELD": ("bool", "(b,)", "example has FIELD; where it is not: all"),
  "_id": ("int32", "(b,)", "position of the example in its split"),
}


class UserError(Exception):
  """A mistake that the user can mend: one sentence, exit status 2.

  The text says what was wrong (with the value), what was expected and what
  to do. `main` prints it without a traceback.
  """


class Mean(NamedTuple):
  """A mean that has not been divided yet.

  Losses and metrics travel as sums and counts and are divided once, over the
  global batch or the whole set, so that the value does not depend on how the
  pixels were spread over devices, hosts or batches.
  """

  total: Array | float
  count: Array | float

  def __add__(self, other: Mean) -> Mean:
    return Mean(self.total + other.total, self.count + other.count)

  def scaled(self, weight: float) -> Mean:
    """The same mean times `weight`."""
    return Mean(self.total * weight, self.count)

  def compute(self) -> Array:
    """total / count as float32; exactly 0 where nothing was counted."""
    count = jnp.asarray(self.count, jnp.float32)
    safe = jnp.where(count == 0, 1.0, count)
    total = jnp.asarray(self.total, jnp.float32)
    return jnp.where(count == 0, 0.0, total / safe)


class Metric(NamedTuple):
  """Three pure functions. States are additive pytrees: merge by adding.

  init() -> state
  update(state, pred, batch) -> state        runs under jit
  result(state) -> {name: float or list}     runs on the host
  """

  init: Callable[[], Any]
  update: Callable[[Any, Mapping[str, Array], Batch], Any]
  result: Callable[[Any], dict[str, float]]


@runtime_checkable
class Task(Protocol):
  """What varies from one kind of dense prediction to another.

  Implementations are frozen dataclasses of pure functions; all but `metrics`
  and `render` run under jit. `batch` follows BATCH_KEYS.

  `registry` names the losses that a config may choose. What `prepare` draws
  for an example depends on the key and the example's `_id` alone, for
  evaluation calls it too, with one key. A task may also have
    compose(pred, image): the answer, from what `predict` said and the picture
      (b, h, w, 3) that the network saw; for answers that need the picture.
    converse(ask, batch): the answer in evaluation, for tasks that go on from
      what the network said; ask(batch) is its answer. Runs under jit.
    alters = True: the network sees another picture than the data set's.
    fuses = True: `loss` takes heads that are yet to be enlarged, too
      (`ops.grown.Grown`); the network may then leave that to it in training.
    coarse = True: heads may be smaller than the image, down to one vector:
      `loss` makes truth and answer meet, and `compose` enlarges the answer.
    scalars: name -> how many numbers, parameters of the loss that the model
      holds and returns in training.
    blended = 'probability' where it classifies, 'value' where it regresses.
    reads: the batch keys that `inputs` takes, in the order of the network's
      arguments, where that is more than the image; then also
    blank(size): a batch of one example of that size with these keys; also for
      tasks whose network sees more than three channels.
  """

  @property
  def outputs(self) -> dict[str, int]:
    """Head name -> number of channels that the model has to produce."""
    ...

  @property
  def fields(self) -> tuple[str, ...]:
    """The batch keys that this task reads beside `image`."""
    ...

  def prepare(self, batch: Batch, key: Array) -> Batch:
    """Arithmetic on the batch before the model (noise, bins, heatmaps)."""
    ...

  def inputs(self, batch: Batch) -> tuple[Array, ...]:
    """The positional arguments of the model."""
    ...

  def loss(self, out: Outputs, batch: Batch) -> dict[str, Mean]:
    """Weighted terms; the total loss is the sum of their means."""
    ...

  def predict(self, out: Outputs) -> dict[str, Array]:
    """Decoded answer in the data set's units; sees no labels."""
    ...

  def to_mean(self, out: Outputs) -> dict[str, Array]:
    """To the domain where views of one pixel are averaged (probabilities)."""
    ...

  def from_mean(self, out: Outputs) -> dict[str, Array]:
    """Back from that domain to what `predict` reads."""
    ...

  def flip(self, out: Outputs) -> dict[str, Array]:
    """Mirror outputs left to right."""
    ...

  def metrics(self) -> dict[str, Metric]:
    """The task's metrics, by name."""
    ...

  def render(self, batch: Batch, pred: Mapping[str, Any]) -> dict[str, Any]:
    """Pictures for people: name -> uint8 (b, h, w, 3), NumPy."""
    ...


class Application(Protocol):
  """What the answers of a task are good for; a frozen dataclass with a `name`.

  The task trains and predicts; its application reads the predictions. It adds
  metrics to an evaluation, and to predicted files an answer of its own. Not in
  the exported artifact, which is the task's.
  """

  def of(self, task: Task) -> Task:
    """The task, asked to predict what the application reads.

    Raises UserError where it cannot.
    """
    ...

  def answer(self, pred: Mapping[str, Any]) -> dict[str, Any]:
    """On the host, of one picture at its own size: the prediction and more.

    What is a dict is a document, which is written as JSON.
    """
    ...

  def render(
    self, image: Any, pred: Mapping[str, Any], pictures: Mapping[str, Any]
  ) -> dict[str, Any]:
    """Pictures of the answer, from those of the task's prediction."""
    ...

  def metrics(self) -> dict[str, Metric]:
    """Of predictions of batches, beside the task's."""
    ...


def canonical(batch: Batch) -> dict[str, Any]:
  """A batch as it travels -> as BATCH_KEYS has it; runs under jit.

  Pictures and labels travel as bytes, a quarter of the traffic.
  """
  out = dict(batch)
  if out["image"].dtype == jnp.uint8:
    out["image"] = out["image"].astype(jnp.float32) / 255.0
  for key in ("label", "instance", "boundary", "region"):
    if key in out:
      out[key] = out[key].astype(jnp.int32)
  return out
