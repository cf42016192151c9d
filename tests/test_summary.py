"""--mode=summary: the table adds up to the exact counts."""

import io
import types

import pytest
from rich.console import Console

from jaxseg import models, summary

TASK = types.SimpleNamespace(inputs=lambda batch: (batch["image"],))


def cells(table):
  columns = [list(c.cells) for c in table.columns]
  return list(zip(*columns))


@pytest.mark.parametrize(
  ("name", "fields", "size", "parameters", "macs"),
  [
    # The original net from three channels to two, valid, 572 -> 388: its
    # 31,031,810 parameters; the first convolution reads 3 channels, not 1:
    # 2 * 9 * 64 * 570^2 more than the 150,428,424,448 of one channel.
    (
      "unet",
      {"padding": "valid", "mirror": False, "outputs": {"logits": 2}},
      (572, 572),
      31_031_810,
      150_428_424_448 + 2 * 9 * 64 * 570**2,
    ),
    (
      "segnet",
      {"outputs": {"logits": 11}},
      (360, 480),
      None,
      106_712_432_640,
    ),
  ],
)
def test_totals_are_the_published_ones(name, fields, size, parameters, macs):
  model = models.MODELS[name](**fields)
  table, counted = summary.summarize(model, TASK, size)
  assert counted.macs == macs
  assert parameters in (None, counted.parameters)
  *rows, last = cells(table)
  number = [
    sum(int(row[i].replace(",", "") or 0) for row in rows) for i in (2, 3)
  ]
  assert number == [counted.parameters, counted.macs]
  assert last[2:] == (f"{counted.parameters:,}", f"{counted.macs:,}")


def test_layers_stand_with_their_block():
  model = models.MODELS["unet"](outputs={"logits": 2}, width=4, norm="batch")
  table, _ = summary.summarize(model, TASK, (32, 32))
  names = [row[0] for row in cells(table)]
  assert "down0_conv1" in names
  assert not [name for name in names if name.endswith("/norm")]
  console = Console(record=True, width=80, file=io.StringIO())
  console.print(table)
  assert "32x32x4" in console.export_text()
