"""Resizing, padding and cropping of (b, h, w, c) maps of any size.

Three sampling rules, told apart because mixing them shifts maps by a fraction
of a pixel: bilinear with half-pixel centres (torch align_corners=False,
`jax.image.resize` with antialias=False), bilinear with aligned corners, and
nearest with half-pixel centres (torch 'nearest-exact', `jax.image.resize`).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxseg.ops import rows

Array = jax.Array
Size = tuple[int, int]


def linear_weights(n: int, m: int, align_corners: bool) -> np.ndarray:
  """(m, n) weights of linear interpolation from n samples to m."""
  i = np.arange(m, dtype=np.float64)
  if align_corners:
    at = i * (n - 1) / max(m - 1, 1)
  else:
    at = np.clip((i + 0.5) * n / m - 0.5, 0, n - 1)
  low = np.minimum(np.floor(at).astype(int), max(n - 2, 0))
  part = at - low
  out = np.zeros((m, n), np.float32)
  out[np.arange(m), low] = 1 - part
  out[np.arange(m), np.minimum(low + 1, n - 1)] += part.astype(np.float32)
  return out


def _grow(x: Array, axis: int, factor: int) -> Array:
  """Half-pixel linear interpolation by a whole factor, as shifts.

  Neighbours only: no product with a (large) matrix, and a halo of one row
  when the axis is spread over devices.
  """
  n = x.shape[axis]
  first = lax.slice_in_dim(x, 0, 1, axis=axis)
  last = lax.slice_in_dim(x, n - 1, n, axis=axis)
  before = lax.concatenate(
    [first, lax.slice_in_dim(x, 0, n - 1, axis=axis)], axis
  )
  after = lax.concatenate([lax.slice_in_dim(x, 1, n, axis=axis), last], axis)
  phases = []
  for t in range(factor):
    shift = (t + 0.5) / factor - 0.5  # in (-0.5, 0.5)
    other = before if shift < 0 else after
    phases.append(x * (1 - abs(shift)) + other * abs(shift))
  y = jnp.stack(phases, axis + 1)
  shape = (*x.shape[:axis], n * factor, *x.shape[axis + 1 :])
  return y.reshape(shape)


def _grow_rows(x: Array, factor: int, align_corners: bool) -> Array:
  """Growth of the first axis by a whole factor under either rule.

  Row q * factor + t lies between rows q - 1 and q + 1, whose weights are taken
  from the matrix: three shifts, where rows are spread over devices.
  """
  n = x.shape[1]
  matrix = linear_weights(n, n * factor, align_corners).reshape(n, factor, n)
  at = np.arange(n)
  y = None
  for offset in (-1, 0, 1):
    there = (at + offset >= 0) & (at + offset < n)
    weights = matrix[at, :, np.clip(at + offset, 0, n - 1)]  # (n, factor)
    weights = (weights * there[:, None])[:, :, None, None].astype(x.dtype)
    term = rows.shifted(x, offset)[:, :, None] * weights
    y = term if y is None else y + term  # (b, n, factor, w, c)
  return y.reshape(x.shape[0], n * factor, *x.shape[2:])


def _grow_corners(x: Array, factor: int) -> Array:
  """n rows to factor * (n - 1) + 1, corners on corners: one shift.

  Row q * factor + t lies t / factor on the way from row q to the next.
  """
  after, zero = rows.shifted(x, 1), jnp.zeros((), x.dtype)
  y = None
  for t in range(factor):
    part = t / factor
    term = x * (1 - part) + after * part if t else x
    # Spread by padding, whose partition needs no size to divide; a reshape of
    # (n, factor) gathers.
    ends = ((0, 0, 0), (t, -t, factor - 1), (0, 0, 0), (0, 0, 0))
    term = lax.pad(term, zero, ends)  # (b, factor (n - 1) + 1, w, c)
    y = term if y is None else y + term
  return y


def _shrink_rows(x: Array, factor: int) -> Array:
  """Every factor-th of the first axis by the half-pixel rule."""
  high = x[:, factor // 2 :: factor]
  if factor % 2:
    return high
  return (x[:, factor // 2 - 1 :: factor] + high) / 2


def _linear(x: Array, axis: int, m: int, align_corners: bool) -> Array:
  n = x.shape[axis]
  if m == n:
    return x
  if axis == 1 and rows.split():
    if m % n == 0:
      return _grow_rows(x, m // n, align_corners)
    if n % m == 0 and not align_corners:
      return _shrink_rows(x, n // m)
    if align_corners and n > 1 and (m - 1) % (n - 1) == 0:
      return _grow_corners(x, (m - 1) // (n - 1))
  if m % n == 0 and not align_corners:
    return _grow(x, axis, m // n)
  weights = linear_weights(n, m, align_corners).astype(x.dtype)
  spec = {1: "bhwc,yh->bywc", 2: "bhwc,xw->bhxc"}[axis]
  return jnp.einsum(spec, x, weights, precision=lax.Precision.HIGHEST)


def resize_bilinear(
  x: Array, size: Size, *, align_corners: bool = False
) -> Array:
  """(b, h, w, c) -> (b, *size, c), linear in both axes, no antialiasing.

  With `align_corners` the centres of the corner pixels coincide; without it
  the borders of the two images do. Dtype is kept.
  """
  x = _linear(x, 2, size[1], align_corners)
  # Keeps XLA from computing the first axis again for every tap of the second.
  x = lax.optimization_barrier(x)
  return _linear(x, 1, size[0], align_corners)


def repeat(x: Array, times: int, axis: int) -> Array:
  """Every entry along the axis, `times` in a row.

  As jnp.repeat, which gathers, and whose gradient scatters: slow on CPUs.
  """
  shape = (*x.shape[: axis + 1], times, *x.shape[axis + 1 :])
  y = jnp.broadcast_to(jnp.expand_dims(x, axis + 1), shape)
  return y.reshape(*x.shape[:axis], -1, *x.shape[axis + 1 :])


def resize_nearest(x: Array, size: Size) -> Array:
  """(b, h, w, ...) -> (b, *size, ...): source pixel floor((i + 0.5) n / m).

  For maps of any dtype; no value appears that was not there.
  """
  for axis, m in zip((1, 2), size):
    n = x.shape[axis]
    if m % n == 0:
      x = repeat(x, m // n, axis)
    else:
      at = ((2 * np.arange(m) + 1) * n) // (2 * m)
      x = jnp.take(x, at, axis=axis)
  return x


def pad_to_stride(x: Array, stride: int) -> Array:
  """Repeats the last row and column until both sizes divide by `stride`.

  (b, h, w, c) -> (b, h', w', c); `crop` with the old h, w takes it back.
  """
  h, w = x.shape[1:3]
  return pad_edge(x, -h % stride, -w % stride)


def pad_edge(x: Array, bottom: int, right: int) -> Array:
  """Repeats the last row and the last column of (b, h, w, c) so often."""
  if rows.split():
    x, bottom = rows.extended(x, bottom), 0
  pads = ((0, 0), (0, bottom), (0, right), (0, 0))
  return jnp.pad(x, pads, mode="edge") if bottom or right else x


def pad_mirror(x: Array, rows: Size, cols: Size) -> Array:
  """Mirrors at the centre of the border pixels (NumPy 'reflect').

  `rows` and `cols` are (before, after) and may exceed the image, which is then
  mirrored again and again.
  """
  for axis, ends in ((1, rows), (2, cols)):
    at = np.pad(np.arange(x.shape[axis]), ends, mode="reflect")
    x = jnp.take(x, at, axis=axis)
  return x


def crop(x: Array, h: int, w: int, top: int = 0, left: int = 0) -> Array:
  """Rows top .. top + h and columns left .. left + w of (b, H, W, ...)."""
  if top + h > x.shape[1] or left + w > x.shape[2]:
    raise ValueError(
      f"crop of {h} x {w} at ({top}, {left}) does not fit into {x.shape[1]} x"
      f" {x.shape[2]}."
    )
  return x[:, top : top + h, left : left + w]


def crop_center(x: Array, h: int, w: int) -> Array:
  """The central h x w of (b, H, W, ...); an odd rest falls to the end."""
  return crop(x, h, w, (x.shape[1] - h) // 2, (x.shape[2] - w) // 2)
