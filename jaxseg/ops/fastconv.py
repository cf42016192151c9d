"""One convolution with the form of it that each platform runs fast.

The mathematics is that of `lax.conv_general_dilated`, and so is the form on
GPUs and TPUs. XLA:CPU is slow at depthwise convolutions (`depthwise`), at
grouped ones, which are split into dense ones there, at the weight gradients of
1x1 ones, which are matrix products there, at those of kernels with fewer
outputs than inputs, and wherever an output is a sum of few numbers, as behind
an RGB image: that sum is written out there. The others are fast with the
options of `jaxseg.compiling`. The platform is known when a program is lowered,
not when it is traced: an exported program holds both forms.
"""

from __future__ import annotations

import functools
import itertools

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
FEW = (
  27  # numbers that make up an output: the sum is written out up to here ...
)
WIDE = 32  # ... for at most so many outputs


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

  One of 'plain', 'pointwise', 'few', 'narrowing', 'depthwise', 'grouped'.
  """
  taps = kernel.shape[0] * kernel.shape[1]
  if groups == 1 and taps == 1:
    return "pointwise"
  if groups == 1 and taps * kernel.shape[2] <= FEW and kernel.shape[3] <= WIDE:
    return "few"
  if groups == 1:
    narrows = kernel.shape[2] > kernel.shape[3] and max(stride) == 1
    return "narrowing" if narrows else "plain"
  both = max(stride) > 1 and max(dilation) > 1
  if groups == x.shape[-1] and taps <= TAPS and not both:
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


def _few(x, kernel, stride, pads, dilation):
  """One term per tap and input channel, all in one loop over the outputs."""
  kh, kw, channels, _ = kernel.shape
  x = depthwise.pad(x, pads)
  # Pixels from the first to the last that one tap reads.
  h, w = (
    (n - d * (k - 1) - 1) // s * s + 1
    for n, k, s, d in zip(x.shape[1:3], (kh, kw), stride, dilation)
  )
  terms = []
  for i, j in itertools.product(range(kh), range(kw)):
    top, left = i * dilation[0], j * dilation[1]
    read = x[:, top : top + h : stride[0], left : left + w : stride[1]]
    terms += [read[..., c : c + 1] * kernel[i, j, c] for c in range(channels)]
  return sum(terms[1:], terms[0])


def product(x: Array, matrix: Array) -> Array:
  """(b, h, w, in) by (in, out) -> (b, h, w, out).

  With two axes for x, since with four XLA:CPU copies what the product of the
  gradient reads.
  """
  y = x.reshape(-1, x.shape[-1]) @ matrix
  return y.reshape(*x.shape[:3], -1)


def _mix(x, matrix):
  """A product, written out for few channels: five times as fast then.

  The gradient of a head of three classes is of that kind.
  """
  channels, outputs = matrix.shape
  if channels > FEW // 3 or outputs > WIDE:
    return product(x, matrix)
  return sum(x[..., c : c + 1] * matrix[c] for c in range(channels))


def _pointwise(x, kernel, stride, pads):
  """1x1: a product of the strided pixels and the kernel."""
  return _mix(_read(x, stride, pads), kernel[0, 0])


def _read(x, stride, pads):
  """The pixels that a 1x1 kernel reads."""
  return depthwise.pad(x, pads)[:, :: stride[0], :: stride[1]]


def _pointwise_gradients(x, kernel, dy, stride, pads):
  """Products again; the gradient of the pixels goes back to where they lay."""
  read, back = jax.vjp(lambda x: _read(x, stride, pads), x)
  (dx,) = back(_mix(dy, kernel[0, 0].T))
  rows, columns = (a.reshape(-1, a.shape[-1]) for a in (read, dy))
  return dx, (rows.T @ columns).reshape(kernel.shape)


def _narrowing_gradients(x, kernel, dy, pads, dilation):
  """XLA's input gradient, and its weight gradient from the other side.

  XLA convolves x by dy, examples as channels, and transposes x for that. Here
  dy, the smaller one, is convolved by x, which gives the taps in reverse.
  """
  one = (1, 1)
  (dx,) = jax.vjp(lambda x: plain(x, kernel, one, pads, dilation, 1), x)[1](dy)
  around = tuple(
    (d * (k - 1) - before, d * (k - 1) - after)
    for d, k, (before, after) in zip(dilation, kernel.shape, pads)
  )
  taps = lax.conv_general_dilated(
    dy, x, dilation, around, dimension_numbers=("CHWN", "IHWO", "NHWC")
  )  # (out, kh, kw, in)
  return dx, taps[:, ::-1, ::-1].transpose(1, 2, 3, 0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def _convolve(x, kernel, stride, pads, dilation, groups):
  form = kind(x, kernel, stride, dilation, groups)

  def fast(x, kernel):
    if form == "pointwise":
      return _pointwise(x, kernel, stride, pads)
    if form == "few":
      return _few(x, kernel, stride, pads, dilation)
    if form == "depthwise":
      return depthwise.convolve(x, kernel, stride, pads, dilation)
    return _grouped(x, kernel, stride, pads, dilation, groups)

  def other(x, kernel):
    return plain(x, kernel, stride, pads, dilation, groups)

  if form == "narrowing":
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
    if form == "depthwise":
      return depthwise.gradients(x, kernel, dy, stride, pads, dilation)
    if form == "narrowing":
      return _narrowing_gradients(x, kernel, dy, pads, dilation)
    if form == "pointwise":
      return _pointwise_gradients(x, kernel, dy, stride, pads)
    return jax.vjp(lambda x, k: _grouped(x, k, *rest), x, kernel)[1](dy)

  def other(x, kernel, dy):
    return jax.vjp(lambda x, k: plain(x, k, *rest), x, kernel)[1](dy)

  if form == "few":  # the gradients sum over many
    return other(*saved, dy)
  return lax.platform_dependent(*saved, dy, cpu=fast, default=other)


_convolve.defvjp(_forward, _backward)
