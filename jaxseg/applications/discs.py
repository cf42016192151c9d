"""Discs without obstacles: how much room each pixel has, and the best places.

A disc is a pixel, its centre, and a radius in metres; it covers the pixels
whose centres are nearer than the radius. The room of a pixel is the radius of
the largest disc about it that covers no obstacle and stays in the picture:
what lies beyond the border is not known, and an obstacle. It is read off exact
distance transforms. Obstacles of some kinds may ask for a margin, metres that
the disc keeps away from them: the room is the smallest over the kinds of
distance less margin.

The best places are taken in turn: the pixel with most room, then the one with
most room beside the disc about it, and so on. No two discs overlap, and the
second best is not the first moved by a pixel. Among equals the one nearest to
the centre of the picture is taken.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg.ops import distance
from jaxseg.types import UserError

Array = jax.Array
SAME = 1e-6  # radii that differ by this share are equal


class Discs(NamedTuple):
  """Best first. What was not found has radius 0 and place 0, 0.

  Attributes:
    row, column: int32 (..., k), the pixel that is the centre.
    radius: float32 (..., k), metres.
    found: bool (..., k); all False: there is no place.
  """

  row: Array
  column: Array
  radius: Array
  found: Array


def metres_per_pixel(altitude_m: float, focal_px: float) -> float:
  """Ground that a pixel sees, for a camera that looks straight down.

  Args:
    altitude_m: metres above flat ground.
    focal_px: focal length in pixels of the image: that in millimetres, times
      the image's width in pixels, over the sensor's width in millimetres.

  Raises:
    UserError: not a positive number.
  """
  for name, value, such in (
    ("altitude_m", altitude_m, "20, in metres above ground"),
    ("focal_px", focal_px, "1200, in pixels of the image"),
  ):
    _check_positive(name, value, such)
  return altitude_m / focal_px


def _check_positive(name: str, value: float, such: str) -> None:
  if not 0 < value < float("inf"):  # NaN is neither
    raise UserError(
      f"{name} = {value}: expected a number above 0, such as {such}."
    )


def room(obstacles: Array, margins: Array, scale: float | Array) -> Array:
  """Metres about each pixel; see the module.

  Args:
    obstacles: bool (..., g, h, w), one map for each kind. The border of the
      picture belongs to the first kind.
    margins: (g,) metres to keep from each kind.
    scale: metres per pixel.

  Returns:
    float32 (..., h, w): at most half the smaller side, negative within a
    margin.
  """
  first = jnp.arange(obstacles.shape[-3]) == 0
  h, w = obstacles.shape[-2:]
  pads = [(0, 0)] * (obstacles.ndim - 2) + [(1, 1), (1, 1)]
  inside = jnp.pad(jnp.ones((h, w), bool), 1)
  seeds = jnp.pad(obstacles, pads)
  seeds = seeds | (~inside & first[:, None, None])
  far = distance.distance(seeds)[..., 1:-1, 1:-1]  # (..., g, h, w)
  margins = jnp.asarray(margins, jnp.float32)[:, None, None]
  return jnp.min(far * scale - margins, -3)


def rank(
  free: Array,
  scale: float | Array,
  least: float | Array,
  count: int,
  size: Array | None = None,
) -> Discs:
  """The best places that do not overlap.

  Args:
    free: float32 (..., h, w) metres, from `room`.
    scale: metres per pixel.
    least: smallest radius in metres, above 0.
    count: how many discs at most.
    size: int (2,), height and width of the picture, whose centre decides among
      equals; None: the whole map.
  """
  h, w = free.shape[-2:]
  high, wide = (h, w) if size is None else size
  y, x = jnp.arange(h)[:, None], jnp.arange(w)
  off_centre = (2 * y - (high - 1)) ** 2 + (2 * x - (wide - 1)) ** 2

  def one(free):  # (h, w)
    def take(left, _):
      most = jnp.max(left)
      equal = left >= most - SAME * jnp.abs(most)
      at = jnp.argmin(jnp.where(equal, off_centre, jnp.iinfo(jnp.int32).max))
      row, column = at // w, at % w
      radius = left[row, column]
      found = (radius >= least) & (radius > 0)
      beside = _from(y, x, row, column) * scale - radius
      left = jnp.where(found, jnp.minimum(left, beside), left)
      zero = jnp.zeros_like(at)
      return left, Discs(
        jnp.where(found, row, zero).astype(jnp.int32),
        jnp.where(found, column, zero).astype(jnp.int32),
        jnp.where(found, radius, 0.0).astype(jnp.float32),
        found,
      )

    return lax.scan(take, free, length=count)[1]

  lead = free.shape[:-2]
  found = jax.vmap(one)(free.reshape(-1, h, w))
  return jax.tree.map(lambda a: a.reshape(*lead, count), found)


def covers(discs: Discs, size: tuple[int, int], scale: float | Array) -> Array:
  """bool (..., k, h, w): the pixels of each disc; none of what is not found."""
  y, x = jnp.arange(size[0])[:, None], jnp.arange(size[1])
  row, column, radius = (a[..., None, None] for a in discs[:3])
  # An obstacle at the very radius is not covered, though rounding may differ.
  return _from(y, x, row, column) * scale < radius * (1 - SAME)


def _from(y: Array, x: Array, row: Array, column: Array) -> Array:
  """Pixels from (row, column) to each (y, x): whole squares, one root."""
  return jnp.sqrt(((y - row) ** 2 + (x - column) ** 2).astype(jnp.float32))
