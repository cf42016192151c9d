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
