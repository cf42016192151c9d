"""The run that things happen to, and what tells that they left no trace."""

import os
import signal
import time

from tests import cli, watch

STEPS = 24
EVERY = 3  # steps from save to save
EVAL = 6  # steps from evaluation to evaluation
# Two devices, so that the order of sums over devices is part of what is equal.
ENV = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}


def flags(data, workdir, **changes):
  values = {"steps": STEPS, "checkpoint__every": EVERY, "eval__every": EVAL}
  return [
    *cli.folder_flags(data, **{**values, **changes}),
    f"--workdir={workdir}",
  ]


def stop_when(job, found, timeout=180):
  """Freezes the process at a moment at which found() is true."""
  end = time.time() + timeout
  while True:
    watch.until(found, [job], end - time.time())
    os.kill(job.pid, signal.SIGSTOP)
    time.sleep(0.01)  # its threads stop one by one
    if value := found():
      return value
    os.kill(job.pid, signal.SIGCONT)


def check_refused(job_or_result, *parts, noise=False):
  """Exit status 2 and one sentence on stderr, with all the parts.

  With `noise` it is the only line of its kind: libraries said something too.
  """
  if isinstance(job_or_result, tuple):
    status, _, err = job_or_result
  else:
    status, err = job_or_result.wait(), job_or_result.err
  assert status == 2, (status, err)
  if noise:
    lines = err.splitlines(keepends=True)
    err = "".join(line for line in lines if line.startswith("error: "))
  assert "Traceback" not in err, err
  assert err.startswith("error: "), err
  assert err.count("\n") == 1, err
  for part in parts:
    assert str(part) in err, (part, err)


def check_same_run(workdir, whole, steps=STEPS):
  """Parameters, optimizer and all to the byte; the same lines, once each."""
  mine, its = cli.arrays(workdir, steps), cli.arrays(whole, steps)
  assert cli.same_bytes(mine, its)
  was, now = cli.metrics(whole), cli.metrics(workdir)
  keys = [(line["step"], line["split"]) for line in now]
  assert len(set(keys)) == len(keys)
  assert cli.without_speed(now) == cli.without_speed(was)
