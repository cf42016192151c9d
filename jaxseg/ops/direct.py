"""Convolution on CPUs without copies of pixels, in C++ (cc/).

XLA:CPU's own convolution (Eigen's) copies each pixel once per tap before it
multiplies, which few channels do not repay, and its weight gradient transposes
whole maps. Here a tile of outputs stays in registers while taps and channels go
by. On two cores of an EPYC with AVX-512, 8x128x128: 16 to 16 channels, 3x3,
1.6 ms in place of 2.7 and the weight gradient 1.3 in place of 4.3; 64 to 64
channels at 32x32 1.2 in place of 1.5 and 1.4 in place of 1.8; a head of 16
channels to 3 classes .8 in place of 4.1, to 21 classes 2.6 in place of 5.3 and
its weight gradient 2.7 in place of 19. Networks beside PyTorch's: python -m
benchmarks.step.

It is in the programs that this house traces by default, wherever it can be:

- float32, not grouped, taps more than one (or one where a normalisation and an
  activation follow, `finished`), kernels no larger and pixels no fewer than
  what was measured to gain (`fits`);
- on one x86 CPU device with AVX2, not under `vmap`, not in an exported program;
- with a C++ compiler (`cpp`); 3 s once per version and machine.

Elsewhere XLA's form is, with the same results to rounding. The compilation
cache keeps such programs like others. `with direct.CONVOLUTIONS("xla"):` around
whatever traces and compiles, or config.convolutions = 'xla', goes without;
'direct' wants it, and says why where it cannot be had.
"""

from __future__ import annotations

import functools
import math
import pathlib
import threading
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

from jaxseg.ops import cpp

Array = jax.Array
Pair = tuple[int, int]
Pads = tuple[Pair, Pair]
CHOICES = ("auto", "direct", "xla")
# Of jit's cache too: what is traced inside is not used outside.
CONVOLUTIONS = jax.make_user_context("auto")
SOURCE = pathlib.Path(__file__).with_name("cc") / "direct.cc"
NAMES = ("JaxsegConvolve", "JaxsegConvolveFinish", "JaxsegWeightGradient")
VECTOR = 16  # numbers, where AVX-512 is
FEW = 4  # outputs, kDots in C++: each has a sum of its own, of whole vectors
MOST = 1 << 17  # in * out of a kernel; beyond it does not fit the cache
LEAST = 1 << 8  # pixels of all maps: fewer do not repay that kernels are packed
SHARE = 24  # times as many pixels as in * out are enough for weight gradients
_lock = threading.Lock()


@functools.cache
def _missing() -> str:
  try:
    library = cpp.load(SOURCE)
  except cpp.Missing as e:
    return str(e)
  for name in NAMES:
    handler = jax.ffi.pycapsule(getattr(library, name))
    jax.ffi.register_ffi_target(target(name), handler, platform="cpu")
  return ""


def missing() -> str:
  """What this machine lacks, for a message; '' where nothing is missing."""
  with _lock:
    return _missing()


@functools.cache
def target(name: str) -> str:
  """The name that programs know a function by: another for other sources."""
  return f"{name}_{cpp.digest(SOURCE)}"


def fits(
  x: Array,
  kernel: Array,
  stride: Pair,
  pads: Pads,
  groups: int,
  least_taps: int = 2,
) -> bool:
  """Whether a convolution is of a kind that comes here, and may.

  Args:
    x, kernel, stride, pads, groups: see `fastconv.convolve`.
    least_taps: a convolution of one tap is a matrix product, at which XLA is
      good as well, unless more is to be done to what it writes.
  """
  kh, kw, channels, outputs = kernel.shape
  return (
    CONVOLUTIONS.value != "xla"
    and x.dtype == kernel.dtype == jnp.float32
    and groups == 1
    and kh * kw >= least_taps
    and max(stride) <= 2
    and (outputs > FEW or channels % VECTOR == 0)
    and channels * outputs <= MOST
    and min(map(min, pads)) >= 0
    and math.prod(x.shape[:3]) >= LEAST
  )


