"""Costs by brute force; the truth is where the sweep fits best."""

import jax
import numpy as np

from jaxseg.ops import camera as cam
from jaxseg.ops import cost_volume, parallax
from tests import quick

RNG = np.random.default_rng(0)


def test_every_part_has_length_one_or_none():
  x = RNG.normal(size=(2, 3, 4, 12)).astype(np.float32)
  x[0, 0, 0, 4:8] = 0
  got = np.asarray(cost_volume.unit_cuts(x, 3)).reshape(2, 3, 4, 3, 4)
  length = np.linalg.norm(got, axis=-1)
  assert length[0, 0, 0, 1] == 0
  length[0, 0, 0, 1] = 1
  np.testing.assert_allclose(length, 1, atol=1e-6)
  parts = x.reshape(got.shape)
  np.testing.assert_allclose(
    got * np.linalg.norm(parts, axis=-1, keepdims=True), parts, atol=1e-6
  )


def test_self_similarity_by_brute_force():
  radius, cuts, c = 2, 2, 6
  x = np.asarray(
    cost_volume.unit_cuts(RNG.normal(size=(2, 4, 7, c)).astype("f4"), cuts)
  )
  got = quick.jit(lambda x: cost_volume.self_similarity(x, radius, cuts))(x)
  assert got.shape == (2, 4, 7, 25 * cuts)
  for b, i, j in np.ndindex(2, 4, 7):
    k = 0
    for dy in range(-radius, radius + 1):
      for dx in range(-radius, radius + 1):
        inside = 0 <= i + dy < 4 and 0 <= j + dx < 7
        for cut in range(cuts):
          part = slice(cut * 3, cut * 3 + 3)
          want = x[b, i, j, part] @ x[b, i + dy, j + dx, part] if inside else 0
          np.testing.assert_allclose(got[b, i, j, k], want, atol=1e-6)
          k += 1
  middle = np.asarray(got).reshape(2, 4, 7, 25, cuts)[..., 12, :]
  np.testing.assert_allclose(middle, 1, atol=1e-6)  # the pixel itself


def test_the_sweep_by_brute_force():
  """At whole pixels there is nothing to mix."""
  now, old = (
    np.asarray(cost_volume.unit_cuts(RNG.normal(size=(1, 3, 5, 4)), 2))
    for _ in range(2)
  )
  column, row = RNG.integers(-1, 6, (2, 1, 3, 5, 6))
  places = np.stack([column + 0.5, row + 0.5], -1).astype(np.float32)
  got = quick.jit(lambda *a: cost_volume.sweep(*a, 2))(now, old, places)
  got = np.asarray(got).reshape(1, 3, 5, 6, 2)
  outside = 0
  for i, j, n in np.ndindex(3, 5, 6):
    x, y = column[0, i, j, n], row[0, i, j, n]
    inside = 0 <= x < 5 and 0 <= y < 3
    outside += not inside
    for cut in range(2):
      part = slice(2 * cut, 2 * cut + 2)
      want = now[0, i, j, part] @ old[0, y, x, part] if inside else 0
      np.testing.assert_allclose(got[0, i, j, n, cut], want, atol=1e-6)
  assert 10 < outside < 80


def texture(xy):
  """Smooth features of any place of a plane, (..., 2) metres -> (..., 8)."""
  waves = np.random.default_rng(5).normal(size=(2, 8)) * 2.5
  return np.sin(xy @ waves + np.arange(8))


def test_the_true_parallax_is_where_the_sweep_is_largest():
  """A textured wall, parallel to the image; the camera goes any way."""
  size, depth = (24, 32), 3.0
  camera = np.float32([30, 30, 16, 12])
  for shift in ([0.3, 0, 0], [0.1, -0.2, 0], [0.15, 0.1, 0.4], [-0.3, 0, -0.2]):
    motion = np.eye(4, dtype=np.float32)
    motion[:3, 3] = shift
    points = np.asarray(cam.backproject(np.full(size, depth, "f4"), camera))
    now = texture(points[..., :2])
    # The previous camera sees the plane z = depth + t_z, moved by the shift.
    rays = np.asarray(cam.rays(camera, size))
    old = texture(rays[..., :2] * (depth + shift[2]) - shift[:2])
    now, old = (cost_volume.unit_cuts(x[None], 1) for x in (now, old))
    rho, defined = parallax.depth_to_parallax(
      np.full((1, *size), depth, "f4"), camera[None], motion[None]
    )
    line = parallax.lines(camera[None], motion[None], size)
    steps = np.arange(-4, 5, dtype=np.float32)
    at = parallax.places(line, rho[..., None] + steps)
    costs = np.asarray(
      quick.jit(lambda *a: cost_volume.sweep(*a, 1))(now, old, at)
    )
    seen = np.asarray(defined) & (costs[..., 4] != 0)
    assert seen.mean() > 0.6
    assert (costs.argmax(-1) == 4)[seen].mean() > 0.97
    # Mixing neighbours shortens vectors.
    assert np.median(costs[..., 4][seen]) > 0.98
    # Off by two pixels the truth is two to the side.
    at = parallax.places(line, rho[..., None] + steps + 2)
    costs = np.asarray(cost_volume.sweep(now, old, at, 1))
    assert (costs.argmax(-1) == 2)[seen].mean() > 0.95


def test_without_a_line_all_places_are_the_far_one():
  motion = np.eye(4, dtype=np.float32)
  line = parallax.lines(np.float32([9, 9, 3, 2]), motion, (4, 6))
  at = parallax.places(line, np.arange(5.0) + np.zeros((4, 6, 1)))
  np.testing.assert_allclose(
    at, cam.centres((4, 6))[:, :, None] + np.zeros((5, 1)), atol=1e-5
  )


def test_gradients_are_finite_where_nothing_moved():
  def loss(x, motion):
    line = parallax.lines(np.float32([[9, 9, 3, 2]]), motion, (4, 6))
    at = parallax.places(line, np.ones((1, 4, 6, 3), "f4"))
    return cost_volume.sweep(x, x, at, 1).sum()

  x = np.zeros((1, 4, 6, 4), "f4")
  for motion in (np.eye(4, dtype="f4"), np.eye(4, dtype="f4")[[0, 2, 1, 3]]):
    for g in quick.jit(jax.grad(loss, (0, 1)))(x, motion[None]):
      assert np.isfinite(g).all()
