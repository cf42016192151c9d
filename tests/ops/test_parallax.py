"""Parallax against projection, its special cases and its inverse."""

import jax
import numpy as np
import pytest

from jaxseg.ops import camera as cam
from jaxseg.ops import motion as rigid
from jaxseg.ops import parallax, warp
from tests import quick

SIZE = (24, 32)
K = np.float32([40, 44, 15.3, 12.9])


to_parallax = quick.jit(parallax.depth_to_parallax)
to_depth = quick.jit(parallax.parallax_to_depth)


def depths(seed=0, batch=1):
  rng = np.random.default_rng(seed)
  return rng.uniform(1, 60, (batch, *SIZE)).astype(np.float32)


def motions(seed, batch):
  """Turns up to some 25 degrees, shifts of a metre, any direction."""
  rng = np.random.default_rng(seed)
  q = 0.12 * rng.normal(size=(batch, 4)) + [1, 0, 0, 0]
  return rigid.from_quaternion(q, rng.normal(size=(batch, 3)))


def test_round_trip_for_random_motions():
  depth, motion = depths(0, 50), motions(1, 50)
  camera = np.broadcast_to(K, (50, 4))
  rho, there = to_parallax(depth, camera, motion)
  back, again = to_depth(rho, camera, motion)
  both = np.asarray(there & again)
  assert both.mean() > 0.95
  np.testing.assert_array_equal(there, again)
  relative = np.abs(back / depth - 1)[both]
  assert relative.max() <= 1e-4


def test_parallax_is_the_distance_from_the_far_place():
  """By projection: where the point is seen, minus where it would be at
  infinity."""
  depth, motion = depths(2, 8), motions(3, 8)
  camera = np.broadcast_to(K, (8, 4))
  rho, defined = to_parallax(depth, camera, motion)
  near, _, ahead = quick.jit(warp.reproject)(depth, camera, motion)
  far, _ = cam.project(rigid.rotate(motion, cam.rays(camera, SIZE)), camera)
  want = np.linalg.norm(near - far, axis=-1)
  use = np.asarray(defined & ahead)
  assert use.mean() > 0.9
  np.testing.assert_allclose(rho[use], want[use], rtol=2e-3, atol=1e-4)
  line = quick.jit(lambda k, m: parallax.lines(k, m, SIZE))(camera, motion)
  np.testing.assert_allclose(line.far[use], far[use], rtol=1e-4, atol=1e-4)
  # And it lies that way.
  step = rho[..., None] * line.offset / line.size[..., None]
  np.testing.assert_allclose(
    (line.far + step)[use], near[use], rtol=1e-4, atol=2e-3
  )


def test_pure_rotation_has_no_parallax_and_says_so():
  motion = np.array(motions(4, 1)[0])
  motion[:3, 3] = 0
  rho, defined = to_parallax(depths()[0], K, motion)
  assert (rho == 0).all()
  assert not defined.any()
  depth, defined = to_depth(np.ones(SIZE), K, motion)
  assert (depth == 0).all()
  assert not defined.any()


def test_lateral_motion_is_disparity():
  motion = np.eye(4, dtype=np.float32)
  motion[0, 3] = -0.54  # the baseline of a stereo pair
  depth = depths()[0]
  rho, defined = to_parallax(depth, K, motion)
  assert defined.all()
  np.testing.assert_allclose(rho, 40 * 0.54 / depth, rtol=1e-6)


def test_forward_motion_is_undefined_at_the_epipole_only():
  motion = np.eye(4, dtype=np.float32)
  motion[2, 3] = 1
  camera = np.float32([40, 40, 16.5, 12.5])  # on the centre of pixel (12, 16)
  _, defined = to_parallax(depths()[0], camera, motion)
  assert not defined[12, 16]
  assert defined.sum() == np.prod(SIZE) - 1


def test_turning_both_frames_changes_nothing():
  """The same two cameras, described in a world that is turned."""
  depth, motion = depths(5, 3), motions(6, 3)
  turn = motions(7, 3)
  now, old = rigid.compose(turn, motion), turn  # poses in the turned world
  again = rigid.compose(rigid.invert(old), now)
  camera = np.broadcast_to(K, (3, 4))
  a, _ = to_parallax(depth, camera, motion)
  b, _ = to_parallax(depth, camera, again)
  np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
  "function", [parallax.depth_to_parallax, parallax.parallax_to_depth]
)
def test_gradients_are_finite_everywhere(function):
  depth = depths()[0]
  depth[0] = 0
  grad = quick.jit(
    jax.grad(lambda d, m: function(d, K, m)[0].sum(), argnums=(0, 1))
  )
  for motion in (motions(8, 1)[0], np.eye(4, dtype=np.float32)):
    for g in grad(depth, motion):
      assert np.isfinite(g).all()
