"""Maps on their way to the size of the image: grown later, strip by strip.

A network whose last operation is a bilinear enlargement may hand out what is
enlarged. A sum over pixels then needs no map of the size of the image: strips
of rows are made, used and forgotten, in the backward pass once more.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxseg.ops import resize

Array = jax.Array
Size = tuple[int, int]

# Of a strip, all images and channels: 4 MB in float32 ...
STRIP = 2**20
MOST = 32  # ... but no more strips than these: each costs a start


@functools.partial(
  jax.tree_util.register_dataclass,
  data_fields=["small"],
  meta_fields=["size", "crop", "align_corners"],
)
@dataclasses.dataclass(frozen=True)
class Grown:
  """A map of (b, *crop, c) that has not been made; a pytree.

  Attributes:
    small: (b, h, w, c).
    size: to which it grows, see `resize.resize_bilinear`.
    crop: rows and columns of that, from the first, that there are.
    align_corners: how it grows.
  """

  small: Array
  size: Size
  crop: Size
  align_corners: bool = False

  @property
  def shape(self) -> tuple[int, ...]:
    """Of the map when it is made."""
    return (self.small.shape[0], *self.crop, self.small.shape[-1])

  def whole(self) -> Array:
    """The map: (b, *crop, c)."""
    x = resize.resize_bilinear(
      self.small, self.size, align_corners=self.align_corners
    )
    return resize.crop(x, *self.crop)


def whole(x: Array | Grown) -> Array:
  """The map itself, if it is one that has not been made."""
  return x.whole() if isinstance(x, Grown) else x


@dataclasses.dataclass(frozen=True)
class Plan:
  """How `count` strips of `rows` rows come out of a small map.

  Attributes:
    rows: of a strip.
    first: int32 (count,), the first row of the small map that a strip reads.
    weights: float32 (count, rows, m) of the m rows that it reads; zero below
      the last row of the map.
    columns: float32 (w, small w).
  """

  rows: int
  first: np.ndarray
  weights: np.ndarray
  columns: np.ndarray


def plan(grown: Grown, rows: int | None = None) -> Plan:
  """Strips of about STRIP numbers, or of `rows` rows."""
  b, h, w, c = grown.shape
  if rows is None:
    count = min(max(round(b * h * w * c / STRIP), 1), MOST, h)
  else:
    count = -(-h // rows)
  rows = -(-h // count)
  count = -(-h // rows)
  down, across = (
    resize.linear_weights(n, m, grown.align_corners)[:k]
    for n, m, k in zip(grown.small.shape[1:3], grown.size, grown.crop)
  )
  down = np.pad(down, ((0, count * rows - h), (0, 0)))
  down = down.reshape(count, rows, -1)
  reads = down.any(1)  # (count, small h)
  n = reads.shape[1]
  first = reads.argmax(1)
  most = int((n - reads[:, ::-1].argmax(1) - first).max())
  first = np.minimum(first, n - most)
  weights = np.stack([d[:, i : i + most] for d, i in zip(down, first)])
  return Plan(rows, first.astype(np.int32), weights, across)


def total(
  function: Callable[..., Any],
  grown: Grown,
  *maps: Array,
  rows: int | None = None,
  fill: int = -1,
) -> Any:
  """Sum over strips of function(strip, *strips of maps); memory of one strip.

  Exact for functions that are sums over pixels: the same numbers are added,
  in another order. Its gradient makes every strip a second time.

  Args:
    function: (b, rows, w, c) and strips of the maps -> pytree of sums.
    grown: what is cut into strips.
    maps: (b, h, w, ...), cut with it, such as labels.
    rows: of a strip; None: by size, see `plan`.
    fill: in the rows of the maps that the last strip has too many of.
  """
  b, h = grown.shape[:2]
  how = plan(grown, rows)
  if len(how.first) == 1:  # nothing to be saved
    return function(grown.whole(), *maps)
  count, most = len(how.first), how.weights.shape[-1]

  @functools.partial(jax.checkpoint, prevent_cse=False)
  def strip(small, first, weights, *parts):
    x = lax.dynamic_slice_in_dim(small, first, most, 1)
    x = jnp.einsum(
      "bhwc,xw->bhxc", x, how.columns, precision=lax.Precision.HIGHEST
    )
    x = jnp.einsum("bhwc,yh->bywc", x, weights, precision=lax.Precision.HIGHEST)
    return function(x, *parts)

  def cut(x):  # (b, h, ...) -> (count, b, rows, ...)
    ends = ((0, 0), (0, count * how.rows - h), *[(0, 0)] * (x.ndim - 2))
    x = jnp.pad(x, ends, constant_values=fill)
    return jnp.moveaxis(x.reshape(b, count, how.rows, *x.shape[2:]), 1, 0)

  small = grown.small.astype(jnp.float32)
  work = (jnp.asarray(how.first), jnp.asarray(how.weights), *map(cut, maps))
  shapes = jax.eval_shape(strip, small, *(x[0] for x in work))
  zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

  def one(sums, part):
    return jax.tree.map(jnp.add, sums, strip(small, *part)), None

  return lax.scan(one, zeros, work)[0]