def fits_weights(x: Array, kernel: Array) -> bool:
  """Whether its weight gradient, of one that `fits`, does so too.

  Each of sixteen shares of the maps has a sum of its own, of the kernel's size,
  in vectors of output channels, or of input channels, that are whole.
  """
  _, _, channels, outputs = kernel.shape
  whole = outputs % VECTOR == 0 or channels % VECTOR == 0
  return whole and channels * outputs <= SHARE * x.shape[1] * x.shape[2]


class Window(NamedTuple):
  """How a kernel moves over maps.

  Fields: stride, pads and dilation, of `fastconv.convolve`.
  """

  stride: Pair
  pads: Pads
  dilation: Pair

  def size(self, maps: Pair, kernel: Pair) -> Pair:
    """(h, w) of the output, of those of the maps and the kernel."""
    return tuple(
      max((n + sum(around) - d * (k - 1) - 1) // s + 1, 0)
      for n, k, s, around, d in zip(maps, kernel, *self)
    )


def convolve(
  x: Array,
  kernel: Array,
  *affine: Array,
  window: Window,
  otherwise: tuple[Any, ...],
  bounds: tuple[float, float] | None = None,
) -> Array:
  """A dense convolution, (b, h, w, in) by (kh, kw, in, out).

  Args:
    x, kernel: they `fits`.
    affine: nothing, or mean, gain and bias, float32 (out,): of the output y
      it returns (y - mean) * gain + bias.
    window: see there.
    otherwise: (f, *first), the same by other means, f(*first, x, kernel,
      *affine): what the program has where this cannot be had.
    bounds: with `affine`, the least and the largest number that is returned.

  Has no derivative: whoever calls it has one.
  """
  size = window.size(x.shape[1:3], kernel.shape[:2])
  return _call.bind(
    x,
    kernel,
    *affine,
    name=NAMES[1] if affine else NAMES[0],
    shape=(x.shape[0], *size, kernel.shape[3]),
    window=window,
    otherwise=otherwise,
    bounds=bounds,
  )


def weight_gradient(
  x: Array,
  dy: Array,
  shape: tuple[int, ...],
  window: Window,
  otherwise: tuple[Any, ...],
) -> Array:
  """The gradient of `convolve` with respect to its kernel, of that `shape`.

  Args:
    x, window: see `convolve`.
    dy: (b, h', w', out), the gradient of what it returned.
    shape: (kh, kw, in, out).
    otherwise: as there, f(*first, x, dy).
  """
  return _call.bind(
    x,
    dy,
    name=NAMES[2],
    shape=shape,
    window=window,
    otherwise=otherwise,
    bounds=None,
  )


_call = Primitive("direct_convolution")


def _otherwise(*arrays, name, shape, window, otherwise, bounds):
  del name, shape, window, bounds
  function, *first = otherwise
  return function(*first, *arrays)


def _direct(*arrays, name, shape, window, otherwise, bounds):
  del otherwise
  (top, _), (left, _) = window.pads  # the other two follow from the shapes
  fields = {
    "stride": np.array(window.stride, np.int64),
    "dilation": np.array(window.dilation, np.int64),
    "pad": np.array((top, left), np.int64),
  }
  if bounds is not None:
    fields |= zip(("low", "high"), map(np.float32, bounds))
  out = jax.ShapeDtypeStruct(shape, arrays[0].dtype)
  return jax.ffi.ffi_call(target(name), out)(*arrays, **fields)


def _lower(context, *arrays, **fields):
  module = context.module_context
  alone = getattr(module.axis_context, "num_devices", None) == 1
  exported = module.lowering_parameters.for_export
  whole = all(0 not in a.shape for a in (*context.avals_in, *context.avals_out))
  usable = alone and not exported and whole and not missing()
  form = functools.partial(_direct if usable else _otherwise, **fields)
  return mlir.lower_fun(form, multiple_results=False)(context, *arrays)


def _vectorized(arrays, axes, **fields):
  return jax.vmap(functools.partial(_otherwise, **fields), axes)(*arrays), 0


_call.def_impl(_otherwise)
_call.def_abstract_eval(lambda x, *_, shape, **__: x.update(shape=shape))
batching.primitive_batchers[_call] = _vectorized
mlir.register_lowering(
  _call, mlir.lower_fun(_otherwise, multiple_results=False)
)
mlir.register_lowering(_call, _lower, platform="cpu")
