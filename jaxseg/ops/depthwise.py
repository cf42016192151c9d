"""Depthwise convolution and its gradients, in the form that CPUs run fast.

XLA:CPU takes 30 to 70 times longer over a depthwise convolution than over its
multiplications. Here it is one multiply-add per tap on shifted maps, its input
gradient the same with the kernel turned round, and its weight gradient a sum
of products that is folded into few rows before it is reduced.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg.ops import resize

Array = jax.Array
Pads = tuple[tuple[int, int], tuple[int, int]]
Pair = tuple[int, int]
_FOLD = 16  # rows that the weight gradient adds up before it reduces
_SMALL = 1 << 18  # numbers in a map for which it loops over the taps instead


def convolve(
  x: Array, kernel: Array, stride: Pair, pads: Pads, dilation: Pair
) -> Array:
  """Every channel convolved by itself.

  Args:
    x: (b, h, w, c).
    kernel: (kh, kw, 1, m * c); output channel j reads channel j // m.
    stride, dilation: (rows, columns); one of the two is (1, 1).
    pads: zeros ((top, bottom), (left, right)).
  """
  x = _repeat(x, kernel)
  return _shifted(pad(x, pads), kernel[:, :, 0], stride, dilation)


def gradients(
  x: Array, kernel: Array, dy: Array, stride: Pair, pads: Pads, dilation: Pair
) -> tuple[Array, Array]:
  """Of `convolve`, with respect to x and kernel, for dy (b, h', w', m * c)."""
  channels = x.shape[-1]
  x = _repeat(x, kernel)
  taps = kernel[:, :, 0]
  dx = _input_gradient(dy, taps, x.shape[1:3], stride, pads, dilation)
  if x.shape[-1] != channels:
    dx = dx.reshape(*dx.shape[:3], channels, -1).sum(-1)
  dk = _weight_gradient(pad(x, pads), dy, taps.shape[:2], stride, dilation)
  return dx, dk.astype(kernel.dtype)


def _repeat(x: Array, kernel: Array) -> Array:
  multiple = kernel.shape[-1] // x.shape[-1]
  return x if multiple == 1 else resize.repeat(x, multiple, x.ndim - 1)


def pad(x: Array, pads: Pads) -> Array:
  """Zeros around; a negative number cuts rows or columns off."""
  if not any(pads[0] + pads[1]):
    return x
  zero = jnp.zeros((), x.dtype)
  return lax.pad(x, zero, [(0, 0, 0), (*pads[0], 0), (*pads[1], 0), (0, 0, 0)])


def _taps(x: Array, kernel: Pair, stride: Pair, dilation: Pair, size: Pair):
  """(i, j, the (b, *size, c) pixels of x that tap (i, j) reads), one by one."""
  b, _, _, c = x.shape
  for i in range(kernel[0]):
    for j in range(kernel[1]):
      y, z = i * dilation[0], j * dilation[1]
      stop = (
        b,
        y + (size[0] - 1) * stride[0] + 1,
        z + (size[1] - 1) * stride[1] + 1,
        c,
      )
      yield i, j, lax.slice(x, (0, y, z, 0), stop, (1, *stride, 1))


def _shifted(x: Array, kernel: Array, stride: Pair, dilation: Pair) -> Array:
  """Convolution without padding, (b, h, w, c) by (kh, kw, c)."""
  size = tuple(
    (n - d * (k - 1) - 1) // s + 1
    for n, k, s, d in zip(x.shape[1:3], kernel.shape, stride, dilation)
  )
  y = None
  for i, j, part in _taps(x, kernel.shape[:2], stride, dilation, size):
    term = part * kernel[i, j]
    y = term if y is None else y + term
  return y


def _input_gradient(
  dy: Array, kernel: Array, size: Pair, stride: Pair, pads: Pads, dilation: Pair
) -> Array:
  """(b, h', w', c) -> (b, *size, c)."""
  if stride == (1, 1):
    # dx[y] = sum over i of dy[y + top - d i] k[i]: the kernel turned round.
    around = []
    for n, out, k, d, (before, _) in zip(
      size, dy.shape[1:3], kernel.shape, dilation, pads
    ):
      low = d * (k - 1) - before
      around.append((low, n + d * (k - 1) - out - low))
    turned = kernel[::-1, ::-1]
    return _shifted(pad(dy, tuple(around)), turned, stride, dilation)
  # Row y of the padded input is s q + t: it reads dy[q - m] k[s m + t], so
  # each phase t is a convolution of its own with every s-th tap.
  taps = [-(-k // s) for k, s in zip(kernel.shape, stride)]
  length = [
    (n - 1 + before) // s + 1 for n, s, (before, _) in zip(size, stride, pads)
  ]
  dy = pad(
    dy,
    tuple((m - 1, q - n) for m, q, n in zip(taps, length, dy.shape[1:3])),
  )
  grown = [(0, m * s - k) for m, s, k in zip(taps, stride, kernel.shape)]
  kernel = jnp.pad(kernel, (*grown, (0, 0)))
  phases = [
    _shifted(
      dy, kernel[t :: stride[0], u :: stride[1]][::-1, ::-1], (1, 1), (1, 1)
    )
    for t in range(stride[0])
    for u in range(stride[1])
  ]
  b, c = dy.shape[0], dy.shape[3]
  y = jnp.stack(phases, 3).reshape(b, *length, *stride, c)
  y = y.transpose(0, 1, 3, 2, 4, 5)  # (b, q, s, q', s', c)
  y = y.reshape(b, length[0] * stride[0], length[1] * stride[1], c)
  (top, _), (left, _) = pads
  return y[:, top : top + size[0], left : left + size[1]]


def _weight_gradient(
  x: Array, dy: Array, kernel: Pair, stride: Pair, dilation: Pair
) -> Array:
  """Padded (b, H, W, c) and (b, h, w, c) -> (kh, kw, 1, c)."""
  if dy.size <= _SMALL:
    return _small_weight_gradient(x, dy, kernel, stride, dilation)
  b, h, w, c = dy.shape
  fold = min(_FOLD, h)
  rows = -(-h // fold)
  lack = rows * fold - h
  if lack:
    dy = pad(dy, ((0, lack), (0, 0)))  # rows of zeros count nothing
    x = pad(x, ((0, lack * stride[0]), (0, 0)))
  sums = []
  for _, _, part in _taps(x, kernel, stride, dilation, (rows * fold, w)):
    total = None
    for r in range(fold):
      at = slice(r * rows, (r + 1) * rows)
      term = part[:, at] * dy[:, at]
      total = term if total is None else total + term
    sums.append(total.reshape(b * rows * w, c))
  return _sum_rows(jnp.stack(sums)).reshape(*kernel, 1, c)


def _small_weight_gradient(
  x: Array, dy: Array, kernel: Pair, stride: Pair, dilation: Pair
) -> Array:
  """The same as a loop over the taps: less to compile, and little to run."""
  b, h, w, c = dy.shape
  span = [(n - 1) * s + 1 for n, s in zip((h, w), stride)]

  def tap(at):
    part = lax.dynamic_slice(x, (0, at[0], at[1], 0), (b, *span, c))
    part = part[:, :: stride[0], :: stride[1]]
    return _sum_rows((part * dy).reshape(1, b * h * w, c))[0]

  at = jnp.indices(kernel).reshape(2, -1).T * jnp.asarray(dilation)
  return lax.map(tap, at).reshape(*kernel, 1, c)


def _sum_rows(x: Array) -> Array:
  """(t, n, c) -> (t, c), as a product with ones.

  XLA:CPU's own reduction over rows is not vectorized.
  """
  ones = jnp.ones((x.shape[1],), x.dtype)
  return jnp.einsum("n,tnc->tc", ones, x, precision=lax.Precision.HIGHEST)
