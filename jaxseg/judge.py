"""The loops over pictures of methods without parameters; see `methods`.

Nothing of training is here: no state, no checkpoint, no mesh. A method comes
as an argument; pictures are predicted one by one on the host.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console

from jaxseg import predicting, progress, sheets, writers

PICTURES = 8  # examples on the contact sheet of an evaluation
Example = Mapping[str, np.ndarray]


def evaluate(
  method: Any,
  load: Callable[[int], Example],
  count: int,
  split: str,
  console: Console,
  out: writers.Writers,
  step: int = 0,
) -> dict[str, float]:
  """Judges a method on a split; prints a table, writes the numbers.

  Args:
    method: see `methods`.
    load: index -> 'image' uint8 (h, w, 3), and what `measure` reads.
    count: of examples.
    split: its name.
    console: for the bar and the table.
    out: where the numbers and the contact sheet go.
    step: how long was trained what the method goes on from.

  Returns:
    {metric: value}, and 'seconds', of predicting one picture.
  """
  records, rows, titles = [], [], ["image"]
  spent = 0.0
  with progress.counted(console, f"eval {split}", count) as done:
    for i in range(count):
      example = load(i)
      start = time.perf_counter()
      pred = method(example["image"])
      spent += time.perf_counter() - start
      records.append(method.measure(pred, example))
      if len(rows) < PICTURES:
        drawn = method.pictures(example["image"], pred)
        titles = ["image", *drawn]
        rows.append(sheets.row((example["image"], *drawn.values()), (192, 256)))
      done()
  result = {**method.result(records), "seconds": spent / max(count, 1)}
  out.scalars(step, split, result)
  out.pictures(
    step, split, {"contact_sheet": sheets.contact_sheet(rows, titles)}
  )
  out.flush()
  console.print(writers.scalar_table(f"{split}, {count} images", result))
  return result


def predict(
  method: Any,
  patterns: Sequence[str | os.PathLike],
  folder: str | os.PathLike,
  console: Console,
) -> int:
  """Predicts files and writes what the method makes of them; how many.

  See `predicting.predict_files`.
  """
  last: dict[str, Any] = {}

  def files(image):
    last["pred"] = method(image)
    return method.files(last["pred"])

  def draw(image, written):
    del written  # what is drawn may need more, and is drawn at once
    return method.pictures(image, last["pred"])

  return predicting.predict_files(
    files, patterns, folder, console=console, render=draw
  )
