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

from jaxseg import host_memory

OPTIONS: dict[str, dict[str, Any]] = {
  "cpu": {"xla_cpu_experimental_ynn_fusion_type": ""}
}
# For programs that compute something again to save memory (`remat`): XLA:CPU
# drops the barriers that say when, and then does it all at once.
IN_ORDER: dict[str, dict[str, Any]] = {
  "cpu": {"xla_disable_hlo_passes": "cse_barrier_expander"}
}


def jit(
  function: Callable,
  *,
  compiler_options: dict[str, Any] | None = None,
  in_order: bool = False,
  **rest: Any,
) -> Callable:
  """As jax.jit, for an outermost function; starts the backend.

  Args:
    function: what is compiled.
    compiler_options: beside those of the platform.
    in_order: with those of IN_ORDER.
    **rest: see jax.jit.
  """
  options = {
    **OPTIONS.get(jax.default_backend(), {}),
    **(IN_ORDER.get(jax.default_backend(), {}) if in_order else {}),
    **(compiler_options or {}),
  }
  return jax.jit(function, compiler_options=options or None, **rest)


def settle() -> None:
  """To be called when a program that will run often has run once.

  On CPUs its speed depends on the heap that its compilation left behind.
  """
  if jax.default_backend() == "cpu":
    host_memory.settle()


class Counted:
  """A function that knows for how many shapes it was compiled; to be jitted.

  A program is compiled for the shapes of its arguments, and again for others:
  seconds or minutes in the middle of a run, which look as if it hung. The
  second time is said, once.

  Attributes:
    shapes: per compilation {where in the arguments: 'float32 (b, h, w, 3)'}.
  """

  def __init__(
    self, function: Callable, name: str, note: Callable[[str], None]
  ):
    self._function = function
    self._name = name
    self._note = note
    self.__name__ = name.replace(" ", "_")  # of the program
    self.shapes: list[dict[str, str]] = []

  @property
  def count(self) -> int:
    """How often it was compiled."""
    return len(self.shapes)

  def __call__(self, *args: Any) -> Any:
    """Runs once per compilation: JAX traces it then, and not again."""
    self.shapes.append(_shapes(args))
    if self.count == 2:
      self._note(self._sentence())
    return self._function(*args)

  def _sentence(self) -> str:
    before, now = self.shapes[:2]
    changed = [
      f"{place} {now[place]} after {before.get(place, 'nothing')}"
      for place in now
      if now[place] != before.get(place)
    ]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return (
      f"the {self._name} is compiled again, for "
      f"{', '.join(changed[:3]) or 'arguments of another structure'}{more}: "
      "every new shape costs a compilation; give all batches one shape "
      "(config.data.size, augment, eval, and batch sizes)."
    )


def _shapes(args: Any) -> dict[str, str]:
  leaves = jax.tree_util.tree_leaves_with_path(args)
  return {
    jax.tree_util.keystr(path[1:], simple=True, separator="/"): (
      f"{x.dtype} {x.shape}"
    )
    for path, x in leaves
  }
