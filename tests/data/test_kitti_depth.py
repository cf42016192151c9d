"""KITTI's depth from its raw folders, a miniature of them."""

import numpy as np
import pytest

from jaxseg.data import prepare, sequences
from jaxseg.data.builders import kitti_depth
from jaxseg.data.datasets import KITTI_DEPTH
from jaxseg.types import UserError
from tests.data.video_files import decoded, picture, write

RNG = np.random.default_rng(0)
DATE = "2011_09_26"
OFFSET = (0.3, -0.8, 1.7)  # of the laser from the IMU, its own axes
SHIFT = 45.0  # pixel metres, camera 0 to camera 2


def write_kitti(raw):
  """A drive that goes east, then turns left; {split: depth maps}."""
  date = raw / DATE
  date.mkdir(parents=True)
  axes = "0 -1 0 0 0 -1 1 0 0"  # camera x = -y, y = -z, z = x of the laser
  (date / "calib_velo_to_cam.txt").write_text(
    f"calib_time: 15-Mar-2012\nR: {axes}\nT: 0 0 0\n"
  )
  offset = " ".join(map(str, OFFSET))
  (date / "calib_imu_to_velo.txt").write_text(
    f"R: 1 0 0 0 1 0 0 0 1\nT: {offset}\n"
  )
  (date / "calib_cam_to_cam.txt").write_text(
    "R_rect_00: 1 0 0 0 1 0 0 0 1\n"
    f"P_rect_02: 700 0 600 {SHIFT} 0 710 180 0 0 0 1 0\n"
  )
  maps = {}
  for number, split in enumerate(("train", "val"), 1):
    drive = f"{DATE}_drive_{number:04d}_sync"
    frames = [5, 6, 7, 8, 20, 21]
    maps[split] = RNG.integers(0, 20000, (len(frames), 6, 10)).astype("u2")
    for i, frame in enumerate(frames):
      folder = date / drive
      write(folder / f"image_02/data/{frame:010d}.png", picture((6, 10)))
      depth = raw / split / drive / "proj_depth/groundtruth/image_02"
      write(depth / f"{frame:010d}.png", maps[split][i])
      packet = folder / f"oxts/data/{frame:010d}.txt"
      packet.parent.mkdir(parents=True, exist_ok=True)
      east = 1e-5 * frame
      yaw = 0.0 if frame < 8 else 0.2
      packet.write_text(f"49.0 {8.4 + east} 115.0 0 0 {yaw} " + "0 " * 24)
  return maps


def test_kitti_depth(tmp_path):
  maps = write_kitti(tmp_path / "raw")
  place = tmp_path / "tfds"
  prepare.prepare(KITTI_DEPTH, str(place), str(tmp_path / "raw"))
  options = sequences.ClipOptions(2, overlap=True)
  source, frames = decoded(KITTI_DEPTH, place, "train", options)
  assert len(source) == 4  # 5-8 and 20-21: none over the gap
  np.testing.assert_allclose(frames[1]["depth"], maps["train"][1] / 256)
  np.testing.assert_array_equal(frames[0]["camera"], [700, 710, 600.5, 180.5])
  # East is x of the map and, with yaw 0, forward: z of the camera.
  metre = 1e-5 * np.pi / 180 * kitti_depth.EARTH * np.cos(np.deg2rad(49))
  motion = frames[1]["motion"]
  np.testing.assert_allclose(motion[:3, :3], np.eye(3), atol=1e-6)
  np.testing.assert_allclose(motion[:3, 3], [0, 0, metre], atol=1e-4)
  # A turn by 0.2 to the left about the IMU, which lies behind the camera.
  _, frames = decoded(KITTI_DEPTH, place, "train", options, 2)
  motion = frames[1]["motion"]
  c, s = np.cos(0.2), np.sin(0.2)
  turn = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
  np.testing.assert_allclose(motion[:3, :3], turn, atol=1e-6)
  # The IMU in the camera's frame: by the axes and OFFSET, then P's shift.
  imu = np.array([SHIFT / 700 - OFFSET[1], -OFFSET[2], OFFSET[0]])
  want = np.array([0, 0, metre]) + imu - turn @ imu
  np.testing.assert_allclose(motion[:3, 3], want, atol=1e-4)


def test_mistakes_of_kitti_depth(tmp_path):
  raw = tmp_path / "raw"
  (raw / "train").mkdir(parents=True)
  with pytest.raises(UserError, match=r"holds no \*_drive_\*"):
    prepare.prepare(KITTI_DEPTH, str(tmp_path / "d"), str(raw))
  write_kitti(raw)
  drive = raw / f"train/{DATE}_drive_0001_sync"
  packet = raw / DATE / drive.name / "oxts/data/0000000006.txt"
  packet.unlink()
  with pytest.raises(UserError, match=r"0000000006.txt is not there"):
    kitti_depth.read_drive(raw, drive)
  (raw / DATE / "calib_velo_to_cam.txt").unlink()
  with pytest.raises(UserError, match="download the calibration"):
    kitti_depth.read_drive(raw, drive)
