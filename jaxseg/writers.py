"""Where numbers and pictures go: console, metrics.jsonl, TensorBoard.

`metrics.jsonl` has one JSON object per line with `step` and `split`; NaN (a
class that the split does not have) is written as null. Event files are written
with tensorboardX's files, for clu's own writers want TensorFlow; only the first
process writes.
"""

from __future__ import annotations

import json
import math
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from clu import parameter_overview
from rich.console import Console
from rich.table import Table

from jaxseg.types import UserError


def is_main() -> bool:
  """Whether this process is the one that writes."""
  return jax.process_index() == 0


def make_console() -> Console:
  """The terminal; silent on all processes but the first."""
  return Console(quiet=not is_main(), highlight=False, soft_wrap=True)


def json_ready(value: Any) -> Any:
  """Arrays to lists, NaN and infinities to None, tuples to lists."""
  if isinstance(value, Mapping):
    return {str(k): json_ready(v) for k, v in value.items()}
  if isinstance(value, (list, tuple)):
    return [json_ready(v) for v in value]
  if isinstance(value, (np.ndarray, jax.Array)):
    return json_ready(np.asarray(value).tolist())
  if isinstance(value, np.generic):
    value = value.item()
  if isinstance(value, float) and not math.isfinite(value):
    return None
  return value


def prepare_workdir(workdir: str | pathlib.Path) -> pathlib.Path:
  """Creates the workdir; says clearly when it cannot be written.

  Raises:
    UserError: not a directory, or not writable.
  """
  path = pathlib.Path(workdir)
  try:
    path.mkdir(parents=True, exist_ok=True)
    probe = path / f".writable-{jax.process_index()}"
    probe.write_text("")
    probe.unlink()
  except OSError as e:
    raise UserError(
      f"--workdir={workdir} cannot be written ({e.strerror}): choose a "
      "directory that you may write to."
    ) from e
  return path


def describe_run(
  workdir: str | pathlib.Path, config: Mapping[str, Any], params: Any
) -> None:
  """config.json, and parameters.txt with name, shape and size of each."""
  if not is_main():
    return
  folder = pathlib.Path(workdir)
  text = json.dumps(json_ready(config), indent=2)
  (folder / "config.json").write_text(text + "\n")
  table = parameter_overview.get_parameter_overview(params, include_stats=False)
  (folder / "parameters.txt").write_text(table + "\n")


class _Events:
  """An event file, written by the caller's thread.

  tensorboardX's SummaryWriter has a thread of its own: on a full disk it dies,
  and whoever goes on adding events waits for it without end.
  """

  def __init__(self, folder: pathlib.Path):
    from tensorboardX import summary  # 0.5 s: only when asked for
    from tensorboardX.event_file_writer import EventsWriter
    from tensorboardX.proto import event_pb2

    folder.mkdir(parents=True, exist_ok=True)
    self._summary, self._event = summary, event_pb2.Event
    self._file = EventsWriter(str(folder / "events"))

  def scalar(self, step: int, name: str, value: float) -> None:
    self._write(step, self._summary.scalar(name, value))

  def picture(self, step: int, name: str, value: np.ndarray) -> None:
    """value: uint8 (h, w, 3)."""
    self._write(step, self._summary.image(name, value, dataformats="HWC"))

  def _write(self, step: int, summary: Any) -> None:
    now = time.time()
    self._file.write_event(
      self._event(wall_time=now, step=step, summary=summary)
    )

  def flush(self) -> None:
    self._file.flush()

  def close(self) -> None:
    self._file.close()


class Writers:
  """Writes scalars and pictures of one run. Close it."""

  def __init__(self, workdir: str | pathlib.Path, *, tensorboard: bool = True):
    self._path = pathlib.Path(workdir) / "metrics.jsonl"
    self._events: dict[str, _Events] = {}
    self._tensorboard = tensorboard and is_main()
    self._workdir = pathlib.Path(workdir)

  def _event_writer(self, split: str) -> _Events:
    if split not in self._events:
      self._events[split] = _Events(self._workdir / "tensorboard" / split)
    return self._events[split]

  def scalars(self, step: int, split: str, values: Mapping[str, Any]) -> None:
    """One line of metrics.jsonl, and the same numbers as events."""
    if not is_main():
      return
    line = {"step": int(step), "split": split, **json_ready(values)}
    try:
      with self._path.open("a") as f:
        f.write(json.dumps(line) + "\n")
    except OSError as e:  # a write that fails does not say of which file
      raise OSError(e.errno, e.strerror, str(self._path)) from e
    if self._tensorboard:
      writer = self._event_writer(split)
      for key, value in values.items():
        if np.ndim(value) == 0 and math.isfinite(float(value)):
          writer.scalar(step, key, float(value))

  def bars(
    self, step: int, split: str, names: Sequence[str], values: Sequence[float]
  ) -> None:
    """A bar per class, as a picture."""
    if self._tensorboard:
      writer = self._event_writer(split)
      picture = bar_chart(names, values)
      writer.picture(step, "iou_per_class", picture)

  def pictures(
    self, step: int, split: str, pictures: Mapping[str, np.ndarray]
  ) -> None:
    """name -> uint8 (h, w, 3)."""
    if self._tensorboard:
      for name, picture in pictures.items():
        self._event_writer(split).picture(step, name, picture)

  def flush(self) -> None:
    """To disk."""
    for writer in self._events.values():
      writer.flush()

  def close(self) -> None:
    """To disk, and done."""
    for writer in self._events.values():
      writer.close()


