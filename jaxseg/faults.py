"""What the machine refuses, as a sentence: room on a disk, memory, a disk.

A full disk or too little memory comes up as an OSError here, as an error of
XLA, TensorStore or OpenCV with other words there, often as the cause of
another error. The user can mend it, so it is said in one sentence.
"""

from __future__ import annotations

import errno
import logging
import re
from collections.abc import Iterator

ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# A disk that was taken away, or is about to die.
DISK = {
  errno.EIO,
  errno.EROFS,
  errno.ENODEV,
  errno.ENXIO,
  errno.ESTALE,
  errno.ENOTCONN,
  errno.ETIMEDOUT,
}
_ROOM = re.compile(
  r"No space left on device|[Dd]isk quota exceeded|File too large"
)
_MEMORY = re.compile(
  r"RESOURCE_EXHAUSTED|[Oo]ut of memory|bad_alloc|Insufficient memory"
  r"|can't start new thread|Cannot allocate memory|Failed to allocate"
  r"|failed to allocate|Unable to allocate"
)


def chain(error: BaseException) -> Iterator[BaseException]:
  """The error, what caused it, and so on; each once."""
  seen: set[int] = set()
  waiting = [error]
  while waiting:
    found = waiting.pop(0)
    if id(found) in seen:
      continue
    seen.add(id(found))
    yield found
    if isinstance(found, BaseExceptionGroup):
      waiting.extend(found.exceptions)
    waiting.extend(e for e in (found.__cause__, found.__context__) if e)


def room(error: BaseException) -> str:
  """Why something could not be written for lack of room; '' if otherwise."""
  for found in chain(error):
    if isinstance(found, OSError) and found.errno in ROOM:
      return found.strerror or "no room"
    # TensorStore's errors are ValueErrors; their text has the system's.
    if match := _ROOM.search(str(found)):
      return match[0]
  return ""


def memory(error: BaseException) -> str:
  """What said that the memory is too small; '' if nothing did."""
  for found in chain(error):
    if isinstance(found, OSError) and found.errno == errno.ENOMEM:
      return found.strerror or "no memory"
    if isinstance(found, MemoryError):
      return _short(found) or "MemoryError"
    if _MEMORY.search(str(found)):
      return _short(found)
  return ""


def disk(error: BaseException) -> str:
  """Why a disk or its network does not answer; '' if it does."""
  for found in chain(error):
    if isinstance(found, OSError) and found.errno in DISK:
      return found.strerror or "no answer"
  return ""


def sentence(error: BaseException) -> str:
  """One sentence on what the machine refused; '' if it was something else."""
  if reason := room(error):
    return (
      f"{_file(error)} cannot be written ({reason}): make room on its disk. "
      "What was saved is whole, and the same command goes on from there."
    )
  if reason := memory(error):
    return (
      f"the memory is too small ({reason}): lower config.data.batch_size, "
      "config.data.size, config.data.threads or config.data.cache_mb, let "
      "config.accumulate or config.remat save some, or give the process more. "
      "What was saved is whole."
    )
  if reason := disk(error):
    return (
      f"{_file(error)} cannot be reached ({reason}): look at its disk or "
      "network. What was saved is whole, and the same command goes on from "
      "there."
    )
  return ""


def hush() -> None:
  """Leaves out, with its trace, what Orbax logs of errors that it raises too.

  Its threads log every error, several times over; `checkpoint` gets it raised
  and says it once.
  """
  for name in ("absl", "asyncio"):
    logging.getLogger(name).addFilter(_not_raised)


def _not_raised(record: logging.LogRecord) -> bool:
  of_orbax = record.name == "asyncio" or "orbax" in record.pathname
  return not (of_orbax and record.levelno >= logging.ERROR)


def _file(error: BaseException) -> str:
  for found in chain(error):
    if isinstance(found, OSError) and found.filename:
      return str(found.filename)
  return "a file"


def _short(error: BaseException) -> str:
  return " ".join(str(error).split())[:160]
