"""SIGTERM: a flag between steps, agreed on by all hosts."""

from __future__ import annotations

import contextlib
import dataclasses
import signal
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

STATUS = 128 + signal.SIGTERM  # the exit status that shells give a SIGTERM
AGREE_EVERY = 10  # steps between the hosts' agreements to stop


class Interrupted(Exception):
  """SIGTERM came: the state is saved, the process leaves."""


@dataclasses.dataclass
class Flag:
  """Set by the signal handler, read between steps."""

  raised: bool = False


@contextlib.contextmanager
def sigterm_flag() -> Iterator[Flag]:
  """While it lasts, SIGTERM raises a flag and does not kill."""
  flag = Flag()

  def handler(signum, frame):
    del signum, frame
    flag.raised = True

  try:
    before = signal.signal(signal.SIGTERM, handler)
  except ValueError:  # not the main thread, as in a notebook: no handler
    yield flag
    return
  try:
    yield flag
  finally:
    signal.signal(signal.SIGTERM, before)


def agreed(flag: Flag, step: int) -> bool:
  """Whether to stop now; all hosts answer alike."""
  if jax.process_count() == 1:
    return flag.raised
  if step % AGREE_EVERY:
    return False
  flags = multihost_utils.process_allgather(np.asarray(flag.raised))
  return bool(np.any(flags))
