"""KITTI depth as a TFDS builder, from raw drives and annotated depth maps.

Geiger et al., "Vision meets Robotics" (IJRR 2013); Uhrig et al., "Sparsity
Invariant CNNs" (2017, arXiv:1708.06500). The layout that is read:

  DATE/calib_cam_to_cam.txt, calib_imu_to_velo.txt, calib_velo_to_cam.txt
  DATE/DRIVE/image_02/data/NNNNNNNNNN.png (or .jpg)
  DATE/DRIVE/oxts/data/NNNNNNNNNN.txt
  train/DRIVE and val/DRIVE/proj_depth/groundtruth/image_02/NNNNNNNNNN.png

with DATE as 2011_09_26 and DRIVE as 2011_09_26_drive_0001_sync. Depth is 16
bits, 256ths of a metre, 0 where nothing was measured. Frames are those with
a depth map; a drive is cut where the numbers leave a gap. Poses are of the
left colour camera, rectified, from latitude, longitude, altitude and angles
of the OXTS unit on a Mercator map, as the development kit has them.
"""

from __future__ import annotations

import pathlib
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from jaxseg.data.builders import frames
from jaxseg.types import UserError

EARTH = 6378137.0  # metres, radius
SPLITS = ("train", "val")


def read_calibration(path: pathlib.Path) -> dict[str, np.ndarray]:
  """Key -> numbers of a file of 'key: numbers' lines.

  Raises:
    UserError: not there.
  """
  if not path.is_file():
    raise UserError(
      f"{path} is not there: download the calibration of that date."
    )
  out = {}
  for line in path.read_text().splitlines():
    key, _, values = line.partition(":")
    try:
      out[key.strip()] = np.array([float(v) for v in values.split()])
    except ValueError:
      continue  # a date
  return out


def _rigid(calibration: dict[str, np.ndarray]) -> np.ndarray:
  """(4, 4) of R (9,) and T (3,)."""
  out = np.eye(4)
  out[:3, :3] = calibration["R"].reshape(3, 3)
  out[:3, 3] = calibration["T"]
  return out


def camera_from_imu(folder: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
  """(4, 4) rectified left colour camera from IMU, and its (4,) intrinsics.

  The files count pixels from the centre of the first, which is at 0.5 here.
  """
  cams = read_calibration(folder / "calib_cam_to_cam.txt")
  velo = _rigid(read_calibration(folder / "calib_velo_to_cam.txt"))
  imu = _rigid(read_calibration(folder / "calib_imu_to_velo.txt"))
  rectify = np.eye(4)
  rectify[:3, :3] = cams["R_rect_00"].reshape(3, 3)
  p = cams["P_rect_02"].reshape(3, 4)
  aside = np.eye(4)  # camera 0 to camera 2
  aside[:3, 3] = np.linalg.solve(p[:, :3], p[:, 3])
  camera = np.array([p[0, 0], p[1, 1], p[0, 2] + 0.5, p[1, 2] + 0.5])
  return aside @ rectify @ velo @ imu, camera.astype(np.float32)


def imu_pose(oxts: np.ndarray, scale: float) -> np.ndarray:
  """World from IMU (4, 4) of a packet: lat, lon, alt, roll, pitch, yaw.

  Degrees and radians as in the files; `scale` is cos(latitude of the first).
  """
  lat, lon, alt, roll, pitch, yaw = oxts[:6]
  out = np.eye(4)
  out[:3, 3] = (
    scale * EARTH * np.deg2rad(lon),
    scale * EARTH * np.log(np.tan(np.pi / 4 + np.deg2rad(lat) / 2)),
    alt,
  )
  (cr, cp, cy), (sr, sp, sy) = (
    f(np.array([roll, pitch, yaw])) for f in (np.cos, np.sin)
  )
  about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
  about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
  about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
  out[:3, :3] = about_z @ about_y @ about_x
  return out


def read_drive(raw: pathlib.Path, depth: pathlib.Path) -> list:
  """Sequences of a drive: lists of Frame without a gap.

  Args:
    raw: the folder of the dates.
    depth: .../DRIVE of the annotated depth maps.

  Raises:
    UserError: calibration or a packet of the OXTS unit is missing.
  """
  drive = raw / depth.name[:10] / depth.name
  from_imu, camera = camera_from_imu(drive.parent)
  maps = sorted((depth / "proj_depth/groundtruth/image_02").glob("*.png"))
  found, scale, start, last = [], None, None, None
  for path in maps:
    packet = drive / f"oxts/data/{path.stem}.txt"
    if not packet.is_file():
      raise UserError(
        f"{packet} is not there, and the pose of {path} with it: unpack the "
        "synced raw drive."
      )
    oxts = np.array([float(v) for v in packet.read_text().split()])
    if scale is None:
      scale = np.cos(np.deg2rad(oxts[0]))
    pose = imu_pose(oxts, scale)
    # Metres from the drive's own start: the map's are millions.
    start = pose[:3, 3].copy() if start is None else start
    pose[:3, 3] -= start
    image = drive / f"image_02/data/{path.stem}.png"
    image = image if image.is_file() else image.with_suffix(".jpg")
    frame = frames.Frame(image, path, camera, pose @ np.linalg.inv(from_imu))
    if last is None or int(path.stem) != last + 1:
      found.append([])
    found[-1].append(frame)
    last = int(path.stem)
  return found


class JaxsegKittiDepth(tfds.core.GeneratorBasedBuilder):
  """Colour, depth, intrinsics and pose of each frame, in order."""

  name = "jaxseg_kitti_depth"
  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = "Pass the raw folder to jaxseg.data.prepare."

  def _info(self) -> tfds.core.DatasetInfo:
    return frames.info(
      self,
      "Driving with depth of accumulated laser scans.",
      "https://www.cvlibs.net/datasets/kitti/eval_depth_all.php",
    )

  def _split_generators(self, dl_manager):
    raw = pathlib.Path(dl_manager.manual_dir)
    parts = {}
    for split in SPLITS:
      drives = sorted((raw / split).glob("*_drive_*"))
      if not drives:
        raise UserError(
          f"{raw / split} holds no *_drive_*: expected the annotated depth "
          "maps of KITTI, train and val. Point --raw at the folder of both."
        )
      parts[split] = [one for d in drives for one in read_drive(raw, d)]
    return frames.splits(self, parts)

  def _generate_examples(self, found: frames.Sequences):
    return frames.records(found)
