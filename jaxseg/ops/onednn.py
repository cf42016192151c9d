"""oneDNN's convolution inside a program for CPUs, where XLA brings it along.

XLA:CPU's own convolution (Eigen's) copies each pixel once per tap before it
multiplies; oneDNN's does not, and is 1.1 to 7 times as fast (python -m
benchmarks.step). JAX's wheels for x86 hold oneDNN and the operation that calls
it, but the compiler never chooses it, so that it is called by name here. Name
and description of that operation are not a public interface, and a
description that a later version reads otherwise would end the process. So it
is used by the versions of jaxlib that the tests have seen (`VERIFIED`), and
only where all of this holds; elsewhere the program has the `otherwise` form:

- float32 on one x86 CPU device, not under `vmap`;
- the program is not exported;
- no persistent compilation cache is set: XLA cannot write such a program to
  one, and breaks off in trying.

The environment variable JAXSEG_ONEDNN=0 turns it off.
"""

from __future__ import annotations

import functools
import json
import os
import platform
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

Array = jax.Array
Pair = tuple[int, int]
Pads = tuple[Pair, Pair]
TARGET = "__onednn$convolution"
VARIABLE = "JAXSEG_ONEDNN"
# Of jaxlib; a version goes in here when tests/ops/test_onednn.py has passed.
VERIFIED = ("0.10.2",)


def available() -> bool:
  """Whether this installation has the operation, and it may be used."""
  return (
    jax.lib.__version__ in VERIFIED
    and platform.system() == "Linux"
    and platform.machine() == "x86_64"
    and os.environ.get(VARIABLE) != "0"
  )


def cached() -> bool:
  """Whether compiled programs are written to a persistent cache."""
  return bool(
    jax.config.jax_enable_compilation_cache
    and jax.config.jax_compilation_cache_dir
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
  """Convolution, (b, h, w, in) by (kh, kw, in / groups, out).

  Args:
    x: the maps.
    kernel: of the dtype of x.
    stride: (rows, columns).
    pads: zeros ((top, bottom), (left, right)).
    dilation: (rows, columns).
    groups: output channel j reads the inputs of group j * groups // out.
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
  if x.dtype != jnp.float32 or min(map(min, pads)) < 0:
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
