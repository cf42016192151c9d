"""The C library keeps what a step frees, and the next step takes it again.

glibc returns blocks beyond some megabytes to the system when they are freed,
and XLA:CPU allocates its temporary memory anew in every call: a train step of
U-Net with 16 channels at 8x128x128 then touches 180 MB of fresh pages, 44,000
page faults that take a seventh of its processor time. With one arena that
neither maps blocks nor shrinks there are none after the first steps; the
process holds on to its largest need.

What a compilation leaves in that arena are holes of every size between blocks
that stay: 25,000 after the forward pass of a U-Net on MobileNetV2, 115,000
after its train step. Eigen packs matrices into blocks of 64 to 128 KB, 3,700 a
step, and each looked for the hole that fits best, under a lock: 50 ms of
processor time in a step of 196 ms. With the small holes taken out of its way
the step is what it is in a process that found all its programs in the
compilation cache, 156 ms (two cores of an EPYC).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import threading

# Names and numbers of malloc.h, and the value that each is set to.
_OPTIONS = {
  "M_ARENA_MAX": (-8, 1),  # others grow in pieces of 64 MB and map the rest
  "M_MMAP_MAX": (-4, 0),
  "M_TRIM_THRESHOLD": (-1, -1),  # never
}
_SMALL, _LARGE, _LARGEST = 2048, 2**18, 2**20  # bytes of a hole
_MOST = 2**21  # blocks that holes are filled with
_HEADER = 8  # bytes between a block and the next
_DONTNEED = 4  # of mman.h: the system may have the page back
# Whether `reuse` was done: of the process, as what it does is.
_REUSED = threading.Event()


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
  if all([mallopt(*option) for option in _OPTIONS.values()]):
    _REUSED.set()
  return _REUSED.is_set()


class _Info(ctypes.Structure):
  """struct mallinfo2 of malloc.h; `keepcost` is what lies behind all blocks."""

  _fields_ = [
    (name, ctypes.c_size_t)
    for name in (
      *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
      *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
    )
  ]


def settle() -> int:
  """Takes the small holes of the heap out of use; after a compilation.

  All holes are filled. Those of 256 KB and more are then freed again, whole;
  the others stay taken for good, and the system gets their pages back. A
  quarter of a second after a compilation of half a minute. Nothing is done
  before `reuse`, for several arenas want no such thing, and where the C library
  is not glibc 2.33 or later.

  Returns:
    How many bytes were taken.
  """
  libc = ctypes.CDLL(None)
  if not _REUSED.is_set() or not hasattr(libc, "mallinfo2"):
    return 0
  libc.mallinfo2.restype = _Info
  for name in ("malloc", "sbrk"):
    getattr(libc, name).restype = ctypes.c_void_p
  libc.malloc_usable_size.restype = ctypes.c_size_t
  for name in ("free", "malloc_usable_size"):
    getattr(libc, name).argtypes = [ctypes.c_void_p]
  libc.malloc.argtypes = [ctypes.c_size_t]
  libc.sbrk.argtypes = [ctypes.c_ssize_t]
  libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
  taken = 0
  for hole in _holes(sorted(_fill(libc))):
    size = hole[-1][1] - hole[0][0]
    if size >= _LARGE:
      for begin, _ in hole:
        libc.free(begin)
      continue
    taken += size
    for begin, end in hole:
      _give_back(libc, begin, end)
  return taken


def _fill(libc: ctypes.CDLL) -> list[tuple[int, int]]:
  """Allocates until every hole is full: [(begin, end) of a block]."""
  # A list would grow into the very holes; these pages are not the heap's.
  try:
    pages = mmap.mmap(-1, _MOST * ctypes.sizeof(ctypes.c_size_t))
  except OSError:  # there is no memory to be had: no time for this
    return []
  begins = (ctypes.c_size_t * _MOST).from_buffer(pages)
  # Blocks from here on are no holes, but new memory behind all others.
  end = libc.sbrk(0) - libc.mallinfo2().keepcost
  count, size = 0, _LARGEST
  while size >= _SMALL and count < _MOST:
    if (begin := libc.malloc(size)) is not None and begin < end:
      begins[count] = begin
      count += 1
    else:
      libc.free(begin)
      size = size * 7 // 8  # what is left of a hole is an eighth of it at most
  return [(x, x + libc.malloc_usable_size(x)) for x in begins[:count]]


def _holes(blocks: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
  """Blocks, sorted, in groups that lie side by side."""
  holes: list[list[tuple[int, int]]] = []
  for begin, end in blocks:
    if holes and begin == holes[-1][-1][1] + _HEADER:
      holes[-1].append((begin, end))
    else:
      holes.append([(begin, end)])
  return holes


def _give_back(libc: ctypes.CDLL, begin: int, end: int) -> None:
  """The whole pages of a block; not those with what malloc wrote around it."""
  page = os.sysconf("SC_PAGESIZE")
  first, last = -(-begin // page) * page, end // page * page
  if last > first:
    libc.madvise(first, last - first, _DONTNEED)
