"""Runs that are killed, stopped or poisoned: real processes."""

import contextlib
import os
import signal
import time

import numpy as np
import pytest

from tests import cli

STEPS = 24


def flags(data, workdir, **changes):
  values = {"steps": STEPS, "checkpoint__every": 3, "eval__every": 6}
  return [
    *cli.folder_flags(data, **{**values, **changes}),
    f"--workdir={workdir}",
  ]


# Two devices, so that the order of sums over devices is part of what is equal.
ENV = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}


@pytest.fixture(scope="module")
def whole(server, data):
  """A run that nothing happened to."""
  workdir = data.parent / "whole"
  status, _, err = server.run(flags(data, workdir), **ENV)
  assert status == 0, err
  return workdir


def until(found, timeout=60):
  """Waits, closely, for found() to be true."""
  end = time.time() + timeout
  while not found():
    assert time.time() < end, "never happened"
    time.sleep(0.001)


def lines(workdir):
  with contextlib.suppress(FileNotFoundError):
    return (workdir / "metrics.jsonl").read_bytes().count(b"\n")
  return 0


def unfinished(workdir):
  return list(workdir.glob("checkpoints/*/*.orbax-checkpoint-tmp*"))


def kill_within_a_save(job, workdir):
  """Stops the process whenever a save has begun, until one is seen undone."""
  while True:
    until(lambda: unfinished(workdir))
    os.kill(job.pid, signal.SIGSTOP)
    time.sleep(0.01)
    caught = unfinished(workdir)
    os.kill(job.pid, signal.SIGKILL if caught else signal.SIGCONT)
    if caught:
      return


def check_same_run(workdir, whole):
  """Parameters, optimizer and all to the byte; the same lines, once each."""
  assert cli.same_bytes(cli.arrays(workdir, STEPS), cli.arrays(whole, STEPS))
  was, now = cli.metrics(whole), cli.metrics(workdir)
  keys = [(line["step"], line["split"]) for line in now]
  assert len(set(keys)) == len(keys)
  assert cli.without_speed(now) == cli.without_speed(was)


def test_killed_runs_are_the_run_that_was_not(server, data, whole, tmp_path):
  argv = flags(data, tmp_path)
  # Before the first step; after a line that no checkpoint holds (steps 9 and
  # 12 are saved, 10 is not); while a checkpoint is being written.
  job = server.start(argv, **ENV)
  until((tmp_path / "config.json").exists)
  os.kill(job.pid, signal.SIGKILL)
  assert job.wait() == -signal.SIGKILL
  job = server.start(argv, **ENV)
  until(lambda: lines(tmp_path) >= 3)
  os.kill(job.pid, signal.SIGKILL)
  assert job.wait() == -signal.SIGKILL
  job = server.start(argv, **ENV)
  kill_within_a_save(job, tmp_path)
  assert job.wait() == -signal.SIGKILL
  assert unfinished(tmp_path)
  status, out, err = server.run(argv, **ENV)
  assert status == 0, err
  assert "Going on from step" in out
  check_same_run(tmp_path, whole)
  assert not unfinished(tmp_path)
  # Once more: nothing is left to do, and nothing is written twice.
  status, out, err = server.run(argv, **ENV)
  assert status == 0, err
  assert f"complete: {STEPS} steps" in out
  check_same_run(tmp_path, whole)


def test_sigterm_saves_and_the_run_goes_on(server, data, whole, tmp_path):
  argv = flags(data, tmp_path)
  job = server.start(argv, **ENV)
  until(lambda: lines(tmp_path) >= 1)
  os.kill(job.pid, signal.SIGTERM)
  assert job.wait() == 143
  assert "SIGTERM: saved step" in job.out
  step = int(job.out.split("saved step ")[1].split()[0])
  assert 4 <= step < STEPS
  assert int(cli.arrays(tmp_path, step)[".step"]) == step
  assert "Traceback" not in job.err
  status, out, err = server.run(argv, **ENV)
  assert status == 0, err
  assert f"Going on from step {step} " in out
  check_same_run(tmp_path, whole)


def test_a_loss_that_is_not_finite_stops_the_run(server, data, tmp_path):
  """At a rate of 1e29 the parameters overflow within a few steps."""
  argv = flags(
    data,
    tmp_path,
    optim__name="sgd",
    optim__lr=1e30,
    optim__warmup_steps=20,
    checkpoint__every=1,
  )
  status, _, err = server.run(argv)
  assert status == 2
  assert "Traceback" not in err
  assert err.startswith("error: the loss is not finite at step ")
  for part in ("loss = ", "grad_norm = ", "lr = ", "ids [", "images/"):
    assert part in err, err
  step = int(err.split("at step ")[1].split(":")[0])
  saved = [
    int(p.name) for p in tmp_path.glob("checkpoints/latest/*") if p.is_dir()
  ]
  assert max(saved) == step - 1
  for array in cli.arrays(tmp_path, step - 1).values():
    assert np.isfinite(array).all()


def test_a_workdir_that_cannot_be_written(server, data, tmp_path):
  file = tmp_path / "file"
  file.write_text("")
  status, _, err = server.run(flags(data, file / "run"))
  assert status == 2
  assert err.count("\n") == 1
  assert err.startswith(f"error: --workdir={file / 'run'} cannot be written")
