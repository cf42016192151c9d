"""One convolution with the form of it that each platform runs fast.

The mathematics is that of `lax.conv_general_dilated`, and so is the form on
GPUs and TPUs. XLA:CPU is slow at depthwise convolutions (`depthwise`), at
grouped ones, which are split into dense ones there, at the weight gradients of
1x1 ones, which are matrix products there, at those of kernels with fewer
outputs than inputs, and wherever an output is a sum of few numbers, as behind
an RGB image: that sum is written out there. Those of few channels are `direct`
where that can be had, before any of these. The others are fast with the options
of `jaxseg.compiling`. The platform is known when a program is lowered,
not when it is traced: an exported program holds both forms. Where rows are
spread over devices (`rows`) all platforms take XLA's, a tap row at a time if
taps are farther apart than a device's rows.
"""

from __future__ import annotations

import functools
import itertools

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg.ops import depthwise, direct, rows

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
  if rows.split():
    return _split(x, kernel, stride, pads, dilation, groups)
  special = direct.fits(x, kernel, stride, pads, groups)
  if kind(x, kernel, stride, dilation, groups) == "plain" and not special:
    return plain(x, kernel, stride, pads, dilation, groups)
  return _convolve(x, kernel, stride, pads, dilation, groups)


def _grouped(x, kernel, stride, pads, dilation, groups, one=None):
  """One dense convolution per group, side by side."""
  one = one or functools.partial(plain, groups=1)
  parts = [
    one(a, k, stride, pads, dilation)
    for a, k in zip(
      jnp.split(x, groups, axis=-1), jnp.split(kernel, groups, axis=-1)
    )
  ]
  return jnp.concatenate(parts, axis=-1)


def _split(x, kernel, stride, pads, dilation, groups):
  """The form that stays local where rows are spread over devices."""
  if 1 < groups <= GROUPS and groups != x.shape[-1]:
    one = functools.partial(_split, groups=1)
    return _grouped(x, kernel, stride, pads, dilation, groups, one)
  if kernel.shape[2] == 1 and groups == x.shape[-1] == kernel.shape[3]:
    # XLA:CPU would make depthwise kernels dense ones, of c * c channels.
    form = functools.partial(_split_depthwise, stride, pads, dilation)
    other = functools.partial(
      _split_dense, stride=stride, pads=pads, dilation=dilation, groups=groups
    )
    return lax.platform_dependent(x, kernel, cpu=form, default=other)
  return _split_dense(x, kernel, stride, pads, dilation, groups)


def _split_depthwise(stride, pads, dilation, x, kernel):
  """A sum over the taps, of maps moved up or down and sliced sideways."""
  span = [d * (k - 1) for d, k in zip(dilation, kernel.shape)]
  h, w = (
    n + sum(ends) - reach for n, ends, reach in zip(x.shape[1:3], pads, span)
  )
  height = x.shape[1]
  x = depthwise.pad(x, ((0, max(h - height, 0)), pads[1]))
  y = None
  for i in range(kernel.shape[0]):
    offset = i * dilation[0] - pads[0][0]
    if not -h < offset < height:
      continue  # this row of taps reads nothing but padding
    moved = rows.shifted(x, offset)
    moved = moved[:, : h : stride[0]]
    for j in range(kernel.shape[1]):
      left = j * dilation[1]
      term = moved[:, :, left : left + w : stride[1]] * kernel[i, j, 0]
      y = term if y is None else y + term
  return y


def _split_dense(x, kernel, stride, pads, dilation, groups):
  """XLA's convolution, a tap row at a time if it reaches too far."""
  height, top = x.shape[1], pads[0][0]
  span = dilation[0] * (kernel.shape[0] - 1)
  same = sum(pads[0]) == span
  near = max(top, span - top) <= height // rows.PARTS.value
  if near or not same or stride[0] > 1:
    return plain(x, kernel, stride, pads, dilation, groups)
  # Tap rows that read nothing but padding are left out.
  terms = [
    plain(
      rows.shifted(x, i * dilation[0] - top),
      kernel[i : i + 1],
      stride,
      ((0, 0), pads[1]),
      dilation,
      groups,
    )
    for i in range(kernel.shape[0])
    if abs(i * dilation[0] - top) < height
  ]
  return sum(terms[1:], terms[0])


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
  if rows.split():
    return x @ matrix  # rows of several examples do not lie side by side
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


