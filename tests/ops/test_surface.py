"""Normals from depth: planes exactly, a sphere, the scenes' own normals."""

import jax
import numpy as np

from jaxseg.data import scenes
from jaxseg.ops import camera as cam
from jaxseg.ops import surface, vectors
from tests import quick

SIZE = (48, 64)
K = np.float32([60, 66, 30.5, 25])


normals = quick.jit(
  surface.normals_from_depth, static_argnames=("radius", "jump")
)
angle = quick.jit(vectors.angle)


def degrees(a, b):
  return np.degrees(np.asarray(angle(a, b)))


def test_planes_are_exact():
  rng = np.random.default_rng(0)
  normal = rng.normal(size=(30, 3)) * [1, 1, 0.5] - [0, 0, 1.2]
  normal /= np.linalg.norm(normal, axis=1, keepdims=True)
  rays = np.asarray(cam.rays(K, SIZE), np.float64)
  facing = rays @ normal.T  # (h, w, 30)
  depth = np.where(facing < -0.05, -4 / facing, 0)
  depth = np.moveaxis(depth, -1, 0).astype(np.float32)
  camera = np.broadcast_to(K, (30, 4))
  for radius in (1, 2):
    got = normals(depth, camera, radius=radius)
    known = depth > 0
    off = degrees(got, np.float32(normal)[:, None, None])[known]
    assert known.mean() > 0.8
    assert np.abs(np.linalg.norm(got, axis=-1)[known] - 1).max() < 1e-5
    assert (np.asarray(got)[~known] == 0).all()
    # Float32 depths of a window: rounding is left.
    assert off.max() < 0.005


def sphere(camera, size, radius=2.0, distance=6.0):
  """Depth, exact normals and cosine to the ray of a sphere, in float64."""
  rays = np.asarray(cam.rays(camera, size), np.float64)
  square = (rays**2).sum(-1)
  centre = np.array([0.2, -0.3, distance])
  along = rays @ centre
  root = along**2 - square * (centre @ centre - radius**2)
  hit = root > 0
  z = np.where(hit, (along - np.sqrt(np.maximum(root, 0))) / square, 0)
  normal = (rays * z[..., None] - centre) / radius
  cosine = np.where(hit, -(normal * rays).sum(-1) / np.sqrt(square), 0)
  return z.astype(np.float32), np.where(hit[..., None], normal, 0), cosine


def test_a_sphere_within_a_degree():
  camera = np.float32([240, 240, 100, 100])
  depth, want, cosine = sphere(camera, (200, 200))
  got = normals(depth, camera)
  # Not on the rim, where a pixel spans tens of degrees.
  inner = cosine > 0.3
  assert inner.sum() > 10_000
  off = degrees(got, np.float32(want))[inner]
  assert off.max() <= 1.0
  assert np.median(off) < 0.05


def test_a_jump_of_depth_is_kept_out():
  depth = np.full(SIZE, 4.0, np.float32)
  depth[:, 32:] = 9
  bent = normals(depth, K)
  got = normals(depth, K, jump=0.1)
  np.testing.assert_allclose(
    got, np.broadcast_to([0, 0, -1.0], got.shape), atol=1e-5
  )
  assert degrees(bent, got)[:, 31].min() > 30  # without it the edge is a wall


def test_too_few_neighbours_have_no_normal():
  depth = np.zeros((5, 5), np.float32)
  depth[2] = 3  # one line of pixels: it may be turned about itself
  assert (normals(depth, K) == 0).all()
  depth[1, 2] = 3
  got = normals(depth, K)
  np.testing.assert_allclose(got[2, 2], [0, 0, -1], atol=1e-6)
  assert (got[4] == 0).all()


def test_the_scenes_own_normals():
  angles, counts = [], []
  for seed in range(12):
    s = scenes.render_scene(seed)
    got = np.asarray(normals(s["depth"], s["camera"]))
    given = s["normal"]
    same = s["depth"] > 0
    for i, j in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (1, -1)):
      near = np.roll(given, (i, j), (0, 1))
      ids = s["label"] * 100.0 + s["instance"]
      same &= np.roll(ids, (i, j), (0, 1)) == ids
      same &= (near * given).sum(-1) > np.cos(np.radians(20))
    same[0] = same[-1] = same[:, 0] = same[:, -1] = False
    angles.append(degrees(got, given)[same])
    counts.append(same.mean())
  angles = np.concatenate(angles)
  assert np.mean(counts) > 0.3
  assert np.median(angles) < 0.01
  assert np.percentile(angles, 95) < 1


def test_gradients_are_finite():
  depth, *_ = sphere(K, SIZE)  # half of it is invalid

  def loss(d):
    return surface.normals_from_depth(d, K)[..., 0].sum()

  g = quick.jit(jax.grad(loss))(depth)
  assert np.isfinite(g).all()
  assert (np.asarray(g)[depth == 0] == 0).all()
  assert (np.asarray(g)[depth > 0] != 0).any()
