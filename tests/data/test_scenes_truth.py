"""The truth of the embedded scenes agrees with itself and with geometry."""

import zlib

import numpy as np
import pytest

from jaxseg.data import scenes
from jaxseg.data.scenes import camera as cam
from jaxseg.data.scenes import render, world

COUNT = 60


@pytest.fixture(scope="module")
def stills():
  return [scenes.render_scene(seed) for seed in range(COUNT)]


@pytest.fixture(scope="module")
def skeletons(stills):
  """World joints (m, 14, 3) of the people that each still shows."""
  out = []
  for seed, s in enumerate(stills):
    w = world.make_world(seed)
    solids, pose = world.surfaces(w, 0), world.camera_pose(w, 0)
    size = s["label"].shape
    x, y = cam.centres(size)
    camera = cam.intrinsics(size, w.fov)
    hits = render.cast(solids, camera, pose, x.ravel(), y.ravel())
    shown = {solids[i].instance for i in hits.index if 0 <= i < len(solids)}
    people = [p.instance in shown for p in w.people]
    out.append(world.joints(w, 0)[np.array(people, bool)])
  return out


def test_the_first_sample_is_the_same_everywhere(stills):
  first = stills[0]
  assert zlib.crc32(first["label"].tobytes()) == 3915247506
  assert zlib.crc32(first["instance"].tobytes()) == 2775242899
  centimetres = np.rint(first["depth"] * 100).astype("<i4")
  assert zlib.crc32(centimetres.tobytes()) == 886960183
  # Colour passes through libm: a tolerance instead of a checksum.
  np.testing.assert_allclose(
    first["image"].mean(axis=(0, 1)), [160.37, 164.86, 165.22], atol=0.05
  )


def test_a_seed_is_an_image(stills):
  again = scenes.render_scene(1)
  for key, value in stills[1].items():
    np.testing.assert_array_equal(again[key], value)
    assert again[key].dtype == value.dtype
  assert not np.array_equal(stills[0]["image"], stills[1]["image"])


def test_every_class_is_common_and_none_drowns_the_others(stills):
  labels = np.stack([s["label"] for s in stills])
  count = len(scenes.CLASSES)
  assert labels.max() < count == len(scenes.PALETTE)
  for k in range(count):
    share = (labels == k).mean(axis=(1, 2))
    # Present: enough pixels to be seen.
    assert (share > 0.002).mean() >= 0.15, scenes.CLASSES[k]
    assert share.mean() <= 0.6, scenes.CLASSES[k]


def test_instances_are_the_things(stills):
  for s in stills:
    things = np.isin(s["label"], scenes.THINGS)
    np.testing.assert_array_equal(s["instance"] > 0, things)
    ids = np.unique(s["instance"])
    np.testing.assert_array_equal(ids[ids > 0], 1 + np.arange(len(s["boxes"])))
    for i, box in enumerate(s["boxes"]):
      mask = s["instance"] == i + 1
      assert set(s["label"][mask]) == {int(box[4])}


def test_boxes_are_tight(stills):
  for s in stills:
    for i, (y0, x0, y1, x1, _) in enumerate(s["boxes"].astype(int)):
      mask = s["instance"] == i + 1
      inside = mask[y0:y1, x0:x1]
      assert inside.sum() == mask.sum()
      for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
        assert edge.any()


def test_sky_is_where_depth_and_normals_end(stills):
  for s in stills:
    sky = s["label"] == scenes.CLASSES.index("sky")
    np.testing.assert_array_equal(s["depth"] == 0, sky)
    length = np.linalg.norm(s["normal"], axis=-1)
    np.testing.assert_array_equal(length == 0, sky)
    np.testing.assert_allclose(length[~sky], 1, atol=1e-5)
    assert s["depth"].max() <= 60


def test_normals_face_the_camera(stills):
  for s in stills:
    rays = cam.backproject(np.ones(s["depth"].shape), s["camera"])
    facing = (rays * s["normal"]).sum(-1)
    assert (facing[s["depth"] > 0] < 0).all()


def _from_depth(depth, camera):
  """Normals of the interior (h - 2, w - 2, 3) by central differences."""
  p = cam.backproject(depth.astype(np.float64), camera)
  right = p[1:-1, 2:] - p[1:-1, :-2]
  down = p[2:, 1:-1] - p[:-2, 1:-1]
  n = np.cross(down, right)  # x right, y down: down x right looks back
  return n / np.maximum(np.linalg.norm(n, axis=-1, keepdims=True), 1e-12)


