"""Solids, camera, shadows and figures against geometry written anew."""

import math

import numpy as np
import pytest

from jaxseg.data.scenes import camera as cam
from jaxseg.data.scenes import figure, render, scene, shapes, world
from jaxseg.data.scenes.texture import Material, albedo, noise

BALL = shapes.Sphere(np.array([0.3, 2.0, 0.8]), 0.7)
BOX = shapes.Box(np.array([-0.2, 2.2, 0.6]), np.array([0.8, 0.4, 0.6]), 0.7)
CYLINDER = shapes.Cylinder(np.array([0.1, 1.9, 0.0]), 0.5, 1.3)
CAPSULE = shapes.Capsule(
  np.array([-0.6, 1.8, 0.4]), np.array([0.5, 2.4, 1.2]), 0.35
)


def _outside(shape, p):
  """Signed distance-like value of points (3, n): negative inside."""
  if isinstance(shape, shapes.Sphere):
    return np.linalg.norm(p - shape.centre[:, None], axis=0) - shape.radius
  if isinstance(shape, shapes.Box):
    c, s = math.cos(shape.yaw), math.sin(shape.yaw)
    inverse = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    q = inverse @ (p - shape.centre[:, None])
    return (np.abs(q) - shape.half[:, None]).max(axis=0)
  if isinstance(shape, shapes.Cylinder):
    q = p - shape.base[:, None]
    side = np.linalg.norm(q[:2], axis=0) - shape.radius
    return np.maximum(side, np.abs(q[2] - shape.height / 2) - shape.height / 2)
  # The capsule: distance to the nearest point of the segment.
  axis, q = (shape.b - shape.a)[:, None], p - shape.a[:, None]
  s = np.clip((axis * q).sum(0) / (axis**2).sum(), 0, 1)
  return np.linalg.norm(q - s * axis, axis=0) - shape.radius


@pytest.mark.parametrize("shape", [BALL, BOX, CYLINDER, CAPSULE])
def test_rays_enter_a_solid_where_it_begins(shape):
  rng = np.random.default_rng(0)
  o = np.array([[0.2], [-1.0], [1.7]])  # above: the foot is never entered
  target = rng.uniform([-1, 1.2, 0], [1, 2.8, 1.6], (300, 3)).T
  d = (target - o) / np.linalg.norm(target - o, axis=0)
  t = shape.hit(o, d)
  hit = np.isfinite(t)
  assert 40 < hit.sum() < 280
  steps = np.linspace(0, 6, 400)  # march along every ray
  path = o[:, :, None] + steps * d[:, :, None]
  depth = _outside(shape, path.reshape(3, -1)).reshape(300, -1)
  # A ray that misses never goes in; one that hits is outside before.
  assert depth[~hit].min() > -1e-3
  before = steps < t[:, None] - 1e-6
  assert depth[before].min() > -1e-4
  p = (o + np.where(hit, t, 0) * d)[:, hit]
  np.testing.assert_allclose(_outside(shape, p), 0, atol=2e-4)
  # The normal is the gradient of the distance.
  n = shape.normal(p)
  np.testing.assert_allclose(np.linalg.norm(n, axis=0), 1, atol=1e-9)
  assert (shapes.dot(n, d[:, hit]) < 0).all()
  assert (_outside(shape, p + 1e-3 * n) > 0).all()
  assert (_outside(shape, p - 1e-3 * n) < 0).mean() > 0.99


@pytest.mark.parametrize("shape", [BALL, BOX, CYLINDER, CAPSULE])
def test_bounds_hold_the_solid(shape):
  rng = np.random.default_rng(1)
  p = rng.uniform([-2, 0, -1], [2, 4, 3], (20000, 3)).T
  inside = p[:, _outside(shape, p) < 0]
  centre, radius = shape.bound()
  assert inside.shape[1] > 100
  assert (np.linalg.norm(inside - centre[:, None], axis=0) <= radius).all()


def test_a_ray_that_starts_beyond_a_solid_misses_it():
  o = np.array([[0.3], [9.0], [0.6]])
  d = np.array([[0.0], [1.0], [0.0]])
  for shape in (BALL, BOX, CYLINDER, CAPSULE):
    assert np.isinf(shape.hit(o, d)).all()


