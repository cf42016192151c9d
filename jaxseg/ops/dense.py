"""Gradients of dense convolutions, in the form that CPUs run fast.

XLA:CPU reaches a third of its matrix-product rate in the weight gradient of a
convolution, and a tenth in the input gradient of a strided one. Here both are
matrix products over all pixels: of the maps with the columns of the kernel side
by side, and of one tap of the kernel each.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

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
  x = pad(x, pads)
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

  (b, h', w', out) -> (b, *size, in). Row y of the padded input is s q + t, and
  reads dy[q - m] by the tap s m + t: each phase t is a sum over its own taps.
  """
  taps = [-(-k // s) for k, s in zip(kernel.shape, stride)]
  length = [
    (n - 1 + before) // s + 1 for n, s, (before, _) in zip(size, stride, pads)
  ]
  dy = pad(
    dy,
    tuple((m - 1, q - n) for m, q, n in zip(taps, length, dy.shape[1:3])),
  )
  phases = []
  for t in range(stride[0]):
    for u in range(stride[1]):
      y = None
      for i in range(t, kernel.shape[0], stride[0]):
        for j in range(u, kernel.shape[1], stride[1]):
          top = taps[0] - 1 - i // stride[0]
          left = taps[1] - 1 - j // stride[1]
          part = dy[:, top : top + length[0], left : left + length[1]]
          term = part @ kernel[i, j].T
          y = term if y is None else y + term
      if y is None:  # the stride exceeds the kernel
        y = jnp.zeros((dy.shape[0], *length, kernel.shape[2]), dy.dtype)
      phases.append(y)
  b, cin = dy.shape[0], kernel.shape[2]
  y = jnp.stack(phases, 3).reshape(b, *length, *stride, cin)
  y = y.transpose(0, 1, 3, 2, 4, 5)  # (b, q, s, q', s', in)
  y = y.reshape(b, length[0] * stride[0], length[1] * stride[1], cin)
  (top, _), (left, _) = pads
  return y[:, top : top + size[0], left : left + size[1]]


def pad(x: Array, pads: Pads) -> Array:
  """Zeros around; a negative number cuts rows or columns off."""
  if not any(pads[0] + pads[1]):
    return x
  zero = jnp.zeros((), x.dtype)
  return lax.pad(x, zero, [(0, 0, 0), (*pads[0], 0), (*pads[1], 0), (0, 0, 0)])
