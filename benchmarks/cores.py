"""How far the cores of this machine are from one another, right now.

Cores that share a cache hand a word over in 50 ns, those of two cache
complexes of one processor in 200. A virtual machine does not say which it has,
and gets others while it runs: the same program is then faster or slower for
seconds or minutes, by as much as there is to be compared.
"""

from __future__ import annotations

import ctypes
import os
import pathlib

from jaxseg.ops import cpp

SOURCE = pathlib.Path(__file__).with_name("cores.cc")
NEAR, FAR = "near", "far"
FAR_NS = 200  # there and back: more are not of one cache
TIMES = 20_000


def distance_ns(repeats: int = 5) -> float | None:
  """The time of a word to the farthest core and back.

  Returns:
    Nanoseconds from the first core that this process may use to another, the
    least of so many; None where there is one core, or no C++ compiler.
  """
  first, *others = sorted(os.sched_getaffinity(0))
  try:
    measure = cpp.load(SOURCE).word_ns
  except cpp.Missing:
    return None
  measure.restype = ctypes.c_double
  times = [
    min(measure(first, core, TIMES) for _ in range(repeats)) for core in others
  ]
  return max(times, default=None)


def place(before_ns: float | None, after_ns: float | None) -> str:
  """Where the cores were in between: NEAR, FAR, or '' if that is not known."""
  if before_ns is None or after_ns is None:
    return ""
  where = {NEAR if ns < FAR_NS else FAR for ns in (before_ns, after_ns)}
  return where.pop() if len(where) == 1 else ""