def test_camera_conventions():
  camera = cam.intrinsics((96, 128), math.radians(90))
  # 90 degrees across 128 pixels: f = 64 / tan 45.
  np.testing.assert_allclose(camera, [64, 64, 64, 48])
  pose = cam.look(np.array([1.0, 2.0, 1.5]), 0.0, 0.0)
  # One metre right of, and one below, a point five metres ahead (north).
  xy, z = cam.project(np.array([2.0, 7.0, 0.5]), camera, pose)
  np.testing.assert_allclose(xy, [64 + 64 / 5, 48 + 64 / 5])
  np.testing.assert_allclose(z, 5)
  for angles in [(0.4, 0, 0), (0, 0.3, 0), (0.2, -0.1, 0.1)]:
    pose = cam.look(np.zeros(3), *angles)
    np.testing.assert_allclose(
      pose[:3, :3].T @ pose[:3, :3], np.eye(3), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(pose[:3, :3]), 1)
    np.testing.assert_allclose(cam.invert(pose) @ pose, np.eye(4), atol=1e-12)
  assert cam.look(np.zeros(3), 0.2, 0)[0, 2] < 0  # yaw: to the left (west)
  assert cam.look(np.zeros(3), 0, 0.2)[2, 2] < 0  # pitch: down
  assert cam.look(np.zeros(3), 0, 0, 0.2)[2, 0] < 0  # roll: clockwise


def test_rays_project_and_backproject_are_inverse():
  size = (7, 9)
  camera = cam.intrinsics(size, 1.1)
  pose = cam.look(np.array([0.3, -2.0, 1.2]), 0.5, 0.2, -0.05)
  x, y = cam.centres(size)
  assert x[0, 0] == y[0, 0] == 0.5
  depth = np.random.default_rng(2).uniform(1, 9, size)
  points = pose[:3, 3] + depth[..., None] * np.moveaxis(
    cam.directions(x, y, camera, pose), 0, -1
  )
  xy, z = cam.project(points, camera, pose)
  np.testing.assert_allclose(xy, np.stack([x, y], -1), atol=1e-9)
  np.testing.assert_allclose(z, depth)
  local = (points - pose[:3, 3]) @ pose[:3, :3]
  np.testing.assert_allclose(cam.backproject(depth, camera), local, atol=1e-9)


def test_windows_hold_the_image_of_a_sphere():
  rng = np.random.default_rng(3)
  camera = cam.intrinsics((96, 128), 1.2)
  pose = cam.look(np.array([0.0, 0.0, 1.5]), 0.3, 0.1)
  for _ in range(50):
    centre = rng.uniform([-4, -3, 0], [4, 9, 3])
    radius = rng.uniform(0.1, 1.0)
    n = rng.normal(size=(400, 3))
    n *= radius / np.linalg.norm(n, axis=1, keepdims=True)
    xy, z = cam.project(centre + n, camera, pose)
    xy = xy[z > cam.NEAR]
    x0, x1, y0, y1 = cam.window(centre, radius, camera, pose)
    assert (xy[:, 0] >= x0).all()
    assert (xy[:, 0] <= x1).all()
    assert (xy[:, 1] >= y0).all()
    assert (xy[:, 1] <= y1).all()


def test_the_shadow_of_a_ball_is_a_tube():
  ball = shapes.Sphere(np.array([0.0, 5.0, 0.6]), 0.6)
  plain = Material("plain", np.ones(3), np.ones(3))
  solids = [world.Surface(ball, plain, world.SPHERE, 1)]
  size = (60, 80)
  camera = cam.intrinsics(size, 1.0)
  pose = cam.look(np.array([0.0, 0.0, 2.0]), 0.0, 0.3)
  x, y = cam.centres(size)
  hits = render.cast(solids, camera, pose, x.ravel(), y.ravel())
  sun = np.array([0.6, -0.2, 0.7])
  sun /= np.linalg.norm(sun)
  lit = render.lit(solids, hits, sun)
  ground = hits.index == 1
  q = hits.points[:, ground] - ball.centre[:, None]
  off = np.linalg.norm(q - np.outer(sun, sun @ q), axis=0)
  dark = off < 0.6
  assert dark.sum() > 50
  np.testing.assert_array_equal(lit[ground], ~dark)
  # On the ball itself: lit where it faces the sun.
  on_ball = hits.index == 0
  np.testing.assert_array_equal(
    lit[on_ball], sun @ hits.normals[:, on_ball] > 0
  )
  assert not lit[hits.index < 0].any()


