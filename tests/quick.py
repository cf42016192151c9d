"""jax.jit for functions that a test runs once or twice.

Compiling them takes minutes, running them milliseconds: without the fusion
emitters and LLVM's passes XLA compiles seven times faster, and computes the
same. Not for training loops, whose fused loops then take ten times as long.
"""

import functools

import jax

OPTIONS = {
  "xla_backend_optimization_level": 0,
  "xla_cpu_use_fusion_emitters": False,
}
jit = functools.partial(jax.jit, compiler_options=OPTIONS)
