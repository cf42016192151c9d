"""jax.jit for functions that a test runs once or twice.

Compiling them takes minutes, running them milliseconds: without the fusion
emitters and LLVM's passes XLA compiles seven times faster, and computes the
same. Not for training loops, whose fused loops then take ten times as long.
"""

import jax

_jit = jax.jit  # tests may put `jit` in its place

OPTIONS = {
  "xla_backend_optimization_level": 0,
  "xla_cpu_use_fusion_emitters": False,
  "xla_cpu_parallel_codegen_split_count": 1,  # of many: 30% more work
}


def jit(function, *, compiler_options=None, **rest):
  """As jax.jit."""
  options = {**OPTIONS, **(compiler_options or {})}
  return _jit(function, compiler_options=options, **rest)
