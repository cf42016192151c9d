"""Dilation by a Euclidean disc: of values (grey), of sets, of many sets."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array


def _shifted(x: Array, by: int, axis: int) -> Array:
  """x moved by `by` pixels along an axis; its end comes in, repeated."""
  n = x.shape[axis]
  by = max(-n, min(by, n))
  if by >= 0:
    end = lax.slice_in_dim(x, 0, 1, axis=axis)
    rest = lax.slice_in_dim(x, 0, n - by, axis=axis)
  else:
    end = lax.slice_in_dim(x, n - 1, n, axis=axis)
    rest = lax.slice_in_dim(x, -by, n, axis=axis)
  ends = jnp.repeat(end, abs(by), axis)
  return lax.concatenate([ends, rest] if by >= 0 else [rest, ends], axis)


def dilate(
  x: Array,
  radius: float,
  combine: Callable[[Array, Array], Array] = jnp.maximum,
) -> Array:
  """(..., h, w): the largest value within `radius` pixels, Euclidean.

  scipy.ndimage.grey_dilation with a disc. A disc is a stack of segments, one a
  row; the maximum over a segment grows from that over a shorter one. So a
  radius r costs 4 r shifts, where its pixels are 3 r^2. With `combine` =
  jnp.bitwise_or each bit is a set of its own: 32 classes at the cost of one.

  Args:
    x: any dtype that `combine` takes.
    radius: at least 0; a static number.
    combine: of two arrays; associative, commutative and f(a, a) = a.

  Raises:
    ValueError: the radius is negative.
  """
  if radius < 0:
    raise ValueError(f"radius = {radius}; expected at least 0.")
  reach = math.floor(radius)
  rows, columns = x.ndim - 2, x.ndim - 1
  out, near, at = None, x, 0  # near: columns up to `at` away
  for dy in range(reach, -1, -1):  # the farther the row, the fewer columns
    while at < reach and (at + 1) ** 2 + dy**2 <= radius**2:
      at += 1
      sides = combine(_shifted(x, at, columns), _shifted(x, -at, columns))
      near = combine(near, sides)
    # The edge repeated lies within the disc of whatever sees it: a pixel
    # beyond the edge is farther than the edge in its place.
    row = near
    if dy:
      row = combine(_shifted(near, dy, rows), _shifted(near, -dy, rows))
    out = row if out is None else combine(out, row)
  return out