def truncate_metrics(workdir: str | pathlib.Path, step: int) -> None:
  """Drops lines after `step`: a killed run had written them, and will again."""
  path = pathlib.Path(workdir) / "metrics.jsonl"
  if not is_main() or not path.exists():
    return
  kept = []
  for line in path.read_text().splitlines():
    try:
      entry = json.loads(line)
    except ValueError:
      continue  # cut off by a kill
    if entry.get("split") == "test" or entry.get("step", 0) <= step:
      kept.append(line)
  temporary = path.with_suffix(".tmp")
  temporary.write_text("".join(line + "\n" for line in kept))
  temporary.replace(path)


def bar_chart(names: Sequence[str], values: Sequence[float]) -> np.ndarray:
  """uint8 (h, w, 3): one labelled bar in [0, 1] per name; NaN has none."""
  import cv2

  row, left, width = 22, 150, 480
  out = np.full((row * len(names) + 8, width, 3), 255, np.uint8)
  for i, (name, value) in enumerate(zip(names, values)):
    y = 4 + i * row
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(
      out, name[:18], (4, y + 15), font, 0.45, (0, 0, 0), 1, cv2.LINE_AA
    )
    text = "absent"
    if math.isfinite(value):
      x = left + int((width - left - 60) * max(0.0, min(1.0, value)))
      cv2.rectangle(out, (left, y + 3), (x, y + row - 4), (70, 120, 180), -1)
      text = f"{value:.3f}"
    cv2.putText(
      out, text, (width - 54, y + 15), font, 0.42, (0, 0, 0), 1, cv2.LINE_AA
    )
  return out


def class_table(title: str, result: Mapping[str, float]) -> Table | None:
  """Per-class IoU, accuracy and truth pixels; None where there is none."""
  names = [k.removeprefix("iou/") for k in result if k.startswith("iou/")]
  if not names:
    return None
  table = Table(title=title, title_justify="left")
  table.add_column("class")
  for column in ("IoU", "accuracy", "Dice", "truth pixels"):
    table.add_column(column, justify="right")
  for name in names:
    cells = [
      result.get(f"{k}/{name}", math.nan) for k in ("iou", "acc", "dice")
    ]
    text = ["-" if math.isnan(v) else f"{v:.4f}" for v in cells]
    table.add_row(name, *text, f"{int(result.get(f'pixels/{name}', 0)):,}")
  table.add_section()
  table.add_row(
    "mean",
    f"{result['miou']:.4f}",
    f"{result['mean_accuracy']:.4f}",
    f"{result['dice']:.4f}",
    f"pixel accuracy {result['pixel_accuracy']:.4f}",
  )
  return table


def beside_classes(result: Mapping[str, float]) -> dict[str, float]:
  """What `class_table` does not show of a result."""
  shown = ("miou", "mean_accuracy", "dice", "pixel_accuracy", "fw_iou")
  return {k: v for k, v in result.items() if "/" not in k and k not in shown}


def scalar_table(title: str, result: Mapping[str, float]) -> Table:
  """name, value."""
  table = Table(title=title, title_justify="left")
  table.add_column("metric")
  table.add_column("value", justify="right")
  for name, value in result.items():
    table.add_row(name, f"{value:.4f}")
  return table


def audit_table(audit: Any) -> Table:
  """Class histogram of the training labels (data.audit.Audit)."""
  of = f"{audit.read}" + (
    f" of {audit.examples}" if audit.read < audit.examples else ""
  )
  table = Table(title=f"training labels, {of} masks", title_justify="left")
  table.add_column("class")
  for column in ("pixels", "share", "images"):
    table.add_column(column, justify="right")
  for name, pixels, share, images in zip(
    audit.classes, audit.pixels, audit.shares, audit.images
  ):
    style = "red" if not pixels else None
    table.add_row(name, f"{pixels:,}", f"{share:.2%}", f"{images}", style=style)
  every = audit.ignored + int(audit.pixels.sum())
  table.add_section()
  table.add_row("ignored", f"{audit.ignored:,}", f"{audit.ignored / every:.2%}")
  return table
