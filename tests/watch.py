"""What a run has come to, seen from outside."""

import contextlib
import time


def until(found, jobs=(), timeout=90):
  """Waits, closely, for found() to be true; the jobs have to live on."""
  end = time.time() + timeout
  while not (value := found()):
    assert time.time() < end, "never happened"
    for job in jobs:
      status = job.server.ask(poll=job.pid)
      assert status is None, f"ended with {status}: {job.err}"
    time.sleep(0.001)
  return value


def lines(workdir):
  """How many whole lines metrics.jsonl has."""
  with contextlib.suppress(FileNotFoundError):
    return (workdir / "metrics.jsonl").read_bytes().count(b"\n")
  return 0


def unfinished(workdir):
  return list(workdir.glob("checkpoints/*/*.orbax-checkpoint-tmp*"))


def saved(workdir, kind="latest"):
  """Steps of the checkpoints that are complete, newest first."""
  found = workdir.glob(f"checkpoints/{kind}/*")
  return sorted((int(p.name) for p in found if p.name.isdigit()), reverse=True)
