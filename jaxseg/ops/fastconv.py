"""One convolution with the form of it that each platform runs fast.

The mathematics is that of `lax.conv_general_dilated`, and so is the form on
GPUs and TPUs. XLA:CPU is slow at some things, which take another form there:
depthwise convolutions (`depthwise`), grouped ones (split into dense ones), 1x1
ones (matrix products), and of other dense ones the weight gradient and, where
they stride, the input gradient (`dense`). The platform is known when a program
is lowered, not when it is traced: an exported program holds both forms.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg.ops import dense, depthwise, phases

Array = jax.Array
Pair = tuple[int, int]
Pads = tuple[Pair, Pair]
DIMENSIONS = ("NHWC", "HWIO", "NHWC")
TAPS = 49  # depthwise kernels beyond are left to XLA
GROUPS = 64  # more groups are left to XLA
STRIDED = 25  # so are the input gradients of dense kernels beyond
WIDE = 64  # and the weight gradients of kernels with fewer channels


def plain(
  x: Array, kernel: Array, stride: Pair, pads: Pads, dilation: Pair, groups: int
) -> Array:
  """The convolution as XLA has it; arguments as in `convolve`."""
  return lax.conv_general_dilated(
    x,
    kernel,
    stride,
    pads,
    rhs_dilation=dilation,
    dimension_numbers=DIMENSIONS,
    feature_group_count=groups,
  )


def kind(
  x: Array, kernel: Array, stride: Pair, dilation: Pair, groups: int
) -> str:
  """The form that a CPU takes.

  One of 'plain', 'pointwise', 'dense', 'depthwise' and 'grouped'.
  """
  taps = kernel.shape[0] * kernel.shape[1]
  if groups == 1:
    if taps == 1:
      return "pointwise"
    special = _strided(kernel, stride, dilation) or _wide(kernel)
    return "dense" if special else "plain"
  both = max(stride) > 1 and max(dilation) > 1
  few = taps <= TAPS
  if groups == x.shape[-1] and few and not both:
    return "depthwise"
  return "grouped" if groups <= GROUPS else "plain"


def _strided(kernel: Array, stride: Pair, dilation: Pair) -> bool:
  taps = kernel.shape[0] * kernel.shape[1]
  return max(stride) > 1 and max(dilation) == 1 and taps <= STRIDED


def _wide(kernel: Array) -> bool:
  return min(kernel.shape[2:]) >= WIDE


def convolve(
  x: Array, kernel: Array, stride: Pair, pads: Pads, dilation: Pair, groups: int
) -> Array:
  """Convolution, (b, h, w, in) by (kh, kw, in / groups, out).

  Args:
    x: the maps.
    kernel: of the dtype of x.
    stride: (rows, columns).
    pads: zeros ((top, bottom), (left, right)).
    dilation: (rows, columns).
    groups: output channel j reads the inputs of group j * groups // out.
  """
  if kind(x, kernel, stride, dilation, groups) == "plain":
    return plain(x, kernel, stride, pads, dilation, groups)
  return _convolve(x, kernel, stride, pads, dilation, groups)


def _grouped(x, kernel, stride, pads, dilation, groups):
  """One dense convolution per group, side by side."""
  parts = [
    plain(a, k, stride, pads, dilation, 1)
    for a, k in zip(
      jnp.split(x, groups, axis=-1), jnp.split(kernel, groups, axis=-1)
    )
  ]
  return jnp.concatenate(parts, axis=-1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def _convolve(x, kernel, stride, pads, dilation, groups):
  form = kind(x, kernel, stride, dilation, groups)

  def fast(x, kernel):
    if form == "pointwise":
      return dense.pointwise(phases.pad(x, pads), kernel, stride)
    if form == "depthwise":
      return depthwise.convolve(x, kernel, stride, pads, dilation)
    return _grouped(x, kernel, stride, pads, dilation, groups)

  def other(x, kernel):
    return plain(x, kernel, stride, pads, dilation, groups)

  if form == "dense":  # XLA's own is as fast as any
    return other(x, kernel)
  return lax.platform_dependent(x, kernel, cpu=fast, default=other)


def _forward(x, kernel, stride, pads, dilation, groups):
  y = _convolve(x, kernel, stride, pads, dilation, groups)
  return y, (x, kernel)


def _backward(stride, pads, dilation, groups, saved, dy):
  rest = (stride, pads, dilation, groups)

  x, kernel = saved
  form = kind(x, kernel, stride, dilation, groups)

  def fast(x, kernel, dy):
    if form == "dense":
      return _dense_gradients(x, kernel, dy, stride, pads, dilation)
    if form == "depthwise":
      return depthwise.gradients(x, kernel, dy, stride, pads, dilation)
    if form == "pointwise":

      def run(x, kernel):
        return dense.pointwise(phases.pad(x, pads), kernel, stride)

    else:

      def run(x, kernel):
        return _grouped(x, kernel, *rest)

    return jax.vjp(run, x, kernel)[1](dy)

  def other(x, kernel, dy):
    return jax.vjp(lambda x, k: plain(x, k, *rest), x, kernel)[1](dy)

  return lax.platform_dependent(*saved, dy, cpu=fast, default=other)


def _dense_gradients(x, kernel, dy, stride, pads, dilation):
  """XLA's own, but for what it is slow at."""
  rest = (stride, pads, dilation, 1)
  if _strided(kernel, stride, dilation):
    dx = dense.input_gradient(dy, kernel, x.shape[1:3], stride, pads)
  else:
    (dx,) = jax.vjp(lambda x: plain(x, kernel, *rest), x)[1](dy)
  if _wide(kernel):
    dk = dense.weight_gradient(x, dy, kernel.shape[:2], stride, pads, dilation)
    return dx, dk.astype(kernel.dtype)
  (dk,) = jax.vjp(lambda k: plain(x, k, *rest), kernel)[1](dy)
  return dx, dk


_convolve.defvjp(_forward, _backward)
