"""The loop: read, step, write down, save, evaluate; survive what happens.

Training into a workdir that holds a run continues it. The data order and the
random numbers are functions of (seed, step), so the continuation is the run
that was never interrupted. SIGTERM saves and leaves; a loss that is not finite
stops the run with the step, the terms and the ids of the batch.
"""

from __future__ import annotations

import collections
import math
import os
import pathlib
import time
from typing import Any

import jax
import numpy as np
from rich.console import Console

from jaxseg import compiling, interrupt, meter, progress, writers
from jaxseg import mesh as mesh_lib
from jaxseg.checkpoint import Checkpoints
from jaxseg.evaluate import Evaluator, evaluate
from jaxseg.experiment import Experiment
from jaxseg.state import State, count
from jaxseg.step import make_train_step
from jaxseg.types import UserError


def position(experiment: Experiment, step: int) -> dict[str, Any]:
  """The place in the data: a function of the step alone; see pipeline."""
  return {
    "next_batch": step,
    "batch_size": experiment.batch_size,
    "seed": experiment.seed,
    "examples": experiment.examples,
  }


def restore_or_start(
  experiment: Experiment, checkpoints: Checkpoints, console: Console
) -> tuple[State, dict[str, Any]]:
  """The newest whole checkpoint, or a fresh state; with what lies beside it.

  Returns:
    (state, info of the checkpoint or {}).
  """
  restored = checkpoints.restore(experiment.abstract_state())
  if restored is None:
    return experiment.initial_state(console.print), {}
  step = int(mesh_lib.to_host(restored.state.step))
  was = restored.info["position"]
  if was["examples"] != experiment.examples:
    raise UserError(
      f"{restored.path} was trained on {was['examples']} examples, and the "
      f"training split now has {experiment.examples}: the run cannot go on as "
      "it was. Restore the data, or choose another --workdir."
    )
  console.print(f"Going on from step {step} ({restored.path}).")
  return restored.state, restored.info


def _non_finite(
  experiment: Experiment, step: int, logs: dict[str, Any], ids: np.ndarray
) -> UserError:
  terms = ", ".join(
    f"{k} = {float(v):g}" for k, v in logs.items() if k not in ("lr", "finite")
  )
  names = "; ".join(experiment.name_of("train", int(i)) for i in ids[:8])
  more = " ..." if len(ids) > 8 else ""
  return UserError(
    f"the loss is not finite at step {step}: {terms}; lr = "
    f"{float(logs['lr']):g}. The batch held ids {ids.tolist()}: {names}{more}. "
    f"Nothing of this step was kept. Look at these examples, lower "
    "config.optim.lr, or set config.optim.clip_norm."
  )


def describe(experiment: Experiment, state: State, console: Console) -> None:
  """What is about to be trained, in three lines."""
  devices = experiment.mesh.devices.ravel()
  console.print(
    f"{experiment.config['model']['name']}: {count(state.params):,} parameters;"
    f" {experiment.task.name}; {len(devices)} {devices[0].platform} device(s), "
    f"{jax.process_count()} process(es)."
  )
  console.print(
    f"{experiment.examples} training examples, batch {experiment.batch_size}, "
    f"{experiment.steps} steps = "
    f"{experiment.steps / experiment.epoch_steps:.1f} epochs, "
    f"input {experiment.size[0]}x{experiment.size[1]}."
  )