def test_normals_are_the_gradient_of_depth(stills):
  angles = []
  for s in stills:
    n = _from_depth(s["depth"], s["camera"])
    given = s["normal"][1:-1, 1:-1]
    # Smooth: the four neighbours are on the same thing, nearly as inclined.
    ok = s["depth"][1:-1, 1:-1] > 0
    for dy, dx in ((0, 1), (2, 1), (1, 0), (1, 2)):
      at = slice(dy, dy + n.shape[0]), slice(dx, dx + n.shape[1])
      ok &= s["instance"][at] == s["instance"][1:-1, 1:-1]
      ok &= s["label"][at] == s["label"][1:-1, 1:-1]
      ok &= (s["normal"][at] * given).sum(-1) > np.cos(np.radians(20))
    cosine = np.clip((n * given).sum(-1)[ok], -1, 1)
    angles.append(np.degrees(np.arccos(cosine)))
  angles = np.concatenate(angles)
  assert len(angles) > 100_000
  assert np.median(angles) < 0.1
  assert np.percentile(angles, 95) < 2.0


def test_normals_of_floor_and_ceilings_are_vertical_in_the_world(stills):
  for s in stills[:20]:
    floor = np.isin(s["label"], [world.GROUND, world.PATH])
    up = s["normal"][floor] @ s["pose"][:3, :3].T
    np.testing.assert_allclose(up, np.tile([0, 0, 1], (len(up), 1)), atol=1e-6)
    points = cam.backproject(s["depth"], s["camera"])[floor]
    height = points @ s["pose"][2, :3] + s["pose"][2, 3]
    np.testing.assert_allclose(height, 0, atol=1e-4)


def test_joints_are_the_projected_skeleton(stills, skeletons):
  seen = 0
  for s, body in zip(stills, skeletons):
    assert s["keypoints"].shape == (len(body), 14, 3)
    for points, keys in zip(body, s["keypoints"]):
      local = (points - s["pose"][:3, 3]) @ s["pose"][:3, :3].astype(float)
      xy = local[:, :2] / local[:, 2:] * s["camera"][:2] + s["camera"][2:]
      inside = ((xy >= 0) & (xy < [128, 96])).all(-1) & (local[:, 2] > 0)
      np.testing.assert_array_equal(keys[:, 2] > 0, inside)
      np.testing.assert_allclose(keys[inside, :2], xy[inside], atol=1e-3)
      assert (keys[~inside] == 0).all()
      seen += inside.sum()
  assert seen > 500


def test_visible_joints_lie_on_their_person(stills):
  on, near, total, hidden, behind = 0, 0, 0, 0, 0
  for s in stills:
    person = np.pad(s["instance"], 1)
    for i, keys in enumerate(s["keypoints"]):
      assert s["boxes"][i, 4] == world.PERSON
      for x, y, v in keys:
        row, column = int(y), int(x)
        patch = person[row : row + 3, column : column + 3] == i + 1
        if v == 2:
          on += patch[1, 1]
          near += patch.any()
          total += 1
        elif v == 1:
          hidden += 1
          behind += s["depth"][row, column] > 0
  assert total > 400
  assert hidden > 100
  assert near == total
  # The joint's ray is not the ray of the pixel's centre: rims may differ.
  assert on / total > 0.97
  assert behind / hidden > 0.97


def test_visibility_is_a_depth_test(stills, skeletons):
  """A hidden joint is behind what its pixel shows; a seen one just inside."""
  gap = {1: [], 2: []}
  for s, body in zip(stills, skeletons):
    for points, keys in zip(body, s["keypoints"]):
      z = (points - s["pose"][:3, 3]) @ s["pose"][:3, 2]
      for (x, y, v), depth in zip(keys, z):
        if v:
          gap[int(v)].append(depth - s["depth"][int(y), int(x)])
  seen, hidden = np.array(gap[2]), np.array(gap[1])
  # No limb is thicker than 0.14 of the body height, here below 1.95 m.
  assert np.mean((seen > -0.02) & (seen < 0.28)) > 0.97
  assert np.mean(hidden > 0) > 0.95
  assert np.median(hidden) > np.median(seen)


def test_a_person_without_visible_pixels_has_no_row():
  rows = {len(scenes.render_scene(s, (24, 32))["keypoints"]) for s in range(12)}
  assert {0, 1} <= rows


def test_any_size_shows_the_same_world():
  small, large = (
    scenes.render_scene(7, size) for size in ((48, 64), (96, 128))
  )
  # Pixel (i, j) of the small image is the corner shared by four large ones.
  np.testing.assert_allclose(small["camera"] * 2, large["camera"], rtol=1e-6)
  four = large["label"].reshape(48, 2, 64, 2).transpose(0, 2, 1, 3)
  four = four.reshape(48, 64, 4)
  flat = (four == four[..., :1]).all(-1)
  assert flat.mean() > 0.7
  agree = small["label"][flat] == four[flat][:, 0]
  assert agree.mean() > 0.995
