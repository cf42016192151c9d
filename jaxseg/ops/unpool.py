"""Unpooling: nearest, bed of nails, and max unpooling by indices, (b, h, w, c).

An index is the flat position row * w + column of the maximum in its own plane,
int32, as torch's MaxPool2d(return_indices=True) gives it. Zeiler and Fergus
2014 (arXiv:1311.2901), Noh et al. 2015 (arXiv:1505.04366).

A scatter is slow on CPUs. Where no two windows overlap, every output pixel
belongs to one window, and unpooling is a comparison of that window's index
with the pixel's own position: elementwise, and so is its gradient.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg.ops import pooling, resize

Array = jax.Array
Size = tuple[int, int]


def max_pool_with_indices(
  x: Array,
  window: int = 2,
  *,
  stride: int | None = None,
  padding: int = 0,
  ceil_mode: bool = False,
) -> tuple[Array, Array]:
  """Max pooling that also says where the maxima were.

  Arguments, sizes and the rule for ties (the first maximum in row-major order;
  a NaN wins) are those of `pooling.max_pool`, and so are values and gradients.

  Returns:
    values (b, h', w', c) and indices int32 (b, h', w', c) into the h * w
    pixels of `x`.
  """
  s = stride or window
  rows, top, bottom = pooling.window_ends(
    x.shape[1], window, s, padding, ceil_mode
  )
  cols, left, right = pooling.window_ends(
    x.shape[2], window, s, padding, ceil_mode
  )
  low = jnp.array(-jnp.inf, x.dtype)
  padded = lax.pad(
    x, low, [(0, 0, 0), (top, bottom, 0), (left, right, 0), (0, 0, 0)]
  )
  value = tap = None
  for i in range(window):
    for j in range(window):
      stop = (i + (rows - 1) * s + 1, j + (cols - 1) * s + 1)
      z = lax.slice(
        padded,
        (0, i, j, 0),
        (x.shape[0], *stop, x.shape[3]),
        (1, s, s, 1),
      )  # (b, h', w', c)
      if value is None:
        value, tap = z, jnp.zeros(z.shape, jnp.int32)
        continue
      wins = (z > value) | jnp.isnan(z)
      value = jnp.where(wins, z, value)
      tap = jnp.where(wins, i * window + j, tap)
  # A window of nothing but -inf would point into the padding.
  row = _starts(rows, s, padding)[:, None, None] + tap // window
  row = jnp.clip(row, 0, x.shape[1] - 1)
  col = _starts(cols, s, padding)[:, None] + tap % window
  col = jnp.clip(col, 0, x.shape[2] - 1)
  return value, row * x.shape[2] + col


def max_unpool(
  x: Array,
  indices: Array,
  size: Size,
  *,
  stride: int | None = 2,
  padding: int = 0,
) -> Array:
  """Puts every value where its index says, zeros elsewhere.

  Args:
    x: (b, h, w, c).
    indices: (b, h, w, c) from `max_pool_with_indices` of a map of `size`.
    size: height and width of that map: a pooled 23 came from 45 or from 46.
    stride: of the pooling, whose window was not larger (else windows overlap).
      An index outside its own window is dropped. None takes any indices, by
      a scatter: slow on CPUs, and where two values meet either may stay.
    padding: of the pooling.

  Returns:
    (b, *size, c) in the dtype of `x`.

  Raises:
    ValueError: `x` and `indices` differ in shape, or `size` has pixels that
      no window covered.
  """
  if x.shape != indices.shape:
    raise ValueError(
      f"values {x.shape} and indices {indices.shape} differ; expected one"
      " index per value."
    )
  if stride is None:
    return _scatter(x, indices, size)
  b, h, w, c = x.shape
  for n, m in zip((h, w), size):
    if not (n - 1) * stride - padding < m <= n * stride + stride - 1:
      raise ValueError(
        f"unpooling {h} x {w} with stride {stride} cannot give {size}; expected"
        " the size of the map that was pooled."
      )
  # Position inside the own window, of the index and of every output pixel.
  row = indices // size[1] - _starts(h, stride, padding)[:, None, None]
  col = indices % size[1] - _starts(w, stride, padding)[:, None]
  taps = jnp.arange(stride, dtype=indices.dtype)
  here = row[:, :, None, :, None] == taps[:, None, None, None]
  here &= col[:, :, None, :, None] == taps[:, None]
  y = jnp.where(here, x[:, :, None, :, None], jnp.zeros((), x.dtype))
  y = y.reshape(b, h * stride, w * stride, c)
  ends = [(-padding, m + padding - n, 0) for n, m in zip(y.shape[1:3], size)]
  return lax.pad(y, jnp.zeros((), y.dtype), [(0, 0, 0), *ends, (0, 0, 0)])


def at_maxima(x: Array, pooled: Array, window: int = 2) -> Array:
  """Undoes a pooling, whose sizes were rounded up, at the places of its maxima.

  Args:
    x: (b, ceil(h / window), ceil(w / window), c).
    pooled: (b, h, w, c), the map that was pooled.

  Returns:
    (b, h, w, c): x where each window of `pooled` has its maximum, else zeros.
  """
  _, indices = max_pool_with_indices(pooled, window, ceil_mode=True)
  return max_unpool(x, indices, pooled.shape[1:3], stride=window)


def _starts(n: int, stride: int, padding: int) -> Array:
  """First row or column of each of n windows, int32 (n,)."""
  return jnp.arange(n, dtype=jnp.int32) * stride - padding


def _scatter(x: Array, indices: Array, size: Size) -> Array:
  b, h, w, c = x.shape
  flat = jnp.zeros((b, size[0] * size[1], c), x.dtype)
  batch = jnp.arange(b)[:, None, None]
  at = indices.reshape(b, h * w, c)
  flat = flat.at[batch, at, jnp.arange(c)].set(x.reshape(b, h * w, c))
  return flat.reshape(b, *size, c)


def nearest_unpool(x: Array, factor: int = 2) -> Array:
  """Repeats every pixel: (b, h, w, c) -> (b, h * factor, w * factor, c)."""
  return resize.repeat(resize.repeat(x, factor, 1), factor, 2)


def bed_of_nails(x: Array, factor: int = 2) -> Array:
  """Value at the top left of each cell of factor x factor, zeros elsewhere.

  (b, h, w, c) -> (b, h * factor, w * factor, c).
  """
  gap = (0, factor - 1, factor - 1)  # low, high, interior
  zero = jnp.zeros((), x.dtype)
  return lax.pad(x, zero, [(0, 0, 0), gap, gap, (0, 0, 0)])
