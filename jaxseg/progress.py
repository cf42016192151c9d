"""How far a loop is: a bar in a terminal, elsewhere a line now and then."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
  BarColumn,
  MofNCompleteColumn,
  Progress,
  TextColumn,
  TimeRemainingColumn,
)

PATIENCE = 30.0  # seconds between two lines where there is no terminal


def live(console: Console) -> Progress:
  """A bar: done of total, time left, and a free text; a terminal's alone."""
  return Progress(
    TextColumn("{task.description}"),
    BarColumn(bar_width=10),  # all of it fits 80 columns
    MofNCompleteColumn(),
    TextColumn("left"),
    TimeRemainingColumn(),
    TextColumn("{task.fields[note]}"),
    console=console,
    disable=not console.is_terminal,
    refresh_per_second=4,
  )


@contextlib.contextmanager
def counted(
  console: Console, title: str, total: int
) -> Iterator[Callable[[], None]]:
  """For a loop of `total` turns that prints nothing itself.

  Yields:
    What is to be called after each turn. In a terminal the bar moves; in a
    file a line comes every `PATIENCE` seconds, none in a loop that is shorter.
  """
  start = told = time.monotonic()
  count = 0
  with live(console) as bar:
    row = bar.add_task(title, total=total, note="")

    def done() -> None:
      nonlocal count, told
      count += 1
      bar.advance(row)
      now = time.monotonic()
      if console.is_terminal or now - told < PATIENCE or count == total:
        return
      told = now
      left = (now - start) / count * (total - count)
      console.print(f"{title} {count}/{total}  {left:.0f} s left")

    yield done
