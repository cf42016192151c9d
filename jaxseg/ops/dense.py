"""Gradients of dense convolutions, in the form that CPUs run fast.

XLA:CPU reaches a third of its matrix-product rate in the weight gradient of a
convolution, and a tenth in the input gradient of a strided one. Here both are
matrix products over all pixels: of the maps with the columns of the kernel side
by side, and of one tap of the kernel each.
"""

from __future__ import annotations

import functools
import operator

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg.ops import phases

Array = jax.Array
Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


def pointwise(x: Array, kernel: Array, stride: Pair) -> Array:
  """1x1 convolution, (b, h, w, in) by (1, 1, in, out), as a matrix product."""
  return x[:, :: stride[0], :: stride[1]] @ kernel[0, 0]


def weight_gradient(
  x: Array, dy: Array, kernel: Pair, stride: Pair, pads: Pads, dilation: Pair
) -> Array:
  """(b, h, w, in) and (b, h', w', out) -> (kh, kw, in, out).

  Args:
    x: the input of the convolution.
    dy: the gradient of its output.
    kernel: (kh, kw).
    stride, dilation: (rows, columns).
    pads: zeros ((top, bottom), (left, right)).
  """
  x = phases.pad(x, pads)
  b, h, w, out = dy.shape
  columns = [
    lax.slice_in_dim(
      x,
      j * dilation[1],
      j * dilation[1] + (w - 1) * stride[1] + 1,
      stride[1],
      2,
    )
    for j in range(kernel[1])
  ]
  x = jnp.concatenate(columns, -1)  # (b, H, w', kw * in)
  dy = dy.reshape(-1, out)
  rows = []
  for i in range(kernel[0]):
    first = i * dilation[0]
    part = lax.slice_in_dim(
      x, first, first + (h - 1) * stride[0] + 1, stride[0], 1
    )
    rows.append(part.reshape(b * h * w, -1).T @ dy)
  return jnp.stack(rows).reshape(*kernel, -1, out)


def input_gradient(
  dy: Array, kernel: Array, size: Pair, stride: Pair, pads: Pads
) -> Array:
  """Of a strided convolution without dilation.

  (b, h', w', out) -> (b, *size, in), each phase the sum over its own taps.
  """
  longest = phases.taps(kernel.shape[:2], stride)

  def phase(dy: Array, t: int, u: int, length: Pair) -> Array:
    terms = []
    for i in range(t, kernel.shape[0], stride[0]):
      for j in range(u, kernel.shape[1], stride[1]):
        top = longest[0] - 1 - i // stride[0]
        left = longest[1] - 1 - j // stride[1]
        part = dy[:, top : top + length[0], left : left + length[1]]
        terms.append(part @ kernel[i, j].T)
    if not terms:  # the stride exceeds the kernel
      return jnp.zeros((dy.shape[0], *length, kernel.shape[2]), dy.dtype)
    return functools.reduce(operator.add, terms)

  return phases.input_gradient(dy, kernel.shape[:2], size, stride, pads, phase)
