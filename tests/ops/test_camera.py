"""Camera and motions against the scenes' own NumPy camera, and identities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.data.scenes import camera as scene_camera
from jaxseg.ops import camera as cam
from jaxseg.ops import motion as rigid
from jaxseg.types import UserError
from tests import quick

K = np.float32([[90, 95, 31, 22], [70, 70, 32, 24]])
SIZE = (45, 60)


def random_motion(rng, shift=1.0, batch=2):
  q = rng.normal(size=(batch, 4))  # turns up to 60 degrees
  q[:, 0] += 3
  return rigid.from_quaternion(q, shift * rng.normal(size=(batch, 3)))


def test_points_are_those_of_the_scenes():
  rng = np.random.default_rng(0)
  depth = rng.uniform(1, 9, (2, *SIZE)).astype(np.float32)
  got = quick.jit(cam.backproject)(depth, K)
  for g, d, k in zip(got, depth, K):
    np.testing.assert_allclose(g, scene_camera.backproject(d, k), rtol=2e-6)
  pixels, z = quick.jit(cam.project)(got, K)
  np.testing.assert_allclose(z, depth)
  x, y = scene_camera.centres(SIZE)
  want = np.broadcast_to(np.stack([x, y], -1), pixels.shape)
  np.testing.assert_allclose(pixels, want, atol=2e-5)


def test_projection_is_the_scenes():
  rng = np.random.default_rng(1)
  points = rng.normal(size=(7, 3)) * [2, 2, 1] + [0, 0, 4]
  want, _ = scene_camera.project(points, K[0], np.eye(4))
  got, _ = cam.project(jnp.float32(points), K[0])
  np.testing.assert_allclose(got, want, rtol=1e-5)


def test_without_batch_and_under_vmap():
  depth = np.random.default_rng(0).uniform(1, 9, (2, *SIZE)).astype(np.float32)
  motion = random_motion(np.random.default_rng(1))

  def both(d, k, m):
    return rigid.apply(m, cam.backproject(d, k))

  want = both(depth, K, motion)
  np.testing.assert_array_equal(jax.vmap(both)(depth, K, motion), want)
  np.testing.assert_array_equal(both(depth[1], K[1], motion[1]), want[1])


def test_what_is_behind_has_finite_gradients():
  points = jnp.array([[1.0, 2, -3], [1, 2, 0], [0, 0, 1e-9]])
  grad = jax.grad(lambda p: cam.project(p, K[0])[0].sum())(points)
  assert np.isfinite(grad).all()


def test_motions_invert_and_compose():
  rng = np.random.default_rng(2)
  a, b = random_motion(rng), random_motion(rng)
  points = rng.normal(size=(2, 5, 6, 3)).astype(np.float32)
  # Oracle: homogeneous coordinates in float64.
  ones = np.concatenate([points, np.ones((2, 5, 6, 1))], -1)
  want = np.einsum("bij,byxj->byxi", np.float64(a), ones)[..., :3]
  np.testing.assert_allclose(rigid.apply(a, points), want, atol=1e-5)
  back = rigid.apply(rigid.invert(a), rigid.apply(a, points))
  np.testing.assert_allclose(back, points, atol=1e-5)
  np.testing.assert_allclose(rigid.invert(a), np.linalg.inv(a), atol=1e-5)
  twice = rigid.apply(rigid.compose(b, a), points)
  np.testing.assert_allclose(
    twice, rigid.apply(b, rigid.apply(a, points)), atol=1e-5
  )


def test_quaternions():
  quarter = [np.cos(np.pi / 4), 0, 0, np.sin(np.pi / 4)]  # about z: x to y
  turn = rigid.from_quaternion(5 * np.float32(quarter))  # of any length
  x = jnp.array([1.0, 0, 0])
  np.testing.assert_allclose(rigid.rotate(turn, x), [0, 1, 0], atol=1e-6)
  rng = np.random.default_rng(3)
  q = rng.normal(size=(20, 4))
  turns = rigid.from_quaternion(q)
  np.testing.assert_allclose(rigid.from_quaternion(-q), turns, atol=1e-6)
  rigid.validate_motion(turns)
  # Rodrigues: the trace is 1 + 2 cos of the angle, the axis stays.
  angle = 2 * np.arccos(np.abs(q[:, 0]) / np.linalg.norm(q, axis=1))
  trace = np.trace(turns[:, :3, :3], axis1=1, axis2=2)
  np.testing.assert_allclose(trace, 1 + 2 * np.cos(angle), atol=1e-5)
  axis = q[:, 1:].astype(np.float32)
  np.testing.assert_allclose(rigid.rotate(turns, axis), axis, atol=1e-5)
  np.testing.assert_array_equal(rigid.from_quaternion(np.zeros(4)), np.eye(4))


@pytest.mark.parametrize(
  ("change", "says"),
  [
    (lambda m: None, "no motion between the frames"),
    (lambda m: m[:3], r"shape \(3, 4\): expected \(\.\.\., 4, 4\)"),
    (lambda m: m * np.nan, "NaN or infinite"),
    (lambda m: m.T, "last row .* transposed"),
    (lambda m: m @ np.diag([2.0, 2, 2, 1]), "no rotation.*off .* by 3"),
    (lambda m: m @ np.diag([1.0, 1, -1, 1]), "mirrors"),
  ],
)
def test_a_motion_that_is_none(change, says):
  good = np.array(random_motion(np.random.default_rng(4))[0])
  np.testing.assert_array_equal(rigid.validate_motion(good), good)
  with pytest.raises(UserError, match=f"frame 7: .*{says}"):
    rigid.validate_motion(change(good), "frame 7")


@pytest.mark.parametrize(
  ("camera", "says"),
  [
    (None, "no intrinsics"),
    ([90, 90, 32], r"shape \(3,\)"),
    ([90, np.nan, 32, 24], "not four finite numbers"),
    ([90, 0, 32, 24], "focal lengths .* not positive"),
  ],
)
def test_intrinsics_that_are_none(camera, says):
  np.testing.assert_array_equal(cam.validate_camera(K), K)
  with pytest.raises(UserError, match=f"camera: .*{says}"):
    cam.validate_camera(camera)
