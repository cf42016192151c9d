"""The speed and the waiting, in numbers that a clock of the tests gives."""

import dataclasses
import io
import itertools
import re
import time

import pytest
from rich.console import Console

from jaxseg import build, meter, train
from tests import cli, small_runs


@pytest.fixture
def clock(monkeypatch):
  """A list whose only number is the time."""
  now = [100.0]
  monkeypatch.setattr(meter.time, "perf_counter", lambda: now[0])
  return now


def test_waits_count_per_step_and_as_a_share(clock):
  m = meter.Meter()
  m.waited(50.0, idle=True)  # for the first batch, while nothing runs
  clock[0] += 60
  m.start()
  for seconds, idle in ((0.5, True), (1.0, False), (0.25, True), (0.25, False)):
    clock[0] += seconds + 1.5
    m.waited(seconds, idle)
    m.add({"loss": 2.0})
  line = m.take(batch_size=6)
  assert line == {
    "loss": 2.0,
    "images_per_second": 4 * 6 / 8,
    "input_wait": 2.0 / 4,
    "idle_share": 0.75 / 8,
  }
  assert m.run_idle_share() == 0.75 / 8
  # The next line is of its own time; the run is of both.
  clock[0] += 2
  m.add({"loss": 1.0})
  assert m.take(6)["idle_share"] == 0
  assert m.run_idle_share() == 0.75 / 10


def test_pauses_are_no_training_time(clock):
  m = meter.Meter()
  m.start()
  with m.paused():
    clock[0] += 30
  clock[0] += 4
  m.waited(1.0, idle=True)
  m.add({"loss": 0.0})
  assert m.take(1)["idle_share"] == 0.25


def test_a_run_without_a_line_has_no_share():
  assert meter.Meter().run_idle_share() is None


def test_a_slow_source_shows_and_a_fast_one_does_not(data, tmp_path):
  """Real training: batches at hand first, then none for a while each."""
  values = {
    "steps": 15,
    "log_every": 5,
    "devices": 1,
    "data.size": (64, 64),
    "data.batch_size": 8,
    "model.width": 8,
    "checkpoint.every": 15,
  }
  experiment = build.experiment(small_runs.config_of(data, **values))
  batch = next(experiment.train_batches(0))

  def batches(start):
    """At hand; from step 11 on it takes as long as three of the others."""
    del start
    calls = []
    for k in itertools.count():
      calls.append(time.perf_counter())
      if k >= 12:  # two are on their way to the device
        time.sleep(max(0.2, 3 * (calls[11] - calls[4]) / 7))
      yield batch

  experiment = dataclasses.replace(experiment, train_batches=batches, splits={})
  told = io.StringIO()
  train.train(experiment, tmp_path, Console(file=told, width=200))
  first, fast, slow = cli.metrics(tmp_path)
  assert max(first["idle_share"], fast["idle_share"]) < 0.25
  assert slow["input_wait"] >= 0.2
  assert slow["idle_share"] > 0.6  # done with the step before the batch comes
  found = re.search(r"waited ([\d.]+)% of the training time", told.getvalue())
  assert slow["idle_share"] * 33 < float(found[1]) < slow["idle_share"] * 100
