"""Input gradients of strided convolutions, phase by phase.

Row y of the padded input is s q + t, and reads dy[q - m] by tap s m + t: each
phase t is a convolution of stride 1 with every s-th tap.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array
Pair = tuple[int, int]
Pads = tuple[Pair, Pair]


def pad(x: Array, pads: Pads) -> Array:
  """Zeros around; a negative number cuts rows or columns off."""
  if not any(pads[0] + pads[1]):
    return x
  zero = jnp.zeros((), x.dtype)
  return lax.pad(x, zero, [(0, 0, 0), (*pads[0], 0), (*pads[1], 0), (0, 0, 0)])


def taps(kernel: Pair, stride: Pair) -> Pair:
  """How many taps the longest phase has: ceil(kernel / stride)."""
  return tuple(-(-k // s) for k, s in zip(kernel, stride))


def input_gradient(
  dy: Array,
  kernel: Pair,
  size: Pair,
  stride: Pair,
  pads: Pads,
  phase: Callable[[Array, int, int, Pair], Array],
) -> Array:
  """Of a convolution without dilation, (b, h', w', out) -> (b, *size, in).

  Args:
    dy: the gradient of its output.
    kernel, stride: (rows, columns).
    size: height and width of its input.
    pads: zeros ((top, bottom), (left, right)) around that input.
    phase: (dy, t, u, length) -> (b, *length, in), the rows t and columns u of
      every cell of the stride. Its pixel q reads its tap m from row
      q + taps - 1 - m of this dy, which is padded with taps - 1 zeros.
  """
  longest = taps(kernel, stride)
  length = tuple(
    (n - 1 + before) // s + 1 for n, s, (before, _) in zip(size, stride, pads)
  )
  around = tuple(
    (m - 1, q - n) for m, q, n in zip(longest, length, dy.shape[1:3])
  )
  dy = pad(dy, around)
  y = jnp.stack(
    [
      phase(dy, t, u, length)
      for t in range(stride[0])
      for u in range(stride[1])
    ],
    3,
  )
  b, *_, c = y.shape
  y = y.reshape(b, *length, *stride, c)
  y = y.transpose(0, 1, 3, 2, 4, 5)  # (b, q, s, q', s', in)
  y = y.reshape(b, length[0] * stride[0], length[1] * stride[1], c)
  (top, _), (left, _) = pads
  return y[:, top : top + size[0], left : left + size[1]]
