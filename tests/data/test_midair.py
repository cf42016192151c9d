"""Mid-Air from its raw folders, miniatures of them."""

import shutil

import h5py
import numpy as np
import pytest

from jaxseg.data import prepare, sequences
from jaxseg.data.builders import midair
from jaxseg.data.datasets import MIDAIR
from jaxseg.types import UserError
from tests.data.video_files import decoded, picture, write

RNG = np.random.default_rng(0)


def quaternion(turn):
  """w, x, y, z of a rotation about z."""
  return [np.cos(turn / 2), 0, 0, np.sin(turn / 2)]


def write_midair(raw, images=9):
  """Three trajectories of one weather; the depth of each image."""
  folder = raw / "Kite_training/sunny"
  depth = RNG.uniform(2, 90, (3, images, 8, 8)).astype(np.float32)
  folder.mkdir(parents=True)
  with h5py.File(folder / "sensor_records.hdf5", "w") as file:
    for k in range(3):
      name = f"trajectory_300{k}"
      truth = file.create_group(f"{name}/groundtruth")
      at = np.arange(4 * images)
      truth["position"] = np.stack([0.1 * at, 0 * at, -0.01 * at], -1)
      truth["attitude"] = np.array([quaternion(0.01 * i) for i in at])
      for i in range(images):
        write(folder / f"color_left/{name}/{i:06d}.JPEG", picture((8, 8)))
        bits = (512 / depth[k, i]).astype(np.float16).view(np.uint16)
        write(folder / f"depth/{name}/{i:06d}.PNG", bits)
  return depth


def test_midair(tmp_path):
  depth = write_midair_images(tmp_path)
  place = tmp_path / "tfds"
  prepare.prepare(MIDAIR, str(place), str(tmp_path / "raw"))
  options = sequences.ClipOptions(3, overlap=False)
  train, frames = decoded(MIDAIR, place, "train", options, 1)
  test, _ = decoded(MIDAIR, place, "val", options)
  assert (len(train), len(test)) == (2, 1)
  assert "trajectory_3002" in test.name_of(0)  # every third
  for frame, i in zip(frames, (0, 4, 8)):  # one in four
    np.testing.assert_allclose(frame["depth"], depth[1, i], rtol=2e-3)
    np.testing.assert_array_equal(frame["camera"], [4, 4, 4, 4])
  # 16 poses later: 1.6 m to the north, 0.16 m up, turned by 0.16 to the right.
  motion = frames[1]["motion"]
  # The camera looked north, then: x right (east), y down, z forward.
  np.testing.assert_allclose(motion[:3, 3], [0, -0.16, 1.6], atol=1e-5)
  c, s = np.cos(0.16), np.sin(0.16)
  want = [[c, 0, s], [0, 1, 0], [-s, 0, c]]  # what is ahead now was right
  np.testing.assert_allclose(motion[:3, :3], want, atol=1e-5)


def write_midair_images(tmp_path):
  return write_midair(tmp_path / "raw")


def test_midair_axes():
  """Forward of the body is z of the camera, right x, down y."""
  got = midair.pose_of(np.array([1, 2, 3]), np.array([1, 0, 0, 0]))
  for camera, body in (
    ([1, 0, 0], [0, 1, 0]),
    ([0, 1, 0], [0, 0, 1]),
    ([0, 0, 1], [1, 0, 0]),
  ):
    np.testing.assert_array_equal(got[:3, :3] @ camera, body)
  np.testing.assert_array_equal(got[:3, 3], [1, 2, 3])


def test_mistakes_of_midair(tmp_path):
  (tmp_path / "raw").mkdir()
  with pytest.raises(UserError, match="at least three trajectories"):
    midair.read_folder(tmp_path / "raw")
  write_midair_images(tmp_path)
  folder = tmp_path / "raw/Kite_training/sunny/color_left/trajectory_3001"
  write(folder / "000040.JPEG", picture((8, 8)))
  (folder / "000008.JPEG").rename(folder / "000036.JPEG")
  with pytest.raises(UserError, match=r"would need pose 144"):
    midair.read_folder(tmp_path / "raw")
  shutil.rmtree(folder)
  folder.mkdir()
  with pytest.raises(UserError, match=r"holds no NNNNNN\.JPEG"):
    midair.read_folder(tmp_path / "raw")
