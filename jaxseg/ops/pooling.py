"""Max and average pooling, (b, h, w, c).

`lax.reduce_window` is fast forward, but its gradient (select-and-scatter) is
slow on CPUs. Small windows are therefore a chain of comparisons of strided
slices, whose gradient is a sum of interior pads.

Tie rule: the first maximum in row-major order of the window wins and receives
the whole gradient, as in torch. A NaN in the window is the result.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array
_CHAIN = 9  # up to this many taps the chain of slices beats reduce_window


def window_ends(
  n: int, k: int, s: int, p: int, ceil_mode: bool
) -> tuple[int, int, int]:
  """Output length and what to add before and after (negative: to drop)."""
  room = n + 2 * p - k
  if room < 0 and not (ceil_mode and n + 2 * p > 0):
    raise ValueError(
      f"pooling window {k} does not fit into {n} pixels with padding {p}."
    )
  length = (-(-room // s) if ceil_mode else room // s) + 1
  if ceil_mode and length > 1 and (length - 1) * s >= n + p:
    length -= 1  # a window must not start in the padding after the image
  return length, p, (length - 1) * s + k - n - p


def max_pool(
  x: Array,
  window: int = 2,
  *,
  stride: int | None = None,
  padding: int = 0,
  ceil_mode: bool = False,
) -> Array:
  """Max pooling with torch's sizes: floor((n + 2p - k) / s) + 1 a side.

  Args:
    x: (b, h, w, c), floating.
    window: k, square.
    stride: s; the window if None.
    padding: p pixels of -inf at every border.
    ceil_mode: round sizes up (Caffe) instead of down, so that the last rows
      and columns of odd maps are kept.

  Raises:
    ValueError: the window does not fit into the padded map.
  """
  s = stride or window
  h, top, bottom = window_ends(x.shape[1], window, s, padding, ceil_mode)
  w, left, right = window_ends(x.shape[2], window, s, padding, ceil_mode)
  low = jnp.array(-jnp.inf, x.dtype)
  if window * window > _CHAIN:
    x = lax.pad(
      x, low, [(0, 0, 0), (top, bottom, 0), (left, right, 0), (0, 0, 0)]
    )
    sizes = (1, window, window, 1)
    # A Python scalar: only then JAX sees the max and knows its gradient.
    return lax.reduce_window(
      x, -float("inf"), lax.max, sizes, (1, s, s, 1), "VALID"
    )
  if any((top, bottom, left, right)):
    x = lax.pad(
      x, low, [(0, 0, 0), (top, bottom, 0), (left, right, 0), (0, 0, 0)]
    )
  y = None
  for i in range(window):
    for j in range(window):
      stop = (x.shape[0], i + (h - 1) * s + 1, j + (w - 1) * s + 1, x.shape[3])
      z = lax.slice(x, (0, i, j, 0), stop, (1, s, s, 1))  # (b, h', w', c)
      # Only a strictly greater value takes over: the first maximum keeps it.
      y = z if y is None else jnp.where((z > y) | jnp.isnan(z), z, y)
  return y


def avg_pool(
  x: Array,
  window: int = 2,
  *,
  stride: int | None = None,
  padding: int = 0,
  ceil_mode: bool = False,
) -> Array:
  """Average pooling; zeros of the padding count (torch's default).

  Sizes as in `max_pool`. What lies beyond the padding, where `ceil_mode` lets
  a window reach, does not count (torch and Caffe).
  """
  s = stride or window
  h, top, bottom = window_ends(x.shape[1], window, s, padding, ceil_mode)
  w, left, right = window_ends(x.shape[2], window, s, padding, ceil_mode)
  rows, cols = (
    np.minimum(window, n + 2 * padding - s * np.arange(count))
    for n, count in zip(x.shape[1:3], (h, w))
  )
  zero = jnp.zeros((), x.dtype)
  x = lax.pad(
    x, zero, [(0, 0, 0), (top, bottom, 0), (left, right, 0), (0, 0, 0)]
  )
  sizes = (1, window, window, 1)
  total = lax.reduce_window(x, 0.0, lax.add, sizes, (1, s, s, 1), "VALID")
  return total / jnp.asarray(np.outer(rows, cols)[..., None], x.dtype)


def _bins(n: int, bins: int) -> np.ndarray:
  """(bins, n) weights; row i averages the pixels of bin i."""
  out = np.zeros((bins, n), np.float32)
  for i in range(bins):
    start, stop = i * n // bins, -(-(i + 1) * n // bins)
    out[i, start:stop] = 1 / (stop - start)
  return out


def adaptive_avg_pool(x: Array, size: int | tuple[int, int]) -> Array:
  """Averages over a grid of bins that covers the whole map.

  Bin i of b covers the pixels floor(i n / b) up to, not including,
  ceil((i + 1) n / b) of n: neighbours share a pixel where b does not divide n
  (torch's AdaptiveAvgPool2d). Sums are float32.

  Args:
    x: (b, h, w, c), floating.
    size: bins per side, or (rows, columns).

  Returns:
    (b, rows, columns, c) in the dtype of `x`.

  Raises:
    ValueError: more bins than pixels: one pixel would fill several bins.
  """
  rows, cols = (size, size) if isinstance(size, int) else size
  h, w = x.shape[1:3]
  if not (1 <= rows <= h and 1 <= cols <= w):
    raise ValueError(
      f"adaptive pooling of {h} x {w} pixels to {rows} x {cols} bins;"
      " expected at least one bin and no more bins than pixels."
    )
  high = lax.Precision.HIGHEST
  y = x.astype(jnp.float32)
  y = jnp.einsum("bhwc,yh->bywc", y, _bins(h, rows), precision=high)
  y = jnp.einsum("bywc,xw->byxc", y, _bins(w, cols), precision=high)
  return y.astype(x.dtype)
