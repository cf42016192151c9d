"""The C library keeps what a step frees, and the next step takes it again.

glibc returns blocks beyond some megabytes to the system when they are freed,
and XLA:CPU allocates its temporary memory anew in every call: a train step of
U-Net with 16 channels at 8x128x128 then touches 180 MB of fresh pages, 44,000
page faults that take a seventh of its processor time. With one arena that
neither maps blocks nor shrinks there are none after the first steps; the
process holds on to its largest need.
"""

from __future__ import annotations

import ctypes
import os

# Names and numbers of malloc.h, and the value that each is set to.
_OPTIONS = {
  "M_ARENA_MAX": (-8, 1),  # others grow in pieces of 64 MB and map the rest
  "M_MMAP_MAX": (-4, 0),
  "M_TRIM_THRESHOLD": (-1, 2**31 - 1),
}


def reuse() -> bool:
  """Lets the allocator keep freed memory; before JAX starts its threads.

  Leaves a process alone whose environment sets the allocator up (MALLOC_... or
  GLIBC_TUNABLES), and C libraries that have no mallopt.

  Returns:
    Whether it was done.
  """
  if "GLIBC_TUNABLES" in os.environ or any(
    name.startswith("MALLOC_") for name in os.environ
  ):
    return False
  mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
  if mallopt is None:
    return False
  return all([mallopt(*option) for option in _OPTIONS.values()])
