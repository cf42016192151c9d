"""Page faults of a process that computes the same again and again."""

import ctypes
import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from jaxseg import host_memory
done = host_memory.reuse() if sys.argv[1] == "reuse" else False
import jax, jax.numpy as jnp

f = jax.jit(lambda x: x + 1)  # 32 MB
x = jnp.zeros(2**23)
def run():
  f(x).block_until_ready()
counts = []
for _ in range(80):  # of which some 4 to 14 let the heap grow
  before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
  run()
  counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(done, sorted(counts[40:])[20])
"""

pytestmark = pytest.mark.skipif(
  os.name != "posix" or not hasattr(ctypes.CDLL(None), "mallopt"),
  reason="the C library has no mallopt",
)


def faults(mode, **environment):
  """(what reuse returned, median of page faults of the later calls)."""
  clean = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
  clean.pop("GLIBC_TUNABLES", None)
  out = subprocess.run(
    [sys.executable, "-c", PROGRAM, mode],
    env={**clean, **environment},
    capture_output=True,
    text=True,
    check=True,
  ).stdout.split()
  return out[0] == "True", int(out[1])


def test_a_second_call_touches_no_new_pages():
  done, count = faults("reuse")
  assert done
  assert count < 500
  done, before = faults("leave")
  assert not done
  assert before > 2000  # else there was nothing to mend


def test_who_has_set_the_allocator_up_is_left_alone():
  assert not faults("reuse", MALLOC_ARENA_MAX="4")[0]


HOLES = """
import ctypes, pathlib, sys
from jaxseg import host_memory
if sys.argv[1] == "reuse":
  host_memory.reuse()
c = ctypes.CDLL(None)
c.malloc.restype = ctypes.c_void_p
c.malloc.argtypes = [ctypes.c_size_t]
c.free.argtypes = [ctypes.c_void_p]

def resident():
  pages = pathlib.Path("/proc/self/statm").read_text().split()[1]
  return int(pages) * 4096

# 8 MB of holes that differ, between blocks that stay; and a large one.
blocks = []
for i in range(400):
  hole, kept = c.malloc(20000 + 16 * i), c.malloc(9000)
  ctypes.memset(hole, 1, 20000)
  ctypes.memset(kept, i % 251, 9000)
  blocks.append((hole, kept))
large, end = c.malloc(2**22), c.malloc(2**22)
for hole, _ in blocks:
  c.free(hole)
c.free(large)
before = resident()
taken = host_memory.settle()
less = before - resident()
again = c.malloc(2**22 - 2**16)  # the interpreter allocates too
c.free(again)
low, high = blocks[0][0], blocks[-1][1]
found = [c.malloc(20000) for _ in range(20)]
print(taken, less, sum(low <= x < high for x in found))
print(all(
  ctypes.string_at(kept, 9000) == bytes([i % 251]) * 9000
  for i, (_, kept) in enumerate(blocks)
))
for x in found:
  c.free(x)
print(low <= again < end, host_memory.settle() < 2**20)
"""


def holes(mode):
  """What settle took, what the system got back, and what came after."""
  clean = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
  clean.pop("GLIBC_TUNABLES", None)
  out = subprocess.run(
    [sys.executable, "-c", HOLES, mode],
    env=clean,
    capture_output=True,
    text=True,
    check=True,
  ).stdout.split()
  return *map(int, out[:3]), *(word == "True" for word in out[3:])


@pytest.mark.skipif(
  not hasattr(ctypes.CDLL(None), "mallinfo2"),
  reason="the C library has no mallinfo2",
)
def test_small_holes_are_taken_and_large_ones_left():
  taken, less, from_holes, unharmed, large_is_there, second = holes("reuse")
  assert 400 * 20000 < taken < 20_000_000  # and the holes of the interpreter
  assert less > 4_000_000  # whole pages of the holes, not those of borders
  assert from_holes == 0
  assert unharmed
  assert large_is_there
  assert second
  taken, _, from_holes, unharmed, *_ = holes("leave")
  assert taken == 0
  assert from_holes > 0  # else there was nothing to mend
  assert unharmed
