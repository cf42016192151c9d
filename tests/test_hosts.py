"""Several processes, over loopback, are one: one run, the same checkpoints.

Byte for byte equal: what is restored from what was saved, whatever saved it
(`Checkpoints` compares CRC-32s, and a difference is told as damage); and two
runs of as many processes and devices, whatever happened on the way. With other
processes or devices the sums over a batch are taken in another order. That is
1e-7 of parameters and 5e-7 of momenta after 12 steps, as long as no input of a
ReLU is zero but for rounding; where one is (with seeds 0 and 4 here) losses
part by 3e-5. With seed 1 none is: parameters to 4e-6, losses to 2e-5, metrics
equal. The network of the widest test has SiLUs in their place (`smooth`): with
ReLUs momenta jump by 1e-4 within one leg and not within another, by seed and by
processor, and statistics follow.
"""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests import cli, watch

TOTAL = 20
EVERY = 4  # steps: evaluations and checkpoints
HEARTBEAT = 6  # seconds; the default is 30


def flags(root, workdir, **changes):
  values = {
    "seed": 1,  # see the module
    "steps": TOTAL,
    "log_every": 2,
    "eval__every": EVERY,
    "checkpoint__every": EVERY,
    "model__norm": "batch",
    "optim__name": "sgd",
    # As long as it is, the rate is the same: a leg may end where it likes.
    "optim__schedule": "constant",
    # 3 held out: the last rows of the batch of four are padding.
    "data__val_fraction": 0.25,
    **changes,
  }
  return [*cli.folder_flags(root / "data", **values), f"--workdir={workdir}"]


def go(server, root, workdir, processes=1, devices=1, smooth=False, **changes):
  """stdout of the first process, if all end well."""
  argv = flags(root, workdir, **changes)
  jobs = server.together(argv, processes, devices, smooth)
  for job in jobs:
    assert job.wait(120) == 0, job.err
    assert "rror" not in job.err, job.err
  assert not (workdir / "checkpoints" / "damaged").exists()
  return jobs[0].out


def begin(server, root, workdir, processes=2, devices=1, **changes):
  argv = [*flags(root, workdir, **changes), f"--heartbeat={HEARTBEAT}"]
  return server.together(argv, processes, devices)


def check_close(workdir, whole, times=1):
  a, b = cli.arrays(workdir, TOTAL), cli.arrays(whole, TOTAL)
  assert a.keys() == b.keys()
  assert int(a[".step"]) == TOTAL
  for name in a:
    # A momentum is a sum of gradients: BatchNorm makes their noise large.
    atol = 4e-5 if name.startswith(".opt_state") else 4e-6
    np.testing.assert_allclose(
      a[name], b[name], atol=times * atol, err_msg=name
    )


def check_equal(workdir, whole):
  """To the byte, and the lines to the digit."""
  assert cli.same_bytes(cli.arrays(workdir, TOTAL), cli.arrays(whole, TOTAL))
  a, b = (cli.without_speed(cli.metrics(x)) for x in (workdir, whole))
  assert a == b


def check_same_lines(workdir, whole):
  """Every step's line once, in order, and with the same numbers."""
  a, b = (cli.without_speed(cli.metrics(x)) for x in (workdir, whole))
  assert [(x["step"], x["split"]) for x in a] == [
    (y["step"], y["split"]) for y in b
  ]
  for x, y in zip(a, b):
    assert x.keys() == y.keys()
    if x["split"] == "val":
      assert x == y
    for key in x.keys() - {"split"}:
      np.testing.assert_allclose(x[key], y[key], rtol=2e-5, err_msg=key)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
  root = tmp_path_factory.mktemp("hosts")
  cli.write_folder(root / "data")
  return root


@pytest.fixture(scope="module")
def whole(server, root):
  """Of one process."""
  go(server, root, root / "whole")
  return root / "whole"


@pytest.fixture(scope="module")
def pair(server, root):
  """Of two processes that nothing happens to."""
  assert "2 process(es)" in go(server, root, root / "pair", 2)
  return root / "pair"


def test_two_processes_are_one(pair, whole):
  check_close(pair, whole)
  check_same_lines(pair, whole)


def test_the_launcher_runs_the_same(root, pair):
  """launch/local.sh as a user calls it: two processes, to the byte."""
  done = subprocess.run(
    ["launch/local.sh", "2", *map(str, flags(root, root / "launched"))],
    cwd=cli.ROOT,
    env=cli.environment(
      XLA_FLAGS=cli.quickly(devices=1), PYTHON=sys.executable, PORT=cli.port()
    ),
    text=True,
    capture_output=True,
    timeout=120,
  )
  assert done.returncode == 0, done.stderr
  assert "2 process(es)" in done.stdout
  check_equal(root / "launched", pair)


@pytest.mark.slow
def test_sigterm_to_one_stops_all(server, root, pair):
  """To the process that writes nothing: both save and leave."""
  workdir = root / "stopped"
  jobs = begin(server, root, workdir)
  watch.until(lambda: watch.lines(workdir), jobs)
  os.kill(jobs[1].pid, signal.SIGTERM)
  assert [job.wait() for job in jobs] == [143, 143], jobs[0].err
  assert "SIGTERM: saved step 10 of" in jobs[0].out  # where all agree
  assert "Going on from step 10 " in go(server, root, workdir, 2)
  check_equal(workdir, pair)


