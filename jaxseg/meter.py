"""Means of the logs between two lines of metrics.jsonl, and the speed."""

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

  def take(self, batch_size: int) -> dict[str, float]:
    """Means since the last call, with images_per_second."""
    now = time.perf_counter()
    n = max(self._n, 1)
    out = {key: value / n for key, value in self._sums.items()}
    out["images_per_second"] = self._timed * batch_size / (now - self._since)
    self._sums.clear()
    self._n = 0
    self.start()
    return out

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
