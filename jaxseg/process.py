"""The process that a mode runs in: its cache, the others beside it, its end."""

from __future__ import annotations

import os
import sys
import time

import jax
from jax.experimental import multihost_utils

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


def distributed(
  coordinator: str | None, processes: int | None, process: int | None
) -> None:
  """Joins the other processes; to be called before JAX is used.

  Args:
    coordinator: host:port of process 0, 'auto' where the cluster tells (SLURM,
      TPU pods), None for a process on its own.
    processes: how many there are.
    process: which one this is.
  """
  if coordinator is None:
    if processes is not None or process is not None:
      raise UserError(
        "--processes and --process need --coordinator=host:port of process 0."
      )
    return
  if coordinator == "auto":
    jax.distributed.initialize()
    multihost_utils.sync_global_devices("start")
    return
  if processes is None or process is None or not 0 <= process < processes:
    raise UserError(
      f"--coordinator={coordinator} needs --processes=N and --process=0...N-1, "
      f"and has --processes={processes} --process={process}."
    )
  if "cpu" in (jax.config.jax_platforms or "cpu"):
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
  jax.distributed.initialize(coordinator, processes, process)
  # The first collective waits 30 s for the slowest host, later ones have no
  # limit: let it not be the first step, which some compile and some load.
  multihost_utils.sync_global_devices("start")


def leave(status: int) -> int:
  """The status; one of several processes ends at once with it.

  In good order it would wait for the others, and they wait for its rows.
  """
  if jax.distributed.is_initialized() and jax.process_count() > 1:
    sys.stderr.flush()
    time.sleep(2)  # the others may be about to say the same
    os._exit(status)
  return status
