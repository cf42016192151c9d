"""One of several processes, and a guard before it that tells how it ended.

When a process of a run is lost, JAX's coordination service notices that its
heartbeats are missing and ends all others from a thread of C++, with a page of
addresses on stderr. No handler in the same process can say anything better. So
each process of several is two: the guard, which waits, and its child, which
does the work with its stderr in a pipe. The guard passes on what the child
says and the signals that it is sent itself. From the first line of a traceback
or of a fatal error on it holds the text back: if the child then ends because
another process was lost, one sentence takes its place, and the text goes to
`WORKDIR/lost-PROCESS.txt`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pathlib
import re
import signal
import sys
import threading
import time

LOST = 75  # exit status: another process was lost; EX_TEMPFAIL of sysexits.h
HELD = 120  # seconds after which a process that talks on has survived
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)

_NAME = b"\0process "  # begins a line for the guard alone

# The first line of an end, as C++ and Python write it.
_FATAL = re.compile(
  rb"^(F\d{4} |Traceback \(most recent|terminate called|"
  rb"\*\*\* Check failure|[EW]\d{4} .*(coordination_service|preemption_sync))"
)
# Of the coordination service, which process 0 runs; and its list of the lost.
_SERVICE = re.compile(
  r"Failed to send RPC to coordination service|"
  r"DEADLINE_EXCEEDED.*\s+RPC: \S+CoordinationService/Heartbeat"
)
_SILENT = re.compile(r"stopped sending heartbeats\):(.*?)The tasks", re.DOTALL)
_TASK = re.compile(r"^(?:/job:.*/task:)?(\d+)$", re.MULTILINE)
_LINK = re.compile(
  r"JAX distributed service detected fatal errors|coordination[ _]service|"
  r"Gloo|NCCL|Connection (closed|reset) by peer|barrier",
  re.IGNORECASE,
)


def broken_link(error: BaseException) -> bool:
  """Whether an exception tells of another process rather than of this one."""
  return bool(_LINK.search(f"{type(error).__module__} {error}"))


def stand(workdir: str | None, mode: str) -> None:
  """Forks: returns in the child; the guard waits for it and ends as it did.

  To be called before JAX has threads.

  Args:
    workdir: of the run; its newest checkpoint is named.
    mode: of the command line.
  """
  sys.stdout.flush()
  sys.stderr.flush()
  guard = os.getpid()
  reader, writer = os.pipe()
  # One that comes before its handler waits.
  signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
  child = os.fork()
  if not child:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    os.close(reader)
    os.dup2(writer, 2)
    os.close(writer)
    _die_with(guard)
    return
  os.close(writer)
  signal.signal(signal.SIGTERM, lambda number, _: _send(child, number))
  signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
  # The terminal sends it to the child as well.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  speech = _Speech(reader)
  _, status = os.waitpid(child, 0)
  code = os.waitstatus_to_exitcode(status)
  held = speech.end()
  told, code = verdict(held, code, *speech.who)
  if told:
    _keep(held, speech.who[0], workdir)
    print(f"error: {told}{advice(workdir, mode)}", file=sys.stderr, flush=True)
  else:
    os.write(2, held.encode())
  os._exit(code)


def introduce(process: int, processes: int) -> None:
  """The child tells its guard which of the run's processes it is."""
  os.write(2, b"%b%d %d\n" % (_NAME, process, processes))


def verdict(
  held: str, code: int, process: int, processes: int
) -> tuple[str, int]:
  """What a child's end means.

  Args:
    held: the end of what it wrote to stderr.
    code: its exit status, minus the signal that ended it.
    process: which one it was.
    processes: how many there are.

  Returns:
    (half a sentence, '' where its own words will do; the exit status).
  """
  if code not in (LOST, -signal.SIGABRT) or not _LINK.search(held):
    if code >= 0:
      return "", code
    name = signal.Signals(-code).name
    why = ", as the system does when memory is short" if code == -9 else ""
    which = f"process {process} of {processes}" if processes else "this process"
    return f"{which} was ended by {name}{why}", 128 - code
  silent = "".join(_SILENT.findall(held))
  others = {int(n) for n in _TASK.findall(silent)} - {process}
  if others:
    names = " and ".join(map(str, sorted(others)))
    if len(others) > 1:
      return f"processes {names} of {processes} were lost", LOST
    return f"process {names} of {processes} was lost", LOST
  if process and _SERVICE.search(held):
    return f"process 0 of {processes} was lost", LOST
  return "another process was lost, or did not come", LOST


def advice(workdir: str | None, mode: str) -> str:
  """What to do, from the state of the disk."""
  if mode != "train" or not workdir:
    return ": start all processes again with the same command."
  folder = pathlib.Path(workdir, "checkpoints", "latest")
  steps = [int(p.name) for p in folder.glob("*") if p.name.isdigit()]
  if not steps:
    return (
      ": start all processes again with the same command; nothing was saved, "
      "and the run begins anew."
    )
  return (
    ": start all processes again with the same command; the run goes on from "
    f"step {max(steps)}."
  )


class _Speech:
  """Passes on a pipe, up to the first line of an end."""

  def __init__(self, reader: int):
    self.who = (0, 0)  # process, of how many; until the child knows
    self._file = os.fdopen(reader, "rb")
    self._held: list[bytes] = []
    self._since = 0.0
    self._thread = threading.Thread(target=self._run, daemon=True)
    self._thread.start()

  def _run(self) -> None:
    for line in self._file:
      if line.startswith(_NAME):
        process, processes = line[len(_NAME) :].split()
        self.who = (int(process), int(processes))
        continue
      if self._held and time.monotonic() - self._since > HELD:
        os.write(2, b"".join(self._held))
        self._held = []
      if not self._held and _FATAL.match(line):
        self._since = time.monotonic()
        self._held.append(line)
      elif self._held:
        self._held.append(line)
      else:
        os.write(2, line)

  def end(self) -> str:
    """What was held back, when the child has ended."""
    self._thread.join(2)  # a grandchild may keep the pipe open
    return b"".join(self._held).decode(errors="replace")


def _keep(held: str, process: int, workdir: str | None) -> None:
  """For those who look for the reason of a loss."""
  if held and workdir and os.path.isdir(workdir):
    pathlib.Path(workdir, f"lost-{process}.txt").write_text(held)


def _send(child: int, number: int) -> None:
  with contextlib.suppress(ProcessLookupError):
    os.kill(child, number)


def _die_with(guard: int) -> None:
  """This process is killed when the guard ends; on Linux."""
  prctl = getattr(ctypes.CDLL(None), "prctl", None)
  if prctl is not None:
    prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
  if os.getppid() != guard:
    os._exit(LOST)
