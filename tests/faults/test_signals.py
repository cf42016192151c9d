"""SIGTERM and SIGINT at any moment: the run goes on exactly."""

import os
import signal
import time

import numpy as np
import pytest

from tests import cli, watch
from tests.faults import runs


def test_sigterm_saves_and_the_run_goes_on(server, data, whole, tmp_path):
  argv = runs.flags(data, tmp_path)
  job = server.start(argv, **runs.ENV)
  watch.until(lambda: watch.lines(tmp_path) >= 1, [job])
  os.kill(job.pid, signal.SIGTERM)
  assert job.wait() == 143
  assert "SIGTERM: saved step" in job.out
  step = int(job.out.split("saved step ")[1].split()[0])
  assert 4 <= step < runs.STEPS
  assert int(cli.arrays(tmp_path, step)[".step"]) == step
  assert "Traceback" not in job.err
  status, out, err = server.run(argv, **runs.ENV)
  assert status == 0, err
  assert f"Going on from step {step} " in out
  runs.check_same_run(tmp_path, whole)


# Of the loop's own moments: the handler is there. (At the start of the process
# nothing is there to be saved, and the system's own handler ends it.)
MOMENTS = (
  "start",
  "compilation",
  "compilation",
  "step",
  "save",
  "step",
  "save",
)


def wait_for(job, moment, workdir, rng):
  if moment == "start":
    time.sleep(rng.uniform(0, 2))
    return
  watch.until(lambda: "training examples" in job.out, [job])
  if moment == "compilation":
    time.sleep(rng.uniform(0.1, 0.6))
  elif moment == "save":
    runs.stop_when(job, lambda: watch.unfinished(workdir))
    os.kill(job.pid, signal.SIGCONT)
  else:
    watch.until(lambda: "step " in job.out, [job])
    time.sleep(rng.uniform(0, 0.1))


@pytest.mark.slow
@pytest.mark.parametrize(
  ("sent", "ends"),
  [(signal.SIGTERM, (143, -signal.SIGTERM)), (signal.SIGINT, (130,))],
  ids=["SIGTERM", "SIGINT"],
)
def test_at_random_moments(server, data, whole, tmp_path, sent, ends):
  rng = np.random.default_rng(int(sent))
  argv = runs.flags(data, tmp_path, log_every=4)
  seen = []
  for moment in MOMENTS:
    if max(watch.saved(tmp_path), default=0) > runs.STEPS - 6:
      moment = "start"  # so that the run is not complete before
    job = server.start(argv, **runs.ENV)
    wait_for(job, moment, tmp_path, rng)
    os.kill(job.pid, sent)
    status = job.wait()
    seen.append((moment, status, max(watch.saved(tmp_path), default=0)))
    assert status in ends, (seen, job.err)
    assert "Traceback" not in job.err, job.err
    if "saved step" in job.out:
      step = int(job.out.split("saved step ")[1].split()[0])
      assert max(watch.saved(tmp_path)) == step
    elif sent == signal.SIGTERM:
      assert status == -signal.SIGTERM  # before the loop
  print("\nmoment, exit status, newest checkpoint", *seen, sep="\n")
  status, _, err = server.run(argv, **runs.ENV)
  assert status == 0, err
  runs.check_same_run(tmp_path, whole)
