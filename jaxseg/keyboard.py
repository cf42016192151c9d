"""Ctrl-C ends the process, wherever it comes.

Python turns it into a KeyboardInterrupt of whatever runs at that moment. In a
finalizer or a callback of the garbage collector (JAX has one) there is nobody
to raise it to, and Python lets it go: the program would run on as if no key had
been pressed. Here it is raised again until it arrives.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator

STATUS = 128 + signal.SIGINT  # the exit status that shells give a Ctrl-C
AGAIN_S = 0.5


@contextlib.contextmanager
def heard() -> Iterator[None]:
  """While it lasts, a Ctrl-C leads to a KeyboardInterrupt that is not lost.

  To be caught outside. Nothing is changed where Ctrl-C means something else: in
  a notebook's thread, in a shell's background.
  """
  if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
    yield
    return
  before = sys.unraisablehook

  def handler(signum, frame):
    del signum, frame
    signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
    raise KeyboardInterrupt

  def hook(unraisable):
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
      before(unraisable)  # the one that was lost comes again

  try:
    signal.signal(signal.SIGINT, handler)
  except ValueError:  # not the main thread
    yield
    return
  alarm = signal.signal(signal.SIGALRM, handler)
  sys.unraisablehook = hook
  try:
    yield
  finally:
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, alarm)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.unraisablehook = before
