"""The loop over a split: every example once, sums on the device, one result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from jaxseg import answer, compiling, progress, sheets, writers
from jaxseg import mesh as mesh_lib
from jaxseg.experiment import Experiment, Split
from jaxseg.state import State
from jaxseg.types import UserError, canonical

PICTURES = 8  # examples on the contact sheet of an evaluation


def make_eval_step(experiment: Experiment) -> Callable[..., Any]:
  """(variables, states, batch) -> (states, prediction, what was seen).

  To be jitted; metrics, views and their mean are one program with the network.
  The last is {'image': uint8} where the task alters the image, else {}.
  """
  task, metrics = experiment.task, experiment.metrics()

  gather = mesh_lib.gather(experiment.mesh, experiment.fsdp)

  def step(variables, states, batch):
    variables = gather(variables) if gather else variables
    batch = answer.prepared(task, canonical(batch))
    pred = answer.answered(
      task, lambda b: experiment.predict(variables, *task.inputs(b)), batch
    )
    states = {
      name: metric.update(states[name], pred, batch)
      for name, metric in metrics.items()
    }
    seen = answer.shown(task, batch)
    return states, pred, {} if seen is None else {"image": seen}

  return step


def jit_eval_step(experiment: Experiment, step: Callable) -> Callable[..., Any]:
  """The step over the mesh, its states donated."""
  replicated = mesh_lib.replicated(experiment.mesh)
  batched = mesh_lib.batched(experiment.mesh)
  return compiling.jit(
    mesh_lib.traced(experiment.mesh, step),
    donate_argnums=1,
    out_shardings=(replicated, batched, batched),
  )


class Evaluator:
  """Evaluates states on the splits of one experiment."""

  def __init__(self, experiment: Experiment, console: Console):
    self._experiment = experiment
    self._console = console
    self._counted = compiling.Counted(
      make_eval_step(experiment),
      "eval step",
      lambda text: console.print(f"[yellow]warning:[/] {text}"),
    )
    self._step = jit_eval_step(experiment, self._counted)
    self._metrics = experiment.metrics()

  @property
  def compilations(self) -> int:
    """How often the step was compiled: once per shape of batches."""
    return self._counted.count

  def __call__(
    self, state: State, split: str
  ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Metrics and a contact sheet of a split.

    Args:
      state: its averaged parameters are used where it has them.
      split: 'val', 'test', or another of experiment.splits.

    Returns:
      ({metric: value}, {name: uint8 (h, w, 3)}); pictures on the first
      process alone.
    """
    data = _find(self._experiment, split)
    mesh = self._experiment.mesh
    variables = state.variables()
    initial = {name: metric.init() for name, metric in self._metrics.items()}
    states = jax.device_put(initial, mesh_lib.replicated(mesh))
    pictures: list[dict[str, np.ndarray]] = []
    known = self.compilations
    batches = mesh_lib.prefetch(mesh, data.open())
    title = f"eval {split}"
    with progress.counted(self._console, title, data.batches) as done:
      for host_batch, batch in batches:
        states, pred, seen = self._step(variables, states, batch)
        if self.compilations > known:
          known = self.compilations
          jax.block_until_ready(states)
          compiling.settle()
        # The first process writes, and row 0 of every batch is real and its.
        few = sum(len(p["image"]) for p in pictures) < PICTURES
        if few and writers.is_main():
          pictures.append(self._render(host_batch, pred, seen))
        done()
    host = mesh_lib.to_host(states)
    result = {}
    for name, metric in self._metrics.items():
      result.update(metric.result(host[name]))
    if not pictures:
      return result, {}
    return result, {"contact_sheet": _sheet(pictures, self._experiment)}

  def _render(
    self,
    batch: dict[str, np.ndarray],
    pred: dict[str, Any],
    seen: dict[str, Any],
  ) -> dict[str, np.ndarray]:
    """Pictures of this host's real rows: as the network saw them first."""
    real = batch["_mask"]
    rows, guess, saw = (
      {k: v[real][:PICTURES] for k, v in fields.items()}
      for fields in (batch, _local(pred), _local(seen))
    )
    return {
      "image": rows["image"],
      **saw,
      **self._experiment.task.render(rows, guess),
    }


def _local(arrays: dict[str, Any]) -> dict[str, np.ndarray]:
  """This host's rows."""
  return {name: mesh_lib.by_example(value) for name, value in arrays.items()}


def _find(experiment: Experiment, split: str) -> Split:
  if split not in experiment.splits:
    raise UserError(
      f"there is no {split!r} split to evaluate; there is: "
      f"{', '.join(experiment.splits) or 'none'}."
    )
  return experiment.splits[split]


def _sheet(
  pictures: list[dict[str, np.ndarray]], experiment: Experiment
) -> np.ndarray:
  """Rows of image, truth, prediction."""
  titles = list(pictures[0])
  rows = []
  for group in pictures:
    for i in range(len(group["image"])):
      rows.append([group[title][i] for title in titles])
  legend = getattr(experiment.task, "classes", None)
  palette = getattr(experiment.task, "palette", None)
  return sheets.contact_sheet(
    rows[:PICTURES],
    titles,
    legend=sheets.class_legend(legend, palette) if legend else (),
  )


def evaluate(
  experiment: Experiment,
  state: State,
  split: str,
  console: Console,
  out: writers.Writers,
  evaluator: Evaluator | None = None,
) -> dict[str, float]:
  """Evaluates, prints a table, writes the numbers; returns them."""
  evaluator = evaluator or Evaluator(experiment, console)
  result, pictures = evaluator(state, split)
  step = int(jnp.asarray(state.step.addressable_data(0)))
  out.scalars(step, split, {**result, "compilations": evaluator.compilations})
  names = [k for k in result if k.startswith("iou/")]
  if names:
    short = [k.removeprefix("iou/") for k in names]
    out.bars(step, split, short, [result[k] for k in names])
  out.pictures(step, split, pictures)
  out.flush()
  title = f"{split}, {experiment.splits[split].examples} images, step {step}"
  table = writers.class_table(title, result)
  console.print(table or writers.scalar_table(title, result))
  more = writers.beside_classes(result) if table else {}
  if more:
    name = getattr(experiment.application, "name", "beside the classes")
    console.print(writers.scalar_table(name, more))
  return result
