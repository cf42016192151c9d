"""Clicks on an object and beside it: as maps, drawn at random, where next.

Clicks are int32 (..., n, 3): row, column, and 1 on the object, -1 on what is
not, 0 for a place in the list that holds no click. Everything but `check` runs
under jit, for any number of images.

As maps (Xu, Price, Cohen, Yang, Huang, "Deep Interactive Object Selection",
2016, arXiv 1603.04042): for each kind of click the Euclidean distance to the
nearest, cut off at `reach` (255 in the paper) and divided by it; 1 everywhere
where there is none. Rounded to 255ths, so that a picture of bytes holds the
same. Or discs about the clicks, as later work has them.

Drawn as in the paper: on the object at random, some pixels from its border and
from one another; beside it by one of three ways, chosen at random: at random
near the object; on other objects; spread about the object, each as far as can
be from those before. Differs from the paper: an image is drawn for anew in each
step; other objects count wherever they lie; where the object is too thin for
the margin, the margin is what its thickest place has.

The next click is in the middle of the largest error: of what was missed and
what was taken too much, as distance transforms see them, the pixel that is
farthest from the border of its region. "Largest" is that of the inscribed disc,
as in the evaluations of later work, not that of the area.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.ops import distance
from jaxseg.types import UserError

Array = jax.Array
KINDS = ("distance", "disc")
OBJECT, BACKGROUND, NONE = 1, -1, 0


class Draw(NamedTuple):
  """How clicks are drawn; pixels, and largest numbers of clicks.

  margin: from the object's border, on both sides (the paper's d_margin).
  step: from one click to another of its kind (d_step).
  near: reach around the object for clicks beside it (d).
  on: at most on the object, at least 1.
  beside: at most beside it, at least 0.
  """

  margin: float = 5.0
  step: float = 10.0
  near: float = 40.0
  on: int = 5
  beside: int = 10

  def spaced(self, step: float) -> Draw:
    """The same with this step, its other lengths in proportion."""
    by = step / self.step
    return self._replace(
      margin=by * self.margin, step=step, near=by * self.near
    )


def _squares(clicks: Array, size: tuple[int, int]) -> Array:
  """int32 (..., n, h, w): square of the distance to each click."""
  row, column = clicks[..., 0, None, None], clicks[..., 1, None, None]
  y, x = jnp.arange(size[0])[:, None], jnp.arange(size[1])
  return (y - row) ** 2 + (x - column) ** 2


def maps(
  clicks: Array,
  size: tuple[int, int],
  kind: str = "distance",
  reach: float = 255.0,
) -> Array:
  """float32 (..., h, w, 2) in [0, 1]: of clicks on the object, and beside it.

  Args:
    clicks: (..., n, 3), see the module.
    size: (h, w).
    kind: 'distance', or 'disc': 1 within `reach` of a click, 0 elsewhere.
    reach: pixels.
  """
  squares = _squares(clicks, size)
  found = []
  for sign in (OBJECT, BACKGROUND):
    own = (clicks[..., 2] == sign)[..., None, None]
    nearest = jnp.min(jnp.where(own, squares, distance.FAR), -3, initial=2**30)
    away = jnp.sqrt(nearest.astype(jnp.float32))
    if kind == "disc":
      found.append((away <= reach).astype(jnp.float32))
    else:
      share = jnp.minimum(away, reach) / reach
      found.append(jnp.round(share * 255) / 255)
  return jnp.stack(found, -1)


def draw(key: Array, target: Array, others: Array, how: Draw) -> Array:
  """Random clicks for one image: int32 (how.on + how.beside, 3).

  Args:
    key: of the image.
    target: bool (h, w), the object; where it is empty there are no clicks.
    others: bool (h, w), other objects.
    how: see `Draw`.
  """
  keys = jax.random.split(key, 4 + how.on + how.beside)
  away = distance.distance(jnp.stack([~target, target]))  # (2, h, w)
  deep = jnp.where(target & jnp.isfinite(away[0]), away[0], 0).max()
  inside = target & (away[0] >= jnp.minimum(how.margin, deep))
  around = ~target & (away[1] <= how.near)
  band = around & (away[1] >= how.margin)
  band = jnp.where(band.any(), band, around)
  way = jax.random.randint(keys[0], (), 0, 3)  # near, on others, spread
  way = jnp.where((way == 1) & ~others.any(), 0, way)
  count_on = jax.random.randint(keys[1], (), 1, how.on + 1)
  count_beside = jax.random.randint(keys[2], (), 0, how.beside + 1)
  some = target.any()
  on = _picks(keys[4 : 4 + how.on], inside & some, False, count_on, how.step)
  beside = _picks(
    keys[4 + how.on :],
    jnp.where(way == 1, others, band) & some,
    way == 2,
    count_beside,
    how.step,
  )
  signs = jnp.array([OBJECT] * how.on + [BACKGROUND] * how.beside)
  found = jnp.concatenate([on, beside])
  return found.at[:, 2].multiply(signs)


def _picks(
  keys: Array, allowed: Array, spread: Array | bool, count: Array, step: float
) -> Array:
  """int32 (len(keys), 3): places, the first `count` of them with a 1.

  Each is a random one of the allowed pixels that lie `step` from the earlier,
  or with `spread`, but for the first, the farthest from them.
  """
  h, w = allowed.shape

  def pick(near, turn):  # near: square of the distance to the earlier ones
    key, index = turn
    noise = jax.random.uniform(key, (h, w))
    wanted = jnp.where(spread & (index > 0), near.astype(jnp.float32), noise)
    free = allowed & (near >= step**2) & (index < count)
    at = jnp.argmax(jnp.where(free, wanted, -1.0))
    click = jnp.stack([at // w, at % w, jnp.ones_like(at)])
    click = jnp.where(free.any(), click, 0).astype(jnp.int32)
    here = _squares(click[None], (h, w))[0]
    return jnp.where(free.any(), jnp.minimum(near, here), near), click

  start = jnp.full((h, w), distance.FAR, jnp.int32)
  return jax.lax.scan(pick, start, (keys, jnp.arange(len(keys))))[1]


def following(pred: Array, target: Array, known: Array, clicks: Array) -> Array:
  """The next click: int32 (..., 3); of sign 0 where there is no error left.

  Args:
    pred: bool (..., h, w), what is taken for the object.
    target: bool (..., h, w), the object.
    known: bool (..., h, w), pixels that may be wrong at all.
    clicks: (..., n, 3), those before: none is made twice.

  Of errors of one depth a missed part goes first, then the first pixel in rows.
  """
  h, w = target.shape[-2:]
  wrong = (
    jnp.stack([target & ~pred, pred & ~target], -3) & known[..., None, :, :]
  )
  pads = [(0, 0)] * (wrong.ndim - 2) + [(1, 1)] * 2
  depth, _ = distance.squared_distance(~jnp.pad(wrong, pads))
  depth = depth[..., 1:-1, 1:-1]  # (..., 2, h, w), 0 where all is right
  made = (_squares(clicks, (h, w)) == 0) & (clicks[..., 2] != 0)[
    ..., None, None
  ]
  depth = jnp.where(made.any(-3)[..., None, :, :], 0, depth)
  flat = depth.reshape(*depth.shape[:-3], -1)
  at = jnp.argmax(flat, -1)
  place = at % (h * w)
  sign = jnp.where(at < h * w, OBJECT, BACKGROUND)
  sign = jnp.where(jnp.max(flat, -1) > 0, sign, NONE)
  return jnp.stack([place // w, place % w, sign], -1).astype(jnp.int32)


def check(
  on: Sequence[Sequence[float]],
  beside: Sequence[Sequence[float]],
  size: tuple[int, int],
) -> np.ndarray:
  """A person's clicks, as int32 (n, 3).

  Args:
    on: (x, y) in pixels of each click on the object; the upper left pixel is
      [0, 1) in both.
    beside: the same, on what is not the object.
    size: (h, w) of the image.

  Raises:
    UserError: none on the object, outside of the image, not two numbers, or
      a pixel with both.
  """
  found: dict[tuple[int, int], int] = {}
  for points, sign in ((on, OBJECT), (beside, BACKGROUND)):
    for point in points:
      try:
        x, y = (float(v) for v in point)
      except (TypeError, ValueError):
        raise UserError(
          f"click {point!r} is no place: expected [x, y], two numbers in "
          "pixels."
        ) from None
      if not (0 <= x < size[1] and 0 <= y < size[0]):  # NaN is not inside
        raise UserError(
          f"click x = {x:g}, y = {y:g} is outside of the image: expected 0 <= "
          f"x < {size[1]} and 0 <= y < {size[0]}."
        )
      place = (int(y), int(x))
      if found.setdefault(place, sign) != sign:
        raise UserError(
          f"the pixel x = {place[1]}, y = {place[0]} is clicked as the object "
          "and as what is not: remove one of the two."
        )
  if OBJECT not in found.values():
    raise UserError(
      f"there is no click on the object, and {len(found)} beside it: expected "
      "at least one, for nobody knows which object is meant."
    )
  return np.array([(*k, v) for k, v in found.items()], np.int32)