def test_a_person_stands_on_the_ground_and_has_the_given_height():
  for phase in np.linspace(0, 6, 7):
    pose = figure.Pose(swing=0.5, raise_=(0.3, 1.0))
    joints = figure.skeleton(np.array([1.0, 2.0]), 0.8, 1.8, pose, phase)
    low = [min(c.a[2], c.b[2]) - c.radius for _, c in figure.limbs(joints, 0.8)]
    np.testing.assert_allclose(min(low), 0, atol=1e-9)
  joints = figure.skeleton(np.zeros(2), 0.8, 1.8, figure.Pose(), 0.0)
  high = [max(c.a[2], c.b[2]) + c.radius for _, c in figure.limbs(joints, 0.8)]
  np.testing.assert_allclose(max(high), 1.8, rtol=0.03)


def test_joints_are_named_from_the_persons_own_side():
  # Heading east (x): the left hand is north (y > 0).
  joints = figure.skeleton(np.zeros(2), 0.0, 1.8, figure.Pose(), 0.0)
  for name, joint in zip(figure.JOINTS, joints):
    if name.startswith("left"):
      assert joint[1] > 0.05
    if name.startswith("right"):
      assert joint[1] < -0.05
  assert joints[13, 2] > joints[12, 2] > joints[8, 2] > joints[2, 2]


def _flip():
  order = np.arange(14)
  for a, b in figure.JOINT_FLIP_PAIRS:
    order[[a, b]] = b, a
  return order


def test_flip_pairs_swap_left_and_right():
  order = _flip()
  np.testing.assert_array_equal(order[order], np.arange(14))
  swap = {"left": "right", "right": "left"}
  for i, name in enumerate(figure.JOINTS):
    side, _, part = name.partition("_")
    mirrored = f"{swap[side]}_{part}" if side in swap else name
    assert figure.JOINTS[order[i]] == mirrored
  bones = {frozenset(b) for b in figure.BONES}
  assert {frozenset((order[a], order[b])) for a, b in figure.BONES} == bones


def test_the_mirror_image_of_a_person_is_the_flipped_skeleton():
  pose = figure.Pose((0.1, 0.9), (0.2, 1.4), (0.3, 0.6), swing=0.4)
  other = figure.Pose((0.9, 0.1), (1.4, 0.2), (0.6, 0.3), swing=0.4)
  joints = figure.skeleton(np.zeros(2), 0.0, 1.7, pose, 1.1)
  mirror = figure.skeleton(np.zeros(2), 0.0, 1.7, other, 1.1 + math.pi)
  np.testing.assert_allclose(mirror, joints[_flip()] * [1, -1, 1], atol=1e-12)


def test_a_rolling_ball_does_not_slip():
  velocity, radius, dt = np.array([0.3, -0.4]), 0.5, 1e-4
  before, after = (world._roll(velocity, radius, t) for t in (2.0, 2.0 + dt))
  # The material point at the bottom, carried by centre and rotation.
  bottom = np.array([0, 0, -radius])
  moved = after @ before.T @ bottom - bottom
  moved[:2] += velocity * dt
  np.testing.assert_allclose(moved / dt, 0, atol=1e-3)


def test_noise_is_continuous_and_repeats_with_its_lattice():
  rng = np.random.default_rng(4)
  for dims, period in ((2, 128), (3, 32)):
    p = rng.uniform(-9, 9, (dims, 500))
    a = noise(p, 5)
    assert 0 <= a.min() < 0.2 < 0.8 < a.max() < 1
    np.testing.assert_allclose(noise(p + period, 5), a, atol=1e-9)
    assert np.abs(noise(p + 1e-6, 5) - a).max() < 1e-4
    assert np.abs(noise(p, 6) - a).mean() > 0.1


@pytest.mark.parametrize("pattern", ["noise", "stripes", "checker", "bricks"])
def test_patterns_fade_to_one_colour_far_away(pattern):
  m = Material(pattern, np.zeros(3), np.ones(3), scale=0.5)
  p = np.random.default_rng(5).uniform(-5, 5, (3, 400))
  near = albedo(m, p, np.full(400, 1e-3))
  far = albedo(m, p, np.full(400, 10.0))
  assert near.std() > 0.1
  assert far.std() < 1e-6
  # ... and that colour is the mean of the pattern.
  np.testing.assert_allclose(near.mean(), far.mean(), atol=0.08)


def test_bad_requests_are_refused():
  for seed, frames, size in [
    (-1, 1, (32, 32)),
    (0, 0, (32, 32)),
    (0, 1, (4, 9)),
  ]:
    with pytest.raises(scene.UserError, match="cannot be rendered"):
      scene.render_clip(seed, frames, size)
