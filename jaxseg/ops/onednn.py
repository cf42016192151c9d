"""oneDNN's convolution inside a program for CPUs: asked for, never by default.

XLA:CPU's own convolution (Eigen's) copies each pixel once per tap before it
multiplies; oneDNN's does not: 16 to 16 channels, 3x3, 8x128x128 take 4.2 ms in
place of 10.1 on one core. How much of that a network keeps depends on the
machine (on two noisy cores U-Net 16 and U-Net on MobileNetV2 had .9 of the time
forward, but steps were no faster): measure yours with python -m
benchmarks.step. JAX's wheels for x86 hold oneDNN and
the operation that calls it, but the compiler never chooses it, so that it is
called by name here. Name and description of that operation are not a public
interface, and a description that a later version reads otherwise would end
the process: hence `VERIFIED`, the versions that the tests have seen.

Two things speak against it as the default. XLA cannot write such a program to
the compilation cache, so that every start compiles anew. And where oneDNN has
no kernel of its own for a shape, it runs a loop within a loop on XLA's threads,
which can wait for themselves for ever. Its own kernels, of processors with
AVX-512, take whole vectors of 16 channels, and only such convolutions come here
(`fits`).

Ask for it with `with onednn.CONVOLUTIONS("onednn"):` around whatever traces and
compiles, or config.convolutions = 'onednn'. It is then in the program where all
of this holds, and elsewhere XLA's form is:

- float32 on one x86 CPU device with AVX-512, not under `vmap`;
- the program is not exported;
- no persistent compilation cache is set.
"""

from __future__ import annotations

import functools
import json
import pathlib
import platform
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

Array = jax.Array
Pair = tuple[int, int]
Pads = tuple[Pair, Pair]
CHOICES = ("xla", "onednn")
# Of jit's cache too: what is traced inside is not used outside.
CONVOLUTIONS = jax.make_user_context("xla")
TARGET = "__onednn$convolution"
# Of jaxlib; a version goes in here when tests/ops/test_onednn.py has passed.
VERIFIED = ("0.10.2",)
VECTOR = 16  # float32 numbers in a register of AVX-512
REACH = 7  # no kernel is larger, no padding as large, and no map smaller


@functools.cache
def _vectors() -> bool:
  """Whether this is a processor with AVX-512 under Linux."""
  facts = pathlib.Path("/proc/cpuinfo")
  if platform.machine() != "x86_64" or not facts.exists():
    return False
  needed = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
  return needed <= set(facts.read_text().split())


def available() -> bool:
  """Whether this installation has the operation, and the kernels."""
  return jax.lib.__version__ in VERIFIED and _vectors()


def missing() -> str:
  """What `available` lacks, for a message."""
  return (
    f"it needs jaxlib {' or '.join(VERIFIED)} (here: {jax.lib.__version__}) on"
    " Linux and an x86 processor with AVX-512"
  )


def cached() -> bool:
  """Whether compiled programs are written to a persistent cache."""
  return bool(
    jax.config.jax_enable_compilation_cache
    and jax.config.jax_compilation_cache_dir
  )


def fits(
  x: Array, kernel: Array, stride: Pair, pads: Pads, groups: int
) -> bool:
  """Whether it is asked for, and oneDNN has a kernel of its own.

  Dense convolutions of 16 n to 16 m channels, and depthwise ones of 16 n.
  """
  kh, kw, channels, outputs = kernel.shape
  depthwise = channels == 1 and groups == x.shape[-1] == outputs
  return (
    CONVOLUTIONS.value == "onednn"
    and x.dtype == jnp.float32
    and (groups == 1 or depthwise)
    and x.shape[-1] % VECTOR == outputs % VECTOR == 0
    and 2 <= max(kh, kw) <= REACH
    and max(stride) <= 2
    and min(map(min, pads)) >= 0
    and max(map(max, pads)) < REACH <= min(x.shape[1:3])
  )


def convolve(
  x: Array,
  kernel: Array,
  stride: Pair,
  pads: Pads,
  dilation: Pair,
  groups: int,
  otherwise: Callable[..., Array],
) -> Array:
  """The convolution of `fastconv.convolve`, whose arguments these are.

  Args:
    x, kernel, stride, pads, dilation, groups: see there.
    otherwise: the same convolution, with these arguments, by other means; what
      the program has where oneDNN cannot be had. Hashable.

  Has no derivative: whoever calls it has one.
  """
  fields = {
    "stride": tuple(stride),
    "pads": tuple(map(tuple, pads)),
    "dilation": tuple(dilation),
    "groups": groups,
    "otherwise": otherwise,
  }
  if not fits(x, kernel, stride, pads, groups):
    return _otherwise(x, kernel, **fields)
  return _convolution.bind(x, kernel, **fields)


_convolution = Primitive("onednn_convolution")


def _otherwise(x, kernel, *, stride, pads, dilation, groups, otherwise):
  return otherwise(x, kernel, stride, pads, dilation, groups)


def _call(x, kernel, *, stride, pads, dilation, groups, otherwise):
  del otherwise
  shape = _shape(x.shape, kernel.shape, stride, pads, dilation)
  maps = {"data": {"batch_dim": 0, "feature_dim": 3, "spatial_dims": [1, 2]}}
  kernels = {"input_feature_dim": 2, "output_feature_dim": 3}
  kernels = {"filter": {**kernels, "spatial_dims": [0, 1]}}
  window = {
    "pad_left": [before for before, _ in pads],
    "pad_right": [after for _, after in pads],
    "strides": stride,
    "window_dilations": dilation,
  }
  description = {
    "dims": 4,
    "feature_groups": groups,
    "input": maps,
    "kernel": kernels,
    "output": maps,
    "window": window,
  }
  return jax.ffi.ffi_call(
    TARGET,
    jax.ShapeDtypeStruct(shape, x.dtype),
    custom_call_api_version=2,
    legacy_backend_config=json.dumps({"onednn_conv_config": description}),
  )(x, kernel)


def _shape(x, kernel, stride, pads, dilation):
  size = (
    (n + sum(around) - d * (k - 1) - 1) // s + 1
    for n, k, s, around, d in zip(x[1:3], kernel, stride, pads, dilation)
  )
  return (x[0], *size, kernel[3])


def _lower(context, x, kernel, **fields):
  module = context.module_context
  alone = getattr(module.axis_context, "num_devices", None) == 1
  exported = module.lowering_parameters.for_export
  # oneDNN has no empty maps.
  whole = all(0 not in a.shape for a in (*context.avals_in, *context.avals_out))
  usable = available() and not cached() and alone and not exported and whole
  form = functools.partial(_call if usable else _otherwise, **fields)
  return mlir.lower_fun(form, multiple_results=False)(context, x, kernel)


def _vectorized(arrays, axes, **fields):
  return jax.vmap(functools.partial(_otherwise, **fields), axes)(*arrays), 0


_convolution.def_impl(_otherwise)
_convolution.def_abstract_eval(
  lambda x, kernel, *, stride, pads, dilation, **_: x.update(
    shape=_shape(x.shape, kernel.shape, stride, pads, dilation)
  )
)
batching.primitive_batchers[_convolution] = _vectorized
mlir.register_lowering(
  _convolution, mlir.lower_fun(_otherwise, multiple_results=False)
)
mlir.register_lowering(_convolution, _lower, platform="cpu")
