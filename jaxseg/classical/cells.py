"""The grid that superpixels start from, and what a pixel may belong to.

A picture is cut into rows x columns cells; superpixel i starts in cell i. A
pixel considers the superpixels that started in its own cell and around it, as
Jampani et al. (2018) have it: a fixed number of candidates, so that assignment
is nine gathers over the picture, whatever the number of superpixels.
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
  """rows x columns cells over h x w pixels."""

  rows: int
  columns: int
  height: int
  width: int

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
      f" pixels; expected 1 to {height * width}: ask for fewer."
    )
  step = math.sqrt(height * width / segments)
  rows = min(max(round(height / step), 1), height)
  columns = min(max(round(segments / rows), 1), width)
  return Grid(rows, columns, height, width)


def home(cells: Grid) -> tuple[np.ndarray, np.ndarray]:
  """Row and column of the cell of each pixel, int32 (h,) and (w,)."""
  y = np.arange(cells.height) * cells.rows // cells.height
  x = np.arange(cells.width) * cells.columns // cells.width
  return y.astype(np.int32), x.astype(np.int32)


def candidates(cells: Grid) -> tuple[Array, Array]:
  """int32 (9, h, w) superpixels near each pixel; bool, whether they exist."""
  y, x = home(cells)
  index, there = [], []
  for dy, dx in around(1):
    r, c = (y + dy)[:, None], (x + dx)[None]
    there.append((r >= 0) & (r < cells.rows) & (c >= 0) & (c < cells.columns))
    r, c = np.clip(r, 0, cells.rows - 1), np.clip(c, 0, cells.columns - 1)
    index.append(r * cells.columns + c)
  return jnp.asarray(np.stack(index)), jnp.asarray(np.stack(there))


def positions(cells: Grid) -> Array:
  """float32 (h, w, 2): y, x of each pixel."""
  y, x = np.mgrid[: cells.height, : cells.width]
  return jnp.asarray(np.stack([y, x], -1), jnp.float32)


def start(cells: Grid) -> Array:
  """int32 (h, w): the cell of each pixel."""
  y, x = home(cells)
  return jnp.asarray(y[:, None] * cells.columns + x[None])


def means(values: Array, labels: Array, count: int, before: Array) -> Array:
  """Mean of (h, w, c) over each of `count` labels; `before` without pixels."""
  flat = labels.reshape(-1)
  area = jnp.zeros(count).at[flat].add(1.0)[:, None]
  total = jnp.zeros((count, values.shape[-1]))
  total = total.at[flat].add(values.reshape(flat.size, -1))
  return jnp.where(area > 0, total / jnp.maximum(area, 1.0), before)
