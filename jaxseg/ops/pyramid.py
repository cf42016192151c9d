"""Pyramids of one map: spatial pyramid pooling and the Laplacian pyramid.

Spatial pyramid pooling: He et al. 2014 (arXiv:1406.4729). Laplacian pyramid:
Burt and Adelson 1983 (doi:10.1109/TCOM.1983.1095851).
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg.ops import resize

Array = jax.Array
_BINOMIAL = (1 / 8, 3 / 8, 3 / 8, 1 / 8)


def _first_max(x: Array, axis: int) -> Array:
  """Maximum whose gradient goes to the first of equals."""
  place = jnp.argmax(x, axis=axis, keepdims=True)
  ids = jnp.arange(x.shape[axis])
  ids = ids.reshape([-1 if a == axis else 1 for a in range(x.ndim)])
  return jnp.sum(jnp.where(ids == place, x, jnp.zeros((), x.dtype)), axis)


def adaptive_max_pool(x: Array, size: int | tuple[int, int]) -> Array:
  """(b, h, w, c) -> (b, rows, columns, c), any h and w.

  Bin i of k covers pixels floor(i n / k) to ceil((i + 1) n / k): bins share
  pixels where k does not divide n, also where n < k. As torch's
  AdaptiveMaxPool2d, but for the gradient of equal maxima: here the first of
  the leftmost column takes it.
  """
  for axis, bins in zip(
    (1, 2), (size, size) if isinstance(size, int) else size
  ):
    n = x.shape[axis]
    cells = [(i * n // bins, -(-(i + 1) * n // bins)) for i in range(bins)]
    parts = [lax.slice_in_dim(x, *cell, axis=axis) for cell in cells]
    x = jnp.stack([_first_max(part, axis) for part in parts], axis)
  return x


def spatial_pyramid_pool(x: Array, bins: Sequence[int] = (4, 2, 1)) -> Array:
  """(b, h, w, c) -> (b, sum of bins^2 * c): one length for any image size.

  Level by level, each in the order of rows, columns, channels.
  """
  levels = [adaptive_max_pool(x, k).reshape(x.shape[0], -1) for k in bins]
  return jnp.concatenate(levels, axis=1)


def halve(x: Array) -> Array:
  """Half the size, filtered with 1 3 3 1 on both axes, edges repeated.

  An even filter, so that centres lie as in `resize.resize_bilinear`.
  (b, h, w, c) -> (b, ceil(h / 2), ceil(w / 2), c).
  """
  for axis in (1, 2):
    m = -(-x.shape[axis] // 2)
    pads = [(0, 0)] * x.ndim
    pads[axis] = (1, 2)
    padded = jnp.pad(x, pads, mode="edge")
    x = sum(
      weight * lax.slice_in_dim(padded, i, i + 2 * m - 1, stride=2, axis=axis)
      for i, weight in enumerate(_BINOMIAL)
    )
  return x


def laplacian_pyramid(x: Array, levels: int) -> list[Array]:
  """Band-pass maps, fine to coarse; the last is what is left, low-pass.

  Level k has ceil(h / 2^k) rows. Upsampling each (bilinear) and adding it to
  the next finer one gives `x` back.
  """
  bands = []
  for _ in range(levels - 1):
    low = halve(x)
    bands.append(x - resize.resize_bilinear(low, x.shape[1:3]))
    x = low
  return [*bands, x]
