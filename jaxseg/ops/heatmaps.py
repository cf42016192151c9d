"""Keypoints as maps and back: Gaussians, one-hot cells, argmax, soft-argmax.

Points are (..., k, 3): x, y in pixels and visibility (0 = not known). Maps are
(..., h, w, k). Cell i of a map lies at pixel i * stride + offset: `offset` 0
is the convention of the papers below, in which a pixel is its index; stride /
2 is that of this project, in which cell i covers the pixels from i * stride to
(i + 1) * stride, so that a mirrored map is the map of the mirrored points.

Gaussians as Xiao, Wu, Wei, "Simple Baselines for Human Pose Estimation and
Tracking" (2018, arXiv 1804.06208), one-hot cells as He et al., "Mask R-CNN"
(2017, arXiv 1703.06870). Differs from the former in points whose cell is
outside the map: they have weight 0, while the authors' code keeps those whose
Gaussian reaches in.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

Array = jax.Array
Step = float | Sequence[float] | Array  # one number, or (..., 2): x, y


def cells(
  points: Array, size: tuple[int, int], *, stride: Step, offset: Step = 0.0
) -> tuple[Array, Array]:
  """The cell of each point, and whether it counts.

  Args:
    points: (..., k, 3).
    size: (h, w) of the map.
    stride: pixels per cell; (..., 2) has x, y and broadcasts with (..., k, 2).
    offset: pixel at which cell 0 lies, likewise.

  Returns:
    (..., k, 2) int32 x, y = floor((x - offset) / stride + .5), and (..., k)
    float32 weights: 1 where it is seen and inside the map, else 0 (its cell
    is then (0, 0)).
  """
  points = points.astype(jnp.float32)
  at = jnp.floor((points[..., :2] - offset) / stride + 0.5)
  limit = jnp.asarray(size[::-1], jnp.float32)
  inside = jnp.all((at >= 0) & (at < limit), -1)  # False for NaN
  counts = inside & (points[..., 2] > 0)
  at = jnp.where(counts[..., None], at, 0).astype(jnp.int32)
  return at, counts.astype(jnp.float32)


def gaussian(
  points: Array,
  size: tuple[int, int],
  *,
  stride: Step,
  sigma: float = 2.0,
  offset: Step = 0.0,
) -> tuple[Array, Array]:
  """Gaussians of peak 1 about the points' cells, 0 beyond 3 sigma.

  The two axes are cut one by one, so the support is a square.

  Args:
    points: (..., k, 3).
    size: (h, w) of the maps.
    stride, offset: see `cells`.
    sigma: in cells.

  Returns:
    (..., h, w, k) float32, all 0 where the weight is, and (..., k) weights.
  """
  at, weight = cells(points, size, stride=stride, offset=offset)

  def bump(n: int, centre: Array) -> Array:  # (..., k) -> (..., n, k)
    d = jnp.arange(n)[:, None] - centre[..., None, :]
    value = jnp.exp(-0.5 * (d / sigma) ** 2)
    return jnp.where(jnp.abs(d) <= 3 * sigma, value, 0.0)

  rows = bump(size[0], at[..., 1]) * weight[..., None, :]
  cols = bump(size[1], at[..., 0])
  return rows[..., :, None, :] * cols[..., None, :, :], weight


def one_hot(
  points: Array, size: tuple[int, int], *, stride: Step, offset: Step = 0.0
) -> tuple[Array, Array]:
  """A single 1 in the cell of each point.

  Returns:
    (..., h, w, k) float32 of 0 and 1, all 0 where the weight is, and (..., k)
    weights; see `cells` for the arguments.
  """
  at, weight = cells(points, size, stride=stride, offset=offset)
  rows = jnp.arange(size[0])[:, None] == at[..., None, :, 1]
  cols = jnp.arange(size[1])[:, None] == at[..., None, :, 0]
  hot = rows[..., :, None, :] & cols[..., None, :, :]
  return hot * weight[..., None, None, :], weight


def roi_one_hot(
  points: Array, boxes: Array, m: int = 56
) -> tuple[Array, Array]:
  """Mask R-CNN's targets: one cell of m x m in the points' own box.

  Args:
    points: (..., k, 3).
    boxes: (..., 4) y0, x0, y1, x1 in pixels. A point on the lower or right
      border belongs to the last cell; one outside has weight 0.
    m: cells a side.

  Returns:
    (..., m, m, k) and (..., k); see `one_hot`.
  """
  boxes = boxes.astype(jnp.float32)[..., None, :]
  first, last = boxes[..., 1::-1], boxes[..., :1:-1]  # x, y
  xy = points[..., :2].astype(jnp.float32)
  at = (xy - first) * m / jnp.maximum(last - first, 1e-6)  # in cells
  at = jnp.where((xy == last) & (last > first), m - 0.5, at)
  points = jnp.concatenate([at, points[..., 2:]], -1)
  return one_hot(points, (m, m), stride=1.0, offset=0.5)


def _peak(maps: Array) -> tuple[Array, Array, Array]:
  """x, y and height of each map's largest value, (..., k) each."""
  h, w = maps.shape[-3:-1]
  flat = maps.reshape(*maps.shape[:-3], h * w, maps.shape[-1])
  best = jnp.argmax(flat, -2)
  return best % w, best // w, jnp.max(flat, -2)


