"""The grid that superpixels start from, and what a pixel may belong to.

A picture is cut into rows x columns cells; superpixel i starts in cell i. A
pixel considers the superpixels that started in its own cell and around it, as
Jampani et al. (2018) have it: a fixed number of candidates, and the
pixels of a cell have the same: with the picture cut into cells, assignment and
means are dense, without a gather or a scatter.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import types

Array = jax.Array


def around(reach: int) -> tuple[tuple[int, int], ...]:
  """Steps to the cells up to `reach` away, the own cell first.

  First, because where distances are equal it is kept.
  """
  span = range(-reach, reach + 1)
  return ((0, 0), *((i, j) for i in span for j in span if i or j))


class Grid(NamedTuple):
  """rows x columns cells over h x w pixels.

  Cells are `side` pixels high and wide, and the last row and column has what
  is left over; with side 0 they are as equal as can be.
  """

  rows: int
  columns: int
  height: int
  width: int
  side: int = 0

  @property
  def count(self) -> int:
    """Number of cells."""
    return self.rows * self.columns

  @property
  def step(self) -> float:
    """S, the side of a square of the area of a cell, in pixels."""
    return math.sqrt(self.height * self.width / self.count)


def grid(height: int, width: int, segments: int) -> Grid:
  """About `segments` cells that are about square.

  Raises:
    UserError: fewer than one segment or more than there are pixels.
  """
  if not 1 <= segments <= height * width:
    raise types.UserError(
      f"{segments} segments were asked of a picture of {height} x {width}"
      f" pixels; expected 1 to {height * width}: ask for"
      f" {'more' if segments < 1 else 'fewer'}."
    )
  step = math.sqrt(height * width / segments)
  if step < 4:  # a whole number of pixels would be far from it
    rows = min(max(round(height / step), 1), height)
    columns = min(max(round(segments / rows), 1), width)
    return Grid(rows, columns, height, width)
  # Where scikit-image has its cells, so that superpixels compare one to one.
  side = round(step)
  rows, columns = (len(range(side // 2, n, side)) for n in (height, width))
  return Grid(max(rows, 1), max(columns, 1), height, width, side)


def home(cells: Grid) -> tuple[np.ndarray, np.ndarray]:
  """Row and column of the cell of each pixel, int32 (h,) and (w,)."""
  found = []
  for n, count in ((cells.height, cells.rows), (cells.width, cells.columns)):
    at = np.arange(n)
    if cells.side:
      index = np.minimum(at // cells.side, count - 1)
    else:
      index = at * count // n
    found.append(index.astype(np.int32))
  return tuple(found)


def _lines(cells: Grid) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
  """For rows, for columns: first pixel of each cell, pixels of the largest."""
  found = []
  for index, count in zip(home(cells), (cells.rows, cells.columns)):
    size = np.bincount(index, minlength=count)
    found.append((np.cumsum(size) - size, size))
  return tuple(found)


def split(values: Array, cells: Grid) -> tuple[Array, np.ndarray]:
  """The pixels of each cell side by side.

  Cells differ by a pixel in height and in width: short ones are filled up.

  Args:
    values: (h, w, c).
    cells: the grid.

  Returns:
    (rows, columns, c, p), and bool (rows, columns, p): real pixels.
  """
  lines, real = [], []
  for (first, size), last in zip(_lines(cells), (cells.height, cells.width)):
    step = np.arange(size.max())
    lines.append(np.minimum(first[:, None] + step, last - 1))
    real.append(step < size[:, None])
  (y, x), (there_y, there_x) = lines, real
  there = there_y[:, None, :, None] & there_x[None, :, None, :]
  blocks = values[y[:, None, :, None], x[None, :, None, :]]
  shape = (cells.rows, cells.columns, -1)
  blocks = jnp.moveaxis(blocks, -1, 2)  # (rows, columns, c, tall, wide)
  blocks = blocks.reshape(*shape[:2], values.shape[-1], -1)
  return blocks, there.reshape(shape)


def join(blocks: Array, cells: Grid) -> Array:
  """(..., rows, columns, p) -> (..., h, w): the inverse of `split`."""
  (top, tall), (left, wide) = _lines(cells)
  y, x = home(cells)
  row = (np.arange(cells.height) - top[y]) * wide.max()
  inner = row[:, None] + (np.arange(cells.width) - left[x])[None]
  assert blocks.shape[-1] == tall.max() * wide.max()
  return blocks[..., y[:, None], x[None], inner]


def near(values: Array, fill: float) -> Array:
  """(rows, columns, ...) -> (9, rows, columns, ...): of the cells around.

  Args:
    values: of each cell.
    fill: what is outside the grid.
  """
  pads = [(1, 1), (1, 1)] + [(0, 0)] * (values.ndim - 2)
  wide = jnp.pad(values, pads, constant_values=fill)
  rows, columns = values.shape[:2]
  return jnp.stack(
    [
      wide[1 + dy : 1 + dy + rows, 1 + dx : 1 + dx + columns]
      for dy, dx in around(1)
    ]
  )


def give(values: Array, combine: str = "add") -> Array:
  """(9, rows, columns, ...) -> (rows, columns, ...): to the cells around.

  The transpose of `near`: what each cell has for its nine neighbours, summed
  over where it comes from, or the largest, at least 0 ('max').
  """
  total = 0.0
  join = jnp.add if combine == "add" else jnp.maximum
  rest = [(0, 0)] * (values.ndim - 3)
  for value, (dy, dx) in zip(values, around(1)):
    pads = [(1 + dy, 1 - dy), (1 + dx, 1 - dx), *rest]
    total = join(total, jnp.pad(value, pads))
  return total[1:-1, 1:-1]


def positions(cells: Grid) -> Array:
  """float32 (h, w, 2): y, x of each pixel."""
  y, x = np.mgrid[: cells.height, : cells.width]
  return jnp.asarray(np.stack([y, x], -1), jnp.float32)


def start(cells: Grid) -> Array:
  """int32 (h, w): the cell of each pixel."""
  y, x = home(cells)
  return jnp.asarray(y[:, None] * cells.columns + x[None])
