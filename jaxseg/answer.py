"""What a task does around the network when it does not train.

Some tasks let the network see another picture than the data set has (noise on
it, no colours), and some need the picture again to answer. Evaluation,
prediction and export ask here, so that they agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import compiling
from jaxseg.types import Array, Batch, Task, canonical


def reads(task: Task) -> tuple[str, ...]:
  """The batch keys that the network of a task is called with."""
  return getattr(task, "reads", ("image",))


def blank_inputs(task: Task, size: tuple[int, int]) -> tuple[Any, ...]:
  """Shapes of the network's arguments for one example of `size` (h, w)."""
  blank = getattr(task, "blank", lambda n: {"image": jnp.zeros((1, *n, 3))})
  return jax.eval_shape(lambda: task.inputs(blank(size)))


def compose(
  task: Task, pred: Mapping[str, Array], image: Array
) -> dict[str, Array]:
  """The task's answer from what it predicts and what the network saw.

  Args:
    task: one without `compose` has its answer already.
    pred: from `task.predict`.
    image: (b, h, w, 3) in [0, 1], at the size that the answer is to have.
  """
  finish = getattr(task, "compose", None)
  return finish(pred, image) if finish else dict(pred)


def prepared(task: Task, batch: Batch) -> Batch:
  """The batch as evaluation has it: an example gets the same noise always."""
  return task.prepare(batch, jax.random.key(0))


def answered(
  task: Task, ask: Callable[[Batch], Mapping[str, Array]], batch: Batch
) -> dict[str, Array]:
  """What evaluation judges: one answer, or what a task `converse`s to.

  Args:
    task: see types.Task.
    ask: prepared batch -> the network's answer.
    batch: prepared.
  """
  converse = getattr(task, "converse", None)
  return converse(ask, batch) if converse else dict(ask(batch))


def shown(task: Task, batch: Batch) -> Array | None:
  """uint8 (b, h, w, 3) that the network sees of a prepared batch.

  None where that is the data set's own image.
  """
  if not getattr(task, "alters", False):
    return None
  image = jnp.clip(task.inputs(batch)[0], 0.0, 1.0)
  return jnp.round(image * 255).astype(jnp.uint8)


def as_seen(task: Task) -> Callable[[np.ndarray, int], np.ndarray]:
  """(uint8 (h, w, 3), its position in the split) -> what the network sees."""

  @compiling.jit
  def see(pixels, index):
    batch = canonical({"image": pixels[None], "_id": index[None]})
    return shown(task, prepared(task, batch))[0]

  def run(image, index):
    if not getattr(task, "alters", False):
      return image
    return np.asarray(see(image, np.int32(index)))

  return run
