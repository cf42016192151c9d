"""Clips: poses, motion and reprojection of what stands still."""

import cv2
import numpy as np
import pytest

from jaxseg.data import scenes
from jaxseg.data.scenes import camera as cam
from jaxseg.data.scenes import scene, world

SIZE = (96, 128)
SEEDS = (3, 4, 11, 31)
FRAMES = 4


@pytest.fixture(scope="module")
def clips():
  return {s: scenes.render_clip(s, FRAMES, SIZE) for s in SEEDS}


def test_a_clip_starts_with_the_still(clips):
  for seed, clip in clips.items():
    still = scenes.render_scene(seed, SIZE)
    for key in ("image", "label", "depth", "normal", "camera", "pose"):
      np.testing.assert_array_equal(clip[key][0], still[key])
    assert all(len(value) == FRAMES for value in clip.values())


def test_motion_is_the_change_of_pose(clips):
  for clip in clips.values():
    np.testing.assert_array_equal(clip["motion"][0], np.eye(4))
    pose = clip["pose"].astype(np.float64)
    for t in range(1, FRAMES):
      expected = np.linalg.inv(pose[t - 1]) @ pose[t]
      np.testing.assert_allclose(clip["motion"][t], expected, atol=1e-5)
      assert np.linalg.norm(clip["motion"][t][:3, 3]) > 0.01


def test_ids_keep_their_meaning(clips):
  for clip in clips.values():
    rows = clip["boxes"].shape[1]
    ids = np.unique(clip["instance"])
    np.testing.assert_array_equal(ids[ids > 0], 1 + np.arange(rows))
    for i in range(rows):
      kinds = clip["boxes"][:, i, 4]
      shown = (clip["instance"] == i + 1).any(axis=(1, 2))
      np.testing.assert_array_equal(kinds >= 0, shown)
      assert len(set(kinds[shown])) == 1
      assert (clip["boxes"][~shown, i, :4] == 0).all()


def _bilinear(image, x, y):
  """Samples at pixel coordinates; centres are at + 0.5."""
  return cv2.remap(
    image.astype(np.float32),
    (x - 0.5).astype(np.float32),
    (y - 0.5).astype(np.float32),
    cv2.INTER_LINEAR,
  )


def _warp(seed, t):
  """Static pixels of frame t, looked up in frame t - 1."""
  w = world.make_world(seed)
  now, old = (scene.frame(w, k, SIZE, seed) for k in (t, t - 1))
  points = cam.backproject(now["depth"], now["camera"])
  points = points @ now["motion"][:3, :3].T + now["motion"][:3, 3]
  z = np.maximum(points[..., 2], 0.1)
  x = points[..., 0] / z * old["camera"][0] + old["camera"][2]
  y = points[..., 1] / z * old["camera"][1] + old["camera"][3]
  moving = [np.isin(f["instance"], list(w.moving)) for f in (now, old)]
  static = (now["depth"] > 0) & ~moving[0]
  static &= (x > 1) & (x < SIZE[1] - 1) & (y > 1) & (y < SIZE[0] - 1)
  # Inverse depth is affine on the image of a plane: interpolate that.
  inverse = np.where(old["depth"] > 0, 1 / np.maximum(old["depth"], 0.1), 0)
  found = 1 / np.maximum(_bilinear(inverse, x, y), 1e-3)
  row, column = y.astype(int) % SIZE[0], x.astype(int) % SIZE[1]
  # Co-visible: nothing nearer, and nothing that moves, is in the way.
  seen = static & ~moving[1][row, column]
  seen &= old["depth"][row, column] > 0.95 * z
  label = old["label"][row, column] == now["label"]
  # Interpolated depth means something only inside one surface.
  ids = old["label"] * 100.0 + old["instance"]
  square = np.ones((3, 3), np.uint8)
  pure = (cv2.dilate(ids, square) == cv2.erode(ids, square))[row, column]
  color = np.abs(_bilinear(old["image"], x, y) - now["image"]).mean(-1)
  return seen, static, pure, np.abs(found / z - 1), label, color


@pytest.mark.parametrize("seed", SEEDS)
def test_static_pixels_reproject(seed):
  for t in (1, FRAMES - 1):
    seen, static, pure, depth, label, color = _warp(seed, t)
    assert seen.sum() > 0.8 * static.sum() > 2000
    assert pure[seen].mean() > 0.6
    assert np.mean(label[seen]) > 0.97
    assert np.mean(depth[seen & pure] < 0.01) > 0.97
    assert np.median(depth[seen]) < 1e-3
    assert np.median(color[seen]) < 6  # of 255, noise included


def test_the_wrong_motion_does_not_reproject(monkeypatch):
  """The test above can fail: standing still is not the answer."""
  good = np.median(_warp(3, 1)[3])
  honest = scene.frame

  def still(*args):
    return {**honest(*args), "motion": np.eye(4)}

  monkeypatch.setattr(scene, "frame", still)
  assert np.median(_warp(3, 1)[3]) > 10 * good


def test_things_move_on_their_own():
  moved = 0
  for seed in SEEDS:
    w = world.make_world(seed)
    start, end = world.joints(w, 0), world.joints(w, 3)
    for p, a, b in zip(w.people, start, end):
      step = np.linalg.norm((b[12] - a[12])[:2])
      np.testing.assert_allclose(step, 3 * p.speed, atol=1e-9)
      assert (p.instance in w.moving) == (p.speed > 0)
      moved += p.speed > 0
  assert moved
