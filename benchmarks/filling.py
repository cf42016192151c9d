"""The batch that an accelerator is fastest with: doubled until it is full."""

from __future__ import annotations

import dataclasses
import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Run = Callable[[], Any]


@dataclasses.dataclass(frozen=True)
class Plan:
  """How long, how large.

  Attributes:
    seconds: after which no larger batch is tried, per mode.
    first, last: batches; one that does not fit is halved.
    block: seconds of steps that are timed at once; three such blocks.
    matrix: rows of the matrix product.
    small: sizes at which nothing is measured but that it runs.
  """

  seconds: float = 60.0
  first: int = 8
  last: int = 1024
  block: float = 1.0
  matrix: int = 8192
  small: bool = False


SMALL = Plan(seconds=0.0, first=2, last=2, block=0.0, matrix=256, small=True)


def batch(count: int, size: int, classes: int) -> dict[str, np.ndarray]:
  """image uint8 (b, h, w, 3) and label uint8 (b, h, w), random."""
  rng = np.random.default_rng(0)
  shape = (count, size, size)
  return {
    "image": rng.integers(0, 256, (*shape, 3), np.uint8),
    "label": rng.integers(0, classes, shape, np.uint8),
  }


def seconds_per_run(run: Run, timed: Callable, block: float) -> float:
  """Median of three blocks of runs, each about `block` seconds."""
  timed(run, 2)  # compiles, chooses its kernels
  n = int(np.clip(block / max(timed(run, 1), 1e-6), 2, 200))
  return statistics.median(timed(run, n) / n for _ in range(3))


def matrix_rate(plan: Plan, run: Run, timed: Callable) -> float:
  """TFLOP/s of a product of two square matrices."""
  seconds = seconds_per_run(run, timed, plan.block)
  return 2 * plan.matrix**3 / seconds / 1e12


def fill(
  plan: Plan,
  modes: Sequence[str],
  prepare: Callable[[str, int], tuple[Run, dict[str, Any]]],
  timed: Callable[[Run, int], float],
  memory: Callable[[], int | None],
  is_full: Callable[[Exception], bool],
  profile: Mapping[str, Callable[[Run], str]] | None = None,
) -> dict[str, Any]:
  """The fastest batch of each mode.

  Args:
    plan: see there.
    modes: what `prepare` knows; the least of memory first.
    prepare: (mode, batch size) -> (run once, facts).
    timed: (run, n) -> seconds of n runs, to their end.
    memory: most bytes in use so far, or None.
    is_full: whether an exception says that the memory is.
    profile: mode -> what to do with the run of its fastest batch; its answer
      is kept.

  Returns:
    mode -> batch, images_per_second, peak_bytes, the facts, and 'tried', pairs
    of batch and images per second, with 'stopped': memory, time or last. Of a
    mode that takes no image at all these two alone.
  """
  report = {}
  for mode in modes:
    began, size = time.perf_counter(), plan.first
    best, tried, stopped, last = {}, [], "last", plan.last
    while 1 <= size <= last:
      if tried and time.perf_counter() - began > plan.seconds:
        stopped = "time"
        break
      try:
        run, facts = prepare(mode, size)
        rate = size / seconds_per_run(run, timed, plan.block)
      except Exception as e:
        if not is_full(e):
          raise
        stopped, last = "memory", size - 1
        size = last + 1 if tried else size // 2
        continue
      finally:
        run = None  # its batch is freed before the next one comes
        gc.collect()
      tried.append((size, rate))
      if rate > best.get("images_per_second", 0.0):
        best = {
          "batch": size,
          "images_per_second": rate,
          "peak_bytes": memory(),
          **facts,
        }
      size *= 2
    report[mode] = {**best, "tried": tried, "stopped": stopped}
    if best and mode in (profile or {}):
      run, _ = prepare(mode, best["batch"])
      timed(run, 1)
      report[mode]["profile"] = profile[mode](run)
      run = None
      gc.collect()
  return report