def train(
  experiment: Experiment,
  workdir: str | pathlib.Path,
  console: Console | None = None,
) -> tuple[State, dict[str, float]]:
  """Trains, evaluates and saves; see the module.

  Args:
    experiment: from build.experiment.
    workdir: where everything is written; continued if it holds a run.
    console: for messages; None makes one.

  Returns:
    (final state, metrics of the last evaluation).

  Raises:
    UserError: what the user can mend.
    interrupt.Interrupted: SIGTERM.
  """
  console = console or writers.make_console()
  workdir = writers.prepare_workdir(workdir)
  checkpoints = Checkpoints(
    workdir,
    experiment.config,
    keep=experiment.keep,
    best=experiment.best,
    note=lambda text: console.print(f"[yellow]warning:[/] {text}"),
  )
  out = writers.Writers(workdir, tensorboard=experiment.tensorboard)
  try:
    mesh_lib.meet(experiment.mesh)
    state, info = restore_or_start(experiment, checkpoints, console)
    start = int(mesh_lib.to_host(state.step))
    writers.describe_run(workdir, experiment.config, state.params)
    writers.truncate_metrics(workdir, start)
    describe(experiment, state, console)
    if start >= experiment.steps:
      console.print(f"The run is complete: {start} steps.")
    elif start == 0 and (report := experiment.audit()) is not None:
      console.print(writers.audit_table(report))
    with interrupt.sigterm_flag() as flag:
      loop = _Loop(experiment, checkpoints, out, console, flag, info)
      return loop.run(state, start)
  finally:
    checkpoints.close()
    out.close()