LEGS = {
  "2-1-2": [(2, 1), (1, 1), (2, 1)],
  "1-2": [(1, 2), (2, 1)],
  "2x2": [(2, 1), (2, 2), (1, 4), (2, 2)],
}


@pytest.mark.slow
@pytest.mark.parametrize("legs", LEGS)
def test_legs(server, root, whole, legs):
  """Processes x devices change at every stop."""
  workdir = root / f"legs-{legs}"
  # Each ends with an evaluation: where there is one in `whole`.
  ends = [EVERY * i for i in range(len(LEGS[legs]))] + [TOTAL]
  for start, end, sizes in zip(ends, ends[1:], LEGS[legs]):
    out = go(server, root, workdir, *sizes, steps=end)
    assert f"{sizes[0]} process(es)" in out
    assert f"{sizes[0] * sizes[1]} cpu device(s)" in out
    assert not start or f"Going on from step {start} " in out
    # Written by these, and read by one without our code.
    assert int(cli.arrays(workdir, end)[".step"]) == end
  check_close(workdir, whole)
  check_same_lines(workdir, whole)


@pytest.mark.slow
def test_rows_and_parameters_over_two_processes(server, root):
  """2 x 2: each process spreads its images' rows over its own two devices, and
  the parameters of 16,384 numbers or more lie half on each process.
  """
  wide = {"model__width": 16, "model__depth": 2, "checkpoint__keep": 9}
  # Of so many ReLUs one is on the edge in some step, on some processor. Of
  # seeds 1, 2, 3 rounding grows least with 2: to 1e-6 of every number.
  wide.update(smooth=True, seed=2)
  spread = {**wide, "mesh__space": 2, "mesh__fsdp": True}
  go(server, root, root / "wide", 1, 1, **wide)
  go(server, root, root / "spread", 2, 2, **spread)
  # Of 36 times as many parameters, with sums as long.
  check_close(root / "spread", root / "wide", times=4)
  check_same_lines(root / "spread", root / "wide")
  # Spread by two, gathered by one, and spread again.
  workdir = root / "regathered"
  go(server, root, workdir, 2, 2, **spread, steps=EVERY)
  go(server, root, workdir, 1, 1, **wide, steps=2 * EVERY)
  go(server, root, workdir, 2, 2, **spread)
  check_close(workdir, root / "wide", times=4)
  check_same_lines(workdir, root / "wide")


def moment(kind, workdir, jobs):
  """Returns when the run is there."""
  if kind == "steps":
    # Of steps 2, 4 and its evaluation, 6, 8.
    watch.until(lambda: watch.lines(workdir) >= 5, jobs)
  elif kind == "evaluation":
    # The first, which has to be compiled; nothing is saved before it.
    watch.until(lambda: watch.lines(workdir) >= 2, jobs)
  elif kind == "save":
    watch.until(lambda: watch.unfinished(workdir), jobs)


def lose(jobs, victim, how):
  """(seconds until the others ended, their statuses)."""
  pid = jobs[victim].child
  os.kill(pid, how)
  began = time.time()
  others = [job for i, job in enumerate(jobs) if i != victim]
  statuses = [job.wait(60) for job in others]
  seconds = time.time() - began
  if how == signal.SIGSTOP:
    os.kill(pid, signal.SIGKILL)
  assert jobs[victim].wait() == 137
  return seconds, statuses


def check_lost(server, root, workdir, victim, how, kind, **changes):
  jobs = begin(server, root, workdir, **changes)
  moment(kind, workdir, jobs)
  seconds, statuses = lose(jobs, victim, how)
  print(f"{kind}, {how.name} to process {victim}: {seconds:.1f} s")
  assert statuses == [75]
  # The service looks once in a heartbeat; a loaded machine is late.
  assert seconds < 3 * HEARTBEAT + 5
  step = max(watch.saved(workdir), default=0)
  rest = (
    f"the run goes on from step {step}." if step else "the run begins anew."
  )
  other = jobs[1 - victim]
  assert other.err.startswith(f"error: process {victim} of 2 was lost: start")
  assert other.err.endswith(rest + "\n")
  assert other.err.count("\n") == 1
  assert f"process {victim} of 2 was ended by SIGKILL" in jobs[victim].err
  return step


def test_a_lost_process_ends_all_and_the_restart_goes_on(server, root, pair):
  workdir = root / "lost"
  check_lost(server, root, workdir, 0, signal.SIGKILL, "steps")
  shutil.copytree(workdir, root / "one goes on")
  go(server, root, workdir, 2)
  check_equal(workdir, pair)
  go(server, root, root / "one goes on", 1)
  check_close(root / "one goes on", pair)
  check_same_lines(root / "one goes on", pair)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("victim", [0, 1])
@pytest.mark.parametrize("kind", ["steps", "evaluation", "save"])
def test_lost_at_any_moment(server, root, pair, kind, victim, how):
  workdir = root / f"lost-{kind}-{victim}-{how.name}"
  step = check_lost(server, root, workdir, victim, how, kind)
  out = go(server, root, workdir, 2)
  assert (f"Going on from step {step} " in out) == bool(step)
  check_equal(workdir, pair)
  shutil.rmtree(workdir)
