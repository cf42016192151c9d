"""What a process of several says at its end; words as JAX 0.10 wrote them."""

import pathlib
import signal
import subprocess
import sys
import time

import pytest

from jaxseg import guard
from tests import cli

FATAL = (
  "F1128 14:21:13.9 1699 client.h:80] Terminating process because the JAX "
  "distributed service detected fatal errors. absl::Status: "
)
SILENT = (
  FATAL + "UNAVAILABLE: The following tasks are unhealthy (stopped sending "
  "heartbeats):\n{}The tasks have crashed. Check the task logs.\n\n"
  "RPC: /xla.coordination.CoordinationService/PollForError\n"
)
GONE = (
  FATAL + "UNAVAILABLE: Failed to send RPC to coordination service. Either "
  "the leader task was preempted or this task is experiencing network issues.\n"
)
LATE = (
  FATAL + "DEADLINE_EXCEEDED: Deadline Exceeded\n\n"
  "RPC: /xla.coordination.CoordinationService/Heartbeat\n"
)
LINK = (
  "Traceback (most recent call last):\n  File ...\n"
  "ValueError: UNKNOWN: Gloo AllGather failed: Connection closed by peer\n"
)


@pytest.mark.parametrize(
  ("held", "code", "process", "sentence", "status"),
  [
    (SILENT.format("1\n"), -6, 0, "process 1 of 4 was lost", 75),
    (SILENT.format("1\n3\n"), -6, 0, "processes 1 and 3 of 4 were lost", 75),
    (GONE, -6, 2, "process 0 of 4 was lost", 75),
    (LATE, -6, 2, "process 0 of 4 was lost", 75),
    (LINK + SILENT.format("2\n"), -6, 1, "process 2 of 4 was lost", 75),
    (LINK, 75, 1, "another process was lost, or did not come", 75),
    ("", 0, 1, "", 0),
    ("Traceback (most recent call last):\nKeyError: 1\n", 1, 1, "", 1),
    # Its own mistake, whatever else it speaks of.
    ("Traceback (most recent call last):\nValueError: a barrier", 1, 1, "", 1),
    (
      "",
      -9,
      1,
      "process 1 of 4 was ended by SIGKILL, as the system does when memory is "
      "short",
      137,
    ),
    ("malloc(): corrupted", -6, 1, "process 1 of 4 was ended by SIGABRT", 134),
  ],
)
def test_verdict(held, code, process, sentence, status):
  assert guard.verdict(held, code, process, 4) == (sentence, status)


def test_what_to_do(tmp_path):
  assert guard.advice(str(tmp_path), "eval").endswith("the same command.")
  assert "nothing was saved" in guard.advice(str(tmp_path), "train")
  for name in ("8", "12", "16.orbax-checkpoint-tmp"):
    (tmp_path / "checkpoints" / "latest" / name).mkdir(parents=True)
  assert guard.advice(str(tmp_path), "train").endswith("goes on from step 12.")


def test_links_and_other_errors():
  assert guard.broken_link(ValueError("UNKNOWN: Gloo all-reduce failed"))
  assert guard.broken_link(RuntimeError("NCCL operation failed"))
  assert not guard.broken_link(KeyError("image"))


def guarded(folder, body):
  """A guard, and a child that runs the body as process 1 of 2."""
  text = (
    "import os, signal, sys, time\nfrom jaxseg import guard\n"
    f"guard.stand({str(folder)!r}, 'train')\nguard.introduce(1, 2)\n{body}"
  )
  return subprocess.Popen(
    [sys.executable, "-c", text],
    cwd=cli.ROOT,
    text=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
  )


def test_words_are_passed_on_and_an_end_is_one_sentence(tmp_path):
  calm = guarded(tmp_path, "sys.stderr.write('careful\\n'); sys.exit(5)")
  broken = guarded(tmp_path, "1 / 0")
  lost = guarded(
    tmp_path,
    f"sys.stderr.write('hm\\n' + {GONE!r}); sys.stderr.flush(); os.abort()",
  )
  assert calm.communicate(timeout=20)[1] == "careful\n"
  assert calm.returncode == 5
  err = broken.communicate(timeout=20)[1]
  assert err.startswith("Traceback")
  assert err.endswith("ZeroDivisionError: division by zero\n")
  assert broken.returncode == 1
  assert lost.communicate(timeout=20)[1] == (
    "hm\nerror: process 0 of 2 was lost: start all processes again with the "
    "same command; nothing was saved, and the run begins anew.\n"
  )
  assert lost.returncode == guard.LOST
  assert (tmp_path / "lost-1.txt").read_text() == GONE


def lives(pid):
  try:
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
  except FileNotFoundError:
    return False
  return stat.rsplit(")", 1)[1].split()[0] != "Z"


def test_signals_reach_the_child(tmp_path):
  body = (
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
    "print(os.getpid(), flush=True)\ntime.sleep(60)"
  )
  ended = guarded(tmp_path, body)
  ended.stdout.readline()
  ended.send_signal(signal.SIGTERM)
  ended.communicate(timeout=20)
  assert ended.returncode == 143

  killed = guarded(tmp_path, body)
  child = int(killed.stdout.readline())
  killed.kill()
  killed.communicate(timeout=20)
  end = time.time() + 10
  while lives(child) and time.time() < end:
    time.sleep(0.01)
  assert not lives(child)
