"""kill -9 at any moment: nothing is lost but the steps since the last save."""

import contextlib
import os
import signal
import time

import numpy as np
import pytest

from tests import cli, watch
from tests.faults import runs


def test_killed_runs_are_the_run_that_was_not(server, data, whole, tmp_path):
  argv = runs.flags(data, tmp_path)
  # Before the first step; after a line that no checkpoint holds (steps 9 and
  # 12 are saved, 10 is not); while a checkpoint is being written.
  job = server.start(argv, **runs.ENV)
  watch.until((tmp_path / "config.json").exists, [job])
  kill(job)
  job = server.start(argv, **runs.ENV)
  watch.until(lambda: watch.lines(tmp_path) >= 3, [job])
  kill(job)
  job = server.start(argv, **runs.ENV)
  runs.stop_when(job, lambda: watch.unfinished(tmp_path))
  kill(job)
  assert watch.unfinished(tmp_path)
  status, out, err = server.run(argv, **runs.ENV)
  assert status == 0, err
  assert "Going on from step" in out
  runs.check_same_run(tmp_path, whole)
  assert not watch.unfinished(tmp_path)
  # Once more: nothing is left to do, and nothing is written twice.
  status, out, err = server.run(argv, **runs.ENV)
  assert status == 0, err
  assert f"complete: {runs.STEPS} steps" in out
  runs.check_same_run(tmp_path, whole)


def kill(job):
  os.kill(job.pid, signal.SIGKILL)
  assert job.wait() == -signal.SIGKILL


# The long chain: a line for every step, so that a kill can tell how far it was.
LONG = {"steps": 60, "checkpoint__every": 3, "eval__every": 6, "log_every": 1}
LATE = LONG["steps"] - 18  # from a save behind this on, no life trains far
# How often each kind of moment, in an order and with delays that are drawn.
MOMENTS = {"time": 5, "compilation": 3, "step": 5, "save": 6, "evaluation": 3}


def reached(workdir):
  """The last step that metrics.jsonl tells of, and that of an evaluation."""
  found = {"train": 0, "val": 0}
  path = workdir / "metrics.jsonl"
  if path.exists():
    for line in path.read_text().splitlines(keepends=True):
      if line.endswith("\n"):
        entry = cli.json.loads(line)
        found[entry["split"]] = entry["step"]
  return found["train"], found["val"]


def evaluating(workdir):
  """Whether the line before an evaluation is there, and its own is not."""
  train, val = reached(workdir)
  return train > 0 and train % LONG["eval__every"] == 0 and val < train


def writing(workdir, left=()):
  """Saves that have begun and are not done, but for those of earlier lives."""
  found = set()
  for path in watch.unfinished(workdir):
    with contextlib.suppress(FileNotFoundError):
      found.add((path, path.stat().st_ino))
  return found - set(left)


def freeze(job, moment, workdir, before, left, rng):
  """Stops the process at a moment of this kind."""
  if moment != "time":  # lines of the life before are dropped by then
    watch.until(lambda: "training examples" in job.out, [job])
  if moment in ("save", "evaluation"):
    if rng.random() < 0.7:  # not the first: something is saved by then
      watch.until(lambda: max(watch.saved(workdir), default=0) > before, [job])
    else:
      watch.until(lambda: reached(workdir)[0] > before, [job])
    saving = moment == "save"
    runs.stop_when(
      job,
      lambda: writing(workdir, left) if saving else evaluating(workdir),
    )
    return
  if moment == "time":
    due = time.time() + rng.uniform(0, 3)
    # A fast machine would be through with everything by then, and a run that
    # has come to its end is not killed.
    watch.until(
      lambda: (
        time.time() > due
        or reached(workdir)[0] > before + 6
        or (before > LATE and "training examples" in job.out)
      ),
      [job],
    )
  elif moment == "compilation":
    due = time.time() + rng.uniform(0, 1)
    watch.until(
      lambda: time.time() > due or reached(workdir)[0] > before, [job]
    )
  elif moment == "step":
    further = before + int(rng.integers(1, 7))
    watch.until(lambda: reached(workdir)[0] >= further, [job])
    time.sleep(rng.uniform(0, 0.05))
  os.kill(job.pid, signal.SIGSTOP)
  time.sleep(0.01)


@pytest.mark.slow
def test_twenty_two_kills_in_one_run(server, data, tmp_path):
  """At moments over the whole life of the process, six of them within saves."""
  rng = np.random.default_rng(7)
  moments = [kind for kind, count in MOMENTS.items() for _ in range(count)]
  rng.shuffle(moments)
  whole, workdir = tmp_path / "whole", tmp_path / "killed"
  argv = runs.flags(data, whole, **LONG)
  status, _, err = server.run(argv, timeout=300, **runs.ENV)
  assert status == 0, err
  argv = runs.flags(data, workdir, **LONG)
  seen = []
  held = 0  # the newest complete checkpoint when the process died
  for moment in moments:
    if held > LATE:
      moment = "time"
    left = writing(workdir)
    job = server.start(argv, **runs.ENV)
    freeze(job, moment, workdir, held, left, rng)
    within = writing(workdir, left)
    evaluation = evaluating(workdir)
    train, _ = reached(workdir)
    was, held = held, max(watch.saved(workdir), default=0)
    kill(job)
    # Saves never run two at a time: behind the line of a step its own save
    # has not begun, that before it may be under way, that before is whole.
    assert held >= was
    every = LONG["checkpoint__every"]
    assert held >= train // every * every - 2 * every, (train, held)
    if was and "Going on" in job.out:
      assert f"Going on from step {was} " in job.out, job.out
    seen.append((moment, train, held, bool(within), evaluation))
  print("\nmoment, step told of, step saved, within a save, in an evaluation")
  print(*seen, sep="\n")
  assert len(seen) >= 20
  assert sum(within for *_, within, _ in seen) >= 5
  assert sum(evaluation for *_, evaluation in seen) >= 3
  assert held > 0
  status, out, err = server.run(argv, timeout=300, **runs.ENV)
  assert status == 0, err
  assert f"Going on from step {held} " in out
  runs.check_same_run(workdir, whole, LONG["steps"])
  assert not watch.unfinished(workdir)
