"""Room and best places against brute force over all pixels."""

import functools
import math

import jax
import numpy as np
import pytest

from jaxseg.applications import discs
from jaxseg.types import UserError
from tests import quick


@functools.cache
def compiled(count):
  def run(obstacles, margins, scale, least):
    free = discs.room(obstacles, margins, scale)
    found = discs.rank(free, scale, least, count)
    return free, found, discs.covers(found, free.shape[-2:], scale)

  return quick.jit(run)


def brute_room(obstacles, margins, scale):
  """By measuring from every pixel to every obstacle and to the border."""
  g, h, w = obstacles.shape
  free = np.full((h, w), np.inf)
  for y, x in np.ndindex(h, w):
    free[y, x] = min(y + 1, x + 1, h - y, w - x) * scale
    for kind in range(g):
      for oy, ox in np.argwhere(obstacles[kind]):
        away = math.hypot(y - oy, x - ox) * scale - margins[kind]
        free[y, x] = min(free[y, x], away)
  return free


def brute_radius(chosen, free, y, x, scale):
  """The largest disc about a pixel that leaves the chosen ones alone."""
  radius = free[y, x]
  for cy, cx, r in chosen:
    radius = min(radius, math.hypot(y - cy, x - cx) * scale - r)
  return radius


@pytest.mark.parametrize("seed", range(12))
def test_room_and_ranks_are_those_of_brute_force(seed):
  rng = np.random.default_rng(seed)
  h, w = 13, 17
  obstacles = rng.random((2, h, w)) < rng.choice([0.0, 0.01, 0.05, 0.3])
  obstacles[0] |= obstacles[1]
  scale, margins = float(rng.uniform(0.1, 3)), np.array([0.0, 1.5], np.float32)
  least = 1.2 * scale
  free, found, cover = jax.device_get(
    compiled(6)(obstacles, margins, scale, least)
  )
  want = brute_room(obstacles, margins, scale)
  np.testing.assert_allclose(free, want, rtol=1e-5, atol=1e-5)
  chosen = []
  for row, column, radius, there in zip(*found):
    left = np.array(
      [
        brute_radius(chosen, want, y, x, scale)
        for y, x in np.ndindex(h, w)
      ]
    )  # fmt: skip
    if not there:
      assert left.max() < least * (1 + 1e-5)
      assert (row, column, radius) == (0, 0, 0)
      continue
    assert radius == pytest.approx(left.max(), rel=1e-4)
    assert radius >= least
    assert brute_radius(chosen, want, row, column, scale) == pytest.approx(
      radius, rel=1e-4, abs=1e-5
    )
    # Of the equals it is nearest to the centre.
    off = np.array(
      [
        math.hypot(y - (h - 1) / 2, x - (w - 1) / 2)
        for y, x in np.ndindex(h, w)
      ]
    )
    mine = math.hypot(row - (h - 1) / 2, column - (w - 1) / 2)
    sure = left >= left.max() * (1 - 1e-7)
    assert mine <= off[sure].min() + 1e-9
    chosen.append((row, column, radius))
  count = int(found.found.sum())
  assert found.found[:count].all()  # what is not found comes last
  assert (cover.sum(0) <= 1).all()  # no pixel in two discs
  assert not (cover & obstacles[0]).any()


@pytest.mark.parametrize("seed", range(4))
def test_the_largest_disc_is_where_it_was_put(seed):
  """An obstacle everywhere but in one disc: centre and radius, to a pixel."""
  rng = np.random.default_rng(seed)
  h, w, radius = 60, 80, float(rng.uniform(6, 18))
  cy, cx = rng.uniform(radius + 2, [h - radius - 2, w - radius - 2])
  y, x = np.mgrid[:h, :w]
  blocked = (y - cy) ** 2 + (x - cx) ** 2 >= radius**2
  obstacles = blocked[None] | np.zeros((2, 1, 1), bool)
  free, found, _ = compiled(6)(obstacles, np.zeros(2, np.float32), 1.0, 5.0)
  assert abs(int(found.row[0]) - cy) <= 1
  assert abs(int(found.column[0]) - cx) <= 1
  assert abs(float(found.radius[0]) - radius) <= 1
  assert not found.found[1]  # what is left beside it is smaller than 5
  # One pixel in the middle of it moves the answer.
  obstacles[0, int(found.row[0]), int(found.column[0])] = True
  fewer, moved, _ = compiled(6)(obstacles, np.zeros(2, np.float32), 1.0, 2.0)
  assert (moved.row[0], moved.column[0]) != (found.row[0], found.column[0])
  assert moved.radius[0] < found.radius[0]
  assert (fewer <= free).all()  # an obstacle gives nobody room


def test_nowhere():
  obstacles = np.ones((2, 13, 17), bool)
  free, found, cover = compiled(6)(obstacles, np.zeros(2, np.float32), 1.0, 0.1)
  assert (free == 0).all()
  assert not found.found.any()
  assert not cover.any()


def test_without_obstacles_the_border_alone_is_kept_from():
  obstacles = np.zeros((2, 13, 17), bool)
  margins = np.array([0, 99], np.float32)  # of what is not there
  _, found, _ = compiled(6)(obstacles, margins, 0.5, 0.1)
  assert (found.row[0], found.column[0]) == (6, 8)  # the centre, of 5 equals
  assert found.radius[0] == 3.5


def test_metres_per_pixel():
  assert discs.metres_per_pixel(20, 1000) == 0.02
  # Twice as high a pixel sees twice as far.
  assert discs.metres_per_pixel(40, 1000) == 0.04
  for altitude, focal, says in (
    (0, 1000, "altitude_m = 0"),
    (-3.0, 1000, "altitude_m = -3.0: expected a number above 0"),
    (float("nan"), 1000, "altitude_m = nan"),
    (20, 0, "focal_px = 0"),
    (20, float("inf"), "focal_px = inf"),
  ):
    with pytest.raises(UserError, match=says):
      discs.metres_per_pixel(altitude, focal)