def _narrowing_weights(x, dy, shape, pads, dilation):
  """The weight gradient from the other side.

  XLA convolves x by dy, examples as channels, and transposes x for that. Here
  dy, the smaller one, is convolved by x, which gives the taps in reverse.
  """
  around = _around(shape, pads, dilation)
  taps = lax.conv_general_dilated(
    dy, x, dilation, around, dimension_numbers=("CHWN", "IHWO", "NHWC")
  )  # (out, kh, kw, in)
  return taps[:, ::-1, ::-1].transpose(1, 2, 3, 0)


def _around(shape, pads, dilation):
  """Zeros around the outputs of stride 1 where they are convolved back."""
  return tuple(
    (d * (k - 1) - before, d * (k - 1) - after)
    for d, k, (before, after) in zip(dilation, shape, pads)
  )


def _turned(kernel):
  """The kernel that takes outputs back: turned round, in and out exchanged."""
  return kernel[::-1, ::-1].swapaxes(2, 3)


def _plain(rest, x, kernel):
  return plain(x, kernel, *rest)


def _gradients(rest, x, kernel, dy):
  return jax.vjp(functools.partial(_plain, rest), x, kernel)[1](dy)


def _fast(form, rest, x, kernel):
  """The form of a CPU, where the convolution is not `direct`."""
  stride, pads, dilation, _ = rest
  if form == "pointwise":
    return _pointwise(x, kernel, stride, pads)
  if form == "few":
    return _few(x, kernel, stride, pads, dilation)
  if form == "grouped":
    return _grouped(x, kernel, *rest)
  if form == "depthwise":
    return depthwise.convolve(x, kernel, stride, pads, dilation)
  return plain(x, kernel, *rest)


def _fast_gradients(form, rest, x, kernel, dy):
  """Its gradients; of `few` they sum over many, and XLA's are fast."""
  stride, pads, dilation, _ = rest
  if form == "pointwise":
    return _pointwise_gradients(x, kernel, dy, stride, pads)
  if form == "grouped":
    return jax.vjp(lambda x, k: _grouped(x, k, *rest), x, kernel)[1](dy)
  if form == "depthwise":
    return depthwise.gradients(x, kernel, dy, stride, pads, dilation)
  dx, dk = _gradients(rest, x, kernel, dy)
  if form == "narrowing":
    dk = _narrowing_weights(x, dy, kernel.shape, pads, dilation)
  return dx, dk


def _weights(form, rest, shape, x, dy):
  """The second of `_fast_gradients`, which reads no kernel."""
  return _fast_gradients(form, rest, x, jnp.zeros(shape, x.dtype), dy)[1]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4, 5))
def _convolve(x, kernel, stride, pads, dilation, groups):
  rest = (stride, pads, dilation, groups)
  form = kind(x, kernel, stride, dilation, groups)
  other = functools.partial(_plain, rest)
  cpu = functools.partial(_fast, form, rest)
  if direct.fits(x, kernel, stride, pads, groups):
    window = direct.Window(stride, pads, dilation)
    without = (_fast, form, rest)
    cpu = functools.partial(direct.convolve, window=window, otherwise=without)
  elif form == "narrowing":
    return other(x, kernel)
  return lax.platform_dependent(x, kernel, cpu=cpu, default=other)


def _forward(x, kernel, stride, pads, dilation, groups):
  y = _convolve(x, kernel, stride, pads, dilation, groups)
  return y, (x, kernel)


def _backward(stride, pads, dilation, groups, saved, dy):
  rest = (stride, pads, dilation, groups)
  x, kernel = saved
  form = kind(x, kernel, stride, dilation, groups)
  special = direct.fits(x, kernel, stride, pads, groups)

  def cpu(x, kernel, dy):
    dx, dk = _fast_gradients(form, rest, x, kernel, dy)
    if special and direct.fits_weights(x, kernel):
      without = (_weights, form, rest, kernel.shape)
      window = direct.Window(stride, pads, dilation)
      dk = direct.weight_gradient(x, dy, kernel.shape, window, without)
    if special and stride == (1, 1):
      # A convolution again; the dx above is then not compiled.
      back, around = _turned(kernel), _around(kernel.shape, pads, dilation)
      if direct.fits(dy, back, stride, around, groups):
        without = (_plain, (stride, around, dilation, groups))
        window = direct.Window(stride, around, dilation)
        dx = direct.convolve(dy, back, window=window, otherwise=without)
    return dx, dk

  other = functools.partial(_gradients, rest)
  if form == "few" and not special:
    return other(*saved, dy)
  return lax.platform_dependent(*saved, dy, cpu=cpu, default=other)


_convolve.defvjp(_forward, _backward)
