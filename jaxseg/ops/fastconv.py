"""One convolution with the form of it that each platform runs fast.

The mathematics is that of `lax.conv_general_dilated`, and so is the form on
GPUs and TPUs. XLA:CPU is slow at depthwise convolutions (`depthwise`) and at
grouped ones, which are split into dense ones there; at dense ones it is fast
with the options of `jaxseg.compiling`. The platform is known when a program is
lowered, not when it is traced: an exported program holds both forms.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg.ops import depthwise

Array = jax.Array
Pair = tuple[int, int]
Pads = tuple[Pair, Pair]
DIMENSIONS = ("NHWC", "HWIO", "NHWC")
TAPS = 49  # depthwise kernels beyond are left to XLA
GROUPS = 64  # more groups are left to XLA


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
  """The form that a CPU takes: 'plain', 'depthwise' or 'grouped'."""
  if groups == 1:
    return "plain"
  both = max(stride) > 1 and max(dilation) > 1
  few = kernel.shape[0] * kernel.shape[1] <= TAPS
  if groups == x.shape[-1] and few and not both:
    return "depthwise"
  return "grouped" if groups <= GROUPS else "plain"


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
    if form == "depthwise":
      return depthwise.convolve(x, kernel, stride, pads, dilation)
    return _grouped(x, kernel, stride, pads, dilation, groups)

  def other(x, kernel):
    return plain(x, kernel, stride, pads, dilation, groups)

  return lax.platform_dependent(x, kernel, cpu=fast, default=other)


def _forward(x, kernel, stride, pads, dilation, groups):
  y = _convolve(x, kernel, stride, pads, dilation, groups)
  return y, (x, kernel)


def _backward(stride, pads, dilation, groups, saved, dy):
  rest = (stride, pads, dilation, groups)

  x, kernel = saved
  form = kind(x, kernel, stride, dilation, groups)

  def fast(x, kernel, dy):
    if form == "depthwise":
      return depthwise.gradients(x, kernel, dy, stride, pads, dilation)
    return jax.vjp(lambda x, k: _grouped(x, k, *rest), x, kernel)[1](dy)

  def other(x, kernel, dy):
    return jax.vjp(lambda x, k: plain(x, k, *rest), x, kernel)[1](dy)

  return lax.platform_dependent(*saved, dy, cpu=fast, default=other)


_convolve.defvjp(_forward, _backward)