def _points(x: Array, y: Array, score: Array, stride, offset) -> Array:
  xy = jnp.stack([x, y], -1).astype(jnp.float32) * stride + offset
  return jnp.concatenate([xy, score[..., None].astype(jnp.float32)], -1)


def argmax(maps: Array, *, stride: Step, offset: Step = 0.0) -> Array:
  """The cell of the largest value: (..., h, w, k) -> (..., k, 3).

  Returns:
    x, y in pixels and the value there. The first of equal ones, row by row.
  """
  return _points(*_peak(maps), stride, offset)


def quarter_argmax(maps: Array, *, stride: Step, offset: Step = 0.0) -> Array:
  """`argmax`, a quarter of a cell toward the higher neighbour in x and in y.

  At the border of the map, and between equal neighbours, it stays.
  """
  x, y, score = _peak(maps)
  h, w = maps.shape[-3:-1]

  def at(row: Array, col: Array) -> Array:
    flat = maps.reshape(*maps.shape[:-3], h * w, maps.shape[-1])
    index = jnp.clip(row, 0, h - 1) * w + jnp.clip(col, 0, w - 1)
    return jnp.take_along_axis(flat, index[..., None, :], -2)[..., 0, :]

  def shift(low: Array, high: Array, i: Array, n: int) -> Array:
    inner = (i > 0) & (i < n - 1)
    return jnp.where(inner, 0.25 * jnp.sign(high - low), 0.0)

  dx = shift(at(y, x - 1), at(y, x + 1), x, w)
  dy = shift(at(y - 1, x), at(y + 1, x), y, h)
  return _points(x + dx, y + dy, score, stride, offset)


def soft_argmax(
  maps: Array,
  *,
  stride: Step,
  offset: Step = 0.0,
  beta: float | None = None,
  radius: float | None = None,
) -> Array:
  """The mean position, weighted by the map: differentiable, sub-pixel.

  Args:
    maps: (..., h, w, k).
    stride, offset: see `cells`.
    beta: weights are softmax(beta * maps); None: the maps themselves, what is
      negative cut off.
    radius: only cells at most so far (in x and in y) from the largest value
      weigh, so that a second peak does not pull; None: all.

  Returns:
    (..., k, 3): x, y in pixels and the largest value of the map. A map
    without a positive value gives its `argmax`.
  """
  x, y, score = _peak(maps)
  h, w = maps.shape[-3:-1]
  maps = maps.astype(jnp.float32)
  if beta is None:
    weight = jnp.maximum(maps, 0.0)
  else:
    weight = jnp.exp(beta * (maps - score[..., None, None, :]))
  rows, cols = jnp.arange(h)[:, None], jnp.arange(w)[:, None]
  if radius is not None:
    near_y = jnp.abs(rows - y[..., None, :]) <= radius  # (..., h, k)
    near_x = jnp.abs(cols - x[..., None, :]) <= radius  # (..., w, k)
    near = near_y[..., :, None, :] & near_x[..., None, :, :]
    weight = jnp.where(near, weight, 0.0)
  total = jnp.sum(weight, (-3, -2))
  safe = jnp.where(total > 0, total, 1.0)
  mean_x = jnp.sum(jnp.sum(weight, -3) * cols, -2) / safe
  mean_y = jnp.sum(jnp.sum(weight, -2) * rows, -2) / safe
  x = jnp.where(total > 0, mean_x, x)
  y = jnp.where(total > 0, mean_y, y)
  return _points(x, y, score, stride, offset)
