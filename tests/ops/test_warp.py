"""Bilinear samples by brute force; the previous frame seen from this one."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.data.scenes import scene, world
from jaxseg.ops import motion as rigid
from jaxseg.ops import warp
from tests import quick

sample = quick.jit(warp.sample)
warp_previous = quick.jit(warp.warp_previous)
RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(2, 5, 7, 3)).astype(np.float32)


def brute(image, x, y):
  """One sample in float64, or None."""
  h, w = image.shape[:2]
  if not (0.5 <= x <= w - 0.5 and 0.5 <= y <= h - 0.5):
    return None
  out = 0.0
  for i in range(h):
    for j in range(w):
      part = max(0, 1 - abs(y - i - 0.5)) * max(0, 1 - abs(x - j - 0.5))
      out = out + part * image[i, j].astype(np.float64)
  return out


def test_samples_by_brute_force():
  xy = RNG.uniform(-1, 8, (2, 6, 9, 2)).astype(np.float32)
  xy[0, 0, :4] = [[0.5, 0.5], [6.5, 4.5], [6.5, 0.5], [3.5, 2.5]]  # centres
  got, valid = sample(IMAGE, xy)
  assert 20 < valid.sum() < 90
  for b, i, j in np.ndindex(2, 6, 9):
    want = brute(IMAGE[b], *xy[b, i, j])
    assert (want is not None) == bool(valid[b, i, j])
    want = np.zeros(3) if want is None else want
    np.testing.assert_allclose(got[b, i, j], want, atol=2e-6)


def test_only_good_pixels_are_mixed():
  image = IMAGE.copy()
  source = np.ones((2, 5, 7), bool)
  image[:, 2, 3], source[:, 2, 3] = np.nan, False
  x, y = np.meshgrid(np.linspace(0.5, 6.5, 13), np.linspace(0.5, 4.5, 9))
  xy = np.broadcast_to(np.stack([x, y], -1), (2, 9, 13, 2)).astype(np.float32)
  got, valid = sample(image, xy, source=source)
  # Spoilt: closer than one pixel in x and in y to the bad centre.
  spoilt = (abs(x - 3.5) < 1) & (abs(y - 2.5) < 1)
  np.testing.assert_array_equal(valid, np.broadcast_to(~spoilt, valid.shape))
  assert (got[:, spoilt] == 0).all()
  want, _ = sample(IMAGE, xy)
  np.testing.assert_array_equal(got[:, ~spoilt], want[:, ~spoilt])


def test_gradients_flow_to_image_and_place_and_not_outside():
  xy = np.float32([[[[2.2, 1.9], [9, 9], [np.nan, 1], [3.5, np.inf]]]])

  def loss(image, xy):
    return warp.sample(image[None], xy)[0].sum()

  value = quick.jit(loss)
  by_image, by_place = quick.jit(jax.grad(loss, (0, 1)))(
    jnp.asarray(IMAGE[0]), xy
  )
  np.testing.assert_allclose(by_image.sum(), 3, rtol=1e-6)  # three channels
  assert (by_place[0, 0, 1:] == 0).all()
  step = 1e-2
  for axis in (0, 1):
    ends = [xy[:, :, :1].copy() for _ in range(2)]
    ends[0][..., axis] -= step
    ends[1][..., axis] += step
    slope = (value(IMAGE[0], ends[1]) - value(IMAGE[0], ends[0])) / (2 * step)
    np.testing.assert_allclose(by_place[0, 0, 0, axis], slope, rtol=1e-3)


def test_one_row_one_column():
  got, valid = sample(jnp.full((1, 1, 1, 1), 4.0), jnp.full((1, 1, 1, 2), 0.5))
  assert valid.all()
  assert got.item() == 4


@pytest.fixture(scope="module")
def pairs():
  """Frames t - 1 and t of clips without the sensor's noise."""
  out = []
  for seed in (3, 4, 11, 31):
    w = dataclasses.replace(world.make_world(seed), noise=0.0)
    frames = [scene.frame(w, t, (96, 128), seed) for t in (0, 1)]
    moving = [np.isin(f["instance"], list(w.moving)) for f in frames]
    out.append((*frames, moving[0] | moving[1]))
  return out


def photometric(old, now, still, motion):
  image = old["image"].astype(np.float32)[None] / 255
  warped, valid = warp_previous(
    image,
    now["depth"][None],
    now["camera"][None],
    motion[None],
    previous_depth=old["depth"][None],
  )
  # Away from occlusions and from what moves on its own.
  use = np.asarray(valid[0]) & ~still
  error = np.abs(np.asarray(warped[0]) - now["image"] / 255.0).mean(-1)
  return error[use], use.mean() / (now["depth"] > 0).mean()


def test_the_previous_frame_is_this_one(pairs):
  for old, now, moving in pairs:
    error, share = photometric(old, now, moving, now["motion"])
    assert share > 0.75
    assert error.mean() < 0.01
    assert np.median(error) < 0.003


def test_the_wrong_motion_is_seen(pairs):
  for old, now, moving in pairs:
    right, _ = photometric(old, now, moving, now["motion"])
    back = np.asarray(rigid.invert(now["motion"]))
    wrong, _ = photometric(old, now, moving, back)
    assert np.median(wrong) > 4 * np.median(right)


def test_standing_still_changes_nothing():
  depth = RNG.uniform(1, 9, (2, 5, 7)).astype(np.float32)
  depth[0, 1, 1] = 0
  camera = np.float32([[9, 9, 3.5, 2.5]] * 2)
  motion = np.broadcast_to(np.eye(4, dtype=np.float32), (2, 4, 4))
  got, valid = warp_previous(IMAGE, depth, camera, motion)
  inside = np.asarray(valid)
  # Rounding may put the outermost centres a hair outside.
  assert inside[:, 1:-1, 1:-1].sum() == 2 * 3 * 5 - 1
  np.testing.assert_allclose(got[inside], IMAGE[inside], atol=1e-5)
  assert (got[~inside] == 0).all()
