"""Means of the logs between two lines of metrics.jsonl, and the speed.

The speed comes with what the input has cost of it. `input_wait` is the time per
step, in seconds, that the loop stood still for the next batch. `idle_share` is
the part of all the time in which the devices had nothing to do meanwhile: a
wait counts where the step before it was through when the batch came, and then
it counts whole, so that the share is never told too small. What a CPU reads
with while it computes slows the computation and is in neither.
"""

from __future__ import annotations

import collections
import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any


class Meter:
  """Sums of the logs since the last line, and the speed.

  `sums` and `n` go into the checkpoints: the line that follows a restart is
  the line that the uninterrupted run writes.
  """

  def __init__(self, sums: Mapping[str, float] | None = None, n: int = 0):
    self._sums = collections.defaultdict(float, sums or {})
    self._n = n
    self._timed = 0  # steps since the clock was started
    self._since = time.perf_counter()
    self._paused = 0
    self._waited = self._idle = 0.0  # seconds since the clock was started
    self._run_seconds = self._run_idle = 0.0  # of all the lines before

  def kept(self) -> dict[str, Any]:
    """What to give to the next Meter."""
    return {"sums": dict(self._sums), "n": self._n}

  def add(self, logs: dict[str, Any]) -> None:
    """One step's logs."""
    for key, value in logs.items():
      self._sums[key] += float(value)
    self._n += 1
    self._timed += 1

  def start(self) -> None:
    """Starts the clock: what came before, such as compilation, is no speed."""
    self._timed, self._since = 0, time.perf_counter()
    self._waited = self._idle = 0.0

  def waited(self, seconds: float, idle: bool) -> None:
    """The loop waited so long for a batch; `idle`: and the devices for it."""
    self._waited += seconds
    self._idle += seconds if idle else 0.0

  def take(self, batch_size: int) -> dict[str, float]:
    """Means since the last call, with the speed and the waiting."""
    elapsed = time.perf_counter() - self._since
    n = max(self._n, 1)
    out = {key: value / n for key, value in self._sums.items()}
    out["images_per_second"] = self._timed * batch_size / elapsed
    out["input_wait"] = self._waited / max(self._timed, 1)
    out["idle_share"] = self._idle / elapsed
    self._run_seconds += elapsed
    self._run_idle += self._idle
    self._sums.clear()
    self._n = 0
    self.start()
    return out

  def run_idle_share(self) -> float | None:
    """The idle share of all lines so far; None before the first."""
    if not self._run_seconds:
      return None
    return self._run_idle / self._run_seconds

  @contextlib.contextmanager
  def paused(self) -> Iterator[None]:
    """Leaves out the time of something that is not training; may nest."""
    mark = time.perf_counter()
    self._paused += 1
    try:
      yield
    finally:
      self._paused -= 1
      if not self._paused:
        self._since += time.perf_counter() - mark
