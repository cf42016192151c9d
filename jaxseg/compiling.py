"""jax.jit, with what the compiler of the platform has to be told.

XLA:CPU hands convolutions and matrix products to YNNPACK. Eigen, which it has
used before, computes the forward pass of a network 1.3 to 1.9 times as fast
and the weight gradient of a convolution 2 to 7 times (python -m
benchmarks.step). Compiler options belong to a whole program, so that whoever
jits a network or a train step by hand wants this `jit`; with jax.jit the
results are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

OPTIONS: dict[str, dict[str, Any]] = {
  "cpu": {"xla_cpu_experimental_ynn_fusion_type": ""}
}


def jit(
  function: Callable,
  *,
  compiler_options: dict[str, Any] | None = None,
  **rest: Any,
) -> Callable:
  """As jax.jit, for an outermost function; starts the backend.

  Args:
    function: what is compiled.
    compiler_options: beside those of the platform.
    **rest: see jax.jit.
  """
  options = {
    **OPTIONS.get(jax.default_backend(), {}),
    **(compiler_options or {}),
  }
  return jax.jit(function, compiler_options=options or None, **rest)
