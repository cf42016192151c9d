"""The process that a mode runs in: its cache, the others beside it, its end."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Iterator

import jax
from jax.experimental import multihost_utils

from jaxseg import guard
from jaxseg.ops import direct
from jaxseg.types import UserError

CACHE_VARIABLE = "JAX_COMPILATION_CACHE_DIR"


def compilation_cache() -> None:
  """Compiled programs are kept on disk: the second start is quick.

  In $JAX_COMPILATION_CACHE_DIR, or ~/.cache/jaxseg. Set the variable to the
  empty string to go without.
  """
  default = os.path.expanduser("~/.cache/jaxseg/compiled")
  folder = os.environ.get(CACHE_VARIABLE, default)
  if not folder:
    return
  jax.config.update("jax_compilation_cache_dir", folder)
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
  jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


@contextlib.contextmanager
def convolutions(choice: str) -> Iterator[None]:
  """Programs compiled inside have these convolutions on one CPU device.

  Args:
    choice: 'auto', 'direct' or 'xla'; see `ops.direct`.

  Raises:
    UserError: there is no such choice, or not on this machine.
  """
  if choice not in direct.CHOICES:
    raise UserError(
      f"config.convolutions = {choice!r}: expected one of "
      f"{', '.join(direct.CHOICES)}."
    )
  if choice == "direct" and direct.missing():
    raise UserError(
      f"config.convolutions = 'direct' cannot be had: {direct.missing()}. Use "
      "'auto', which goes without, or 'xla'."
    )
  with direct.CONVOLUTIONS(choice):
    yield


def distributed(
  coordinator: str | None,
  processes: int | None,
  process: int | None,
  heartbeat: int = 30,
) -> None:
  """Joins the other processes; to be called before JAX is used.

  With a coordinator, after `guard.stand`.

  Args:
    coordinator: host:port of process 0, 'auto' where the cluster tells (SLURM,
      TPU pods), None for a process on its own.
    processes: how many there are.
    process: which one this is.
    heartbeat: seconds of silence after which a process counts as lost, and all
      others end.
  """
  if coordinator is None:
    if processes is not None or process is not None:
      raise UserError(
        "--processes and --process need --coordinator=host:port of process 0."
      )
    return
  if coordinator == "auto":
    jax.distributed.initialize(heartbeat_timeout_seconds=heartbeat)
    guard.introduce(jax.process_index(), jax.process_count())
    multihost_utils.sync_global_devices("start")
    return
  if processes is None or process is None or not 0 <= process < processes:
    raise UserError(
      f"--coordinator={coordinator} needs --processes=N and --process=0...N-1, "
      f"and has --processes={processes} --process={process}."
    )
  if "cpu" in (jax.config.jax_platforms or "cpu"):
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
  guard.introduce(process, processes)
  jax.distributed.initialize(
    coordinator, processes, process, heartbeat_timeout_seconds=heartbeat
  )
  # The first collective waits 30 s for the slowest host, later ones have no
  # limit; see also `mesh.meet`.
  multihost_utils.sync_global_devices("start")


def failed(error: Exception, heartbeat: int) -> None:
  """One of several processes ends at once; returns in a process on its own.

  In good order it would wait for the others, and they wait for it. If a link to
  another broke, the coordination service is given time to tell which: it knows
  when heartbeats have been missing, and ends this process; see `guard`.
  """
  if not jax.distributed.is_initialized() or jax.process_count() == 1:
    return
  traceback.print_exception(error)
  sys.stderr.flush()
  if not guard.broken_link(error):
    os._exit(1)
  time.sleep(heartbeat * 1.5 + 5)
  os._exit(guard.LOST)


def leave(status: int) -> int:
  """The status; one of several processes ends at once with it.

  In good order it would wait for the others, and they wait for its rows.
  """
  if jax.distributed.is_initialized() and jax.process_count() > 1:
    sys.stderr.flush()
    time.sleep(2)  # the others may be about to say the same
    os._exit(status)
  return status
