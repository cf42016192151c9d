"""Numbers and pictures reach the places that scripts read."""

import json
import math

import numpy as np
import pytest
from rich.console import Console

from jaxseg import writers
from jaxseg.metrics import confusion
from jaxseg.types import UserError


def lines(folder):
  text = (folder / "metrics.jsonl").read_text()
  return [json.loads(line) for line in text.splitlines()]


def test_nan_is_null_and_every_line_is_json(tmp_path):
  out = writers.Writers(tmp_path, tensorboard=False)
  out.scalars(3, "val", {"miou": np.float32(0.5), "iou/cat": math.nan})
  out.close()
  assert lines(tmp_path) == [
    {"step": 3, "split": "val", "miou": 0.5, "iou/cat": None}
  ]


def test_lines_after_the_checkpoint_are_dropped_and_test_lines_kept(tmp_path):
  out = writers.Writers(tmp_path, tensorboard=False)
  for step, split in ((2, "train"), (4, "train"), (9, "test")):
    out.scalars(step, split, {"loss": step})
  path = tmp_path / "metrics.jsonl"
  path.write_text(path.read_text() + '{"step": 5, "spl')  # a kill
  writers.truncate_metrics(tmp_path, 3)
  assert [(e["step"], e["split"]) for e in lines(tmp_path)] == [
    (2, "train"),
    (9, "test"),
  ]


def test_event_files_hold_what_was_written(tmp_path):
  out = writers.Writers(tmp_path, tensorboard=True)
  out.scalars(7, "train", {"loss": 0.25})
  out.bars(7, "val", ["cat", "dog"], [0.5, math.nan])
  out.close()
  files = list((tmp_path / "tensorboard").rglob("events*"))
  assert {f.parent.name for f in files} == {"train", "val"}
  data = b"".join(f.read_bytes() for f in files)
  assert b"loss" in data
  assert b"iou_per_class" in data
  assert b"\x89PNG" in data


def test_bar_chart_is_as_long_as_its_value():
  def blue(value):
    chart = writers.bar_chart(["a"], [value])
    return int((chart == (70, 120, 180)).all(-1).sum())

  full = blue(1.0)
  assert full > 0
  assert abs(blue(0.5) / full - 0.5) < 0.02
  assert blue(math.nan) == 0


def test_class_table_names_every_class_and_the_mean():
  metric = confusion(2, ("cat", "dog"))
  label = np.array([[[0, 0, 1, 1]]])
  pred = {"label": np.array([[[0, 1, 1, 1]]])}
  state = metric.update(metric.init(), pred, {"label": label})
  table = writers.class_table("t", metric.result(state))
  console = Console(width=90)
  with console.capture() as capture:
    console.print(table)
  text = capture.get()
  for word in ("cat", "dog", "0.5000", "0.6667", "mean", "0.5833", "0.7500"):
    assert word in text


def test_workdir_below_a_file_is_refused(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(UserError, match="cannot be written"):
    writers.prepare_workdir(tmp_path / "file" / "run")


def test_parameters_and_config_are_described(tmp_path):
  params = {"a": {"kernel": np.zeros((3, 4), np.float32)}}
  writers.describe_run(tmp_path, {"x": (1, 2)}, params)
  assert json.loads((tmp_path / "config.json").read_text()) == {"x": [1, 2]}
  text = (tmp_path / "parameters.txt").read_text()
  assert "a/kernel" in text
  assert "Total: 12" in text