class _Loop:
  """The moving parts of `train`, between its set-up and its tear-down."""

  def __init__(self, experiment, checkpoints, out, console, flag, info):
    self.experiment = experiment
    self.checkpoints = checkpoints
    self.out = out
    self.console = console
    self.flag = flag
    was = info.get("position", {})
    self.meter = meter.Meter(**was.get("meter", {}))
    self.evaluator = Evaluator(experiment, console)
    self.warn = lambda text: console.print(f"[yellow]warning:[/] {text}")
    self.result: dict[str, float] = dict(info.get("metrics", {}))
    self.evaluated = was.get("evaluated", 0)  # the step of `result`
    self.pending: collections.deque = collections.deque()
    tx = experiment.make_tx(experiment.abstract_state().params)
    step = make_train_step(
      experiment.model,
      experiment.task,
      tx,
      experiment.schedule,
      seed=experiment.seed,
      accumulate=experiment.accumulate,
      ema_decay=experiment.ema_decay,
      remat=experiment.remat,
      gather=mesh_lib.gather(experiment.mesh, experiment.fsdp),
    )
    self.counted = compiling.Counted(step, "train step", self.warn)
    self.step = compiling.jit(
      mesh_lib.traced(experiment.mesh, self.counted),
      donate_argnums=0,
      out_shardings=(
        experiment.state_sharding(),
        mesh_lib.replicated(experiment.mesh),
      ),
      in_order=bool(experiment.remat),
    )

  def run(self, state: State, start: int) -> tuple[State, dict[str, float]]:
    """From `start` to the end."""
    experiment = self.experiment
    batches = mesh_lib.prefetch(
      experiment.mesh, experiment.train_batches(start)
    )
    if start % experiment.eval_every == 0 and 0 < start != self.evaluated:
      self.evaluate(state, start)  # SIGTERM came between step and evaluation
    with progress.live(self.console) as bar:
      job = bar.add_task(
        "train", total=experiment.steps, completed=start, note=""
      )
      for step in range(start + 1, experiment.steps + 1):
        host_batch, batch = self.next_batch(batches)
        state, logs = self.step(state, batch)
        # Looked at one step later, so that the devices never wait for us.
        self.pending.append((step, host_batch["_id"], logs))
        if len(self.pending) > 1:
          self.inspect()
        if step == start + 1:
          self._first_step(logs)
        last = step == experiment.steps
        if last or step % experiment.log_every == 0:
          self.log(step, bar, job)
        if interrupt.agreed(self.flag, step) and not last:
          self.save(state, step)
          self.checkpoints.wait()
          raise interrupt.Interrupted(
            f"SIGTERM: saved step {step} of {experiment.steps}; the same "
            "command goes on from there."
          )
        if last or step % experiment.eval_every == 0:
          self.evaluate(state, step)
        if last or step % experiment.checkpoint_every == 0:
          self.save(state, step)
        bar.update(job, completed=step)
    self.checkpoints.wait()
    if (share := self.meter.run_idle_share()) is not None:
      self.console.print(
        f"The devices waited {share:.1%} of the training time for data."
      )
    if not self.result and experiment.splits:
      self.evaluate(state, experiment.steps)
    self.console.print(
      f"Compiled: the train step {self.counted.count} time(s), the eval step "
      f"{self.evaluator.compilations} time(s)."
    )
    return state, self.result

  def next_batch(self, batches: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The next (host batch, device batch), and what waiting for it cost."""
    began = time.perf_counter()
    pair = next(batches)
    seconds = time.perf_counter() - began
    # What is pending was looked at up to the last step, which may still run.
    busy = self.pending and not self.pending[-1][2]["loss"].is_ready()
    self.meter.waited(seconds, idle=not busy)
    return pair

  def _first_step(self, logs: dict[str, Any]) -> None:
    jax.block_until_ready(logs)
    seconds = time.perf_counter() - _process_start()
    self.console.print(f"First step after {seconds:.1f} s.")
    self.drain()
    compiling.settle()
    self.meter.start()

  def inspect(self) -> None:
    """Fetches the oldest pending logs; stops on what is not finite."""
    step, ids, logs = self.pending.popleft()
    logs = {k: np.asarray(v) for k, v in logs.items()}
    if not logs["finite"]:
      raise _non_finite(self.experiment, step, logs, ids)
    self.meter.add({k: v for k, v in logs.items() if k != "finite"})

  def drain(self) -> None:
    """Inspects everything that is pending: before a save or a line."""
    while self.pending:
      self.inspect()

  def log(self, step: int, bar: Any, job: Any) -> None:
    """One line of the training split."""
    self.drain()
    values = self.meter.take(self.experiment.batch_size)
    line = {**values, "compilations": self.counted.count}
    self.out.scalars(step, "train", line)
    metric = self.experiment.best[0]
    score = self.result.get(metric, math.nan)
    shown = "-" if math.isnan(score) else f"{score:.3f}"
    name = {"miou": "mIoU"}.get(metric, metric)
    note = (
      f"loss {values['loss']:.4f} {name} {shown} "
      f"{values['images_per_second']:.1f} images/s"
    )
    bar.update(job, note=note)
    if not self.console.is_terminal:
      left = (self.experiment.steps - step) * self.experiment.batch_size
      left /= max(values["images_per_second"], 1e-9)
      self.console.print(
        f"step {step}/{self.experiment.steps}  {note}  {left:.0f} s left"
      )

  def save(self, state: State, step: int, kind: str = "latest") -> None:
    """Writes a checkpoint of a state that is known to be finite."""
    self.drain()
    with self.meter.paused():
      self.checkpoints.save(
        state,
        kind=kind,
        position={
          **position(self.experiment, step),
          "evaluated": self.evaluated,
          "meter": self.meter.kept(),
        },
        metrics=self.result,
      )

  def evaluate(self, state: State, step: int) -> None:
    """Evaluates on 'val' and keeps the best."""
    if "val" not in self.experiment.splits:
      return
    self.drain()
    with self.meter.paused():
      self.result = evaluate(
        self.experiment, state, "val", self.console, self.out, self.evaluator
      )
      self.evaluated = step
      score = self.result.get(self.experiment.best[0], math.nan)
      if self.checkpoints.is_best(score):
        self.save(state, step, kind="best")


def _process_start() -> float:
  """When this process began, on the clock of time.perf_counter."""
  try:
    stat = pathlib.Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()
    ticks = int(stat[19])  # field 22 of proc(5): start time since boot
    age = float(pathlib.Path("/proc/uptime").read_text().split()[0])
    age -= ticks / os.sysconf("SC_CLK_TCK")
    return time.perf_counter() - age
  except (OSError, IndexError, ValueError):
    return _IMPORTED


_IMPORTED = time.perf_counter()
