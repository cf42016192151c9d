"""Mid-Air as a TFDS builder, from the raw folder.

Fonder, Van Droogenbroeck (CVPR Workshops 2019). The layout that is read:

  SET/WEATHER/color_left/trajectory_NNNN/NNNNNN.JPEG
  SET/WEATHER/depth/trajectory_NNNN/NNNNNN.PNG
  SET/WEATHER/sensor_records.hdf5, where trajectory_NNNN/groundtruth/ holds
    position (n, 3) metres, north, east, down; attitude (n, 4) quaternions w,
    x, y, z, world from body (x forward, y right, z down); four per image

Images have a field of view of 90 degrees. The bits of a depth map are float16
numbers, 512 / depth. Records hold one frame in four, as M4Depth reads them
(arXiv:2105.09847), and every third trajectory of a weather is of split test.
"""

from __future__ import annotations

import pathlib
from typing import Any, ClassVar

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

from jaxseg.data.builders import frames
from jaxseg.types import UserError

EVERY = 4  # frames
TEST = 3  # trajectories
RATE = 4  # poses per image: 100 Hz and 25 Hz
# Camera (x right, y down, z forward) to body (x forward, y right, z down).
BODY = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])


def pose_of(position: np.ndarray, attitude: np.ndarray) -> np.ndarray:
  """World from camera (4, 4) float64 of a body's place and attitude."""
  w, x, y, z = np.asarray(attitude, np.float64) / np.linalg.norm(attitude)
  pose = np.eye(4)
  pose[:3, :3] = [
    [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
    [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
    [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
  ]
  pose[:3, 3] = position
  return pose @ BODY


def camera_of(size: tuple[int, int]) -> np.ndarray:
  """(4,) of an image (h, w): focal length and centre are half its size."""
  h, w = size
  return np.array([w / 2, h / 2, w / 2, h / 2], np.float32)


def read_trajectory(folder: pathlib.Path, records: Any) -> list[frames.Frame]:
  """One frame in four of a trajectory.

  Args:
    folder: .../color_left/trajectory_NNNN.
    records: its group of sensor_records.hdf5, or a dict alike.

  Raises:
    UserError: no images, or more images than poses.
  """
  images = sorted(folder.glob("*.JPEG"))
  if not images:
    raise UserError(f"{folder} holds no NNNNNN.JPEG: unpack the images there.")
  truth = records["groundtruth"]
  position, attitude = np.asarray(truth["position"]), truth["attitude"]
  with PIL.Image.open(images[0]) as first:
    camera = camera_of(first.size[::-1])
  depth = folder.parents[1] / "depth" / folder.name
  out = []
  for image in images[::EVERY]:
    at = RATE * int(image.stem)
    if at >= len(position):
      raise UserError(
        f"{image} would need pose {at}, and sensor_records.hdf5 has "
        f"{len(position)} of {folder.name}: download both again."
      )
    pose = pose_of(position[at], np.asarray(attitude[at]))
    out.append(frames.Frame(image, depth / f"{image.stem}.PNG", camera, pose))
  return out


def read_folder(raw: pathlib.Path) -> dict[str, list[list[frames.Frame]]]:
  """Sequences of the splits train and test.

  Raises:
    UserError: nothing of the layout is there, or no h5py to read poses.
  """
  try:
    import h5py  # its poses are in HDF5; nothing else needs it
  except ImportError as e:
    raise UserError(
      "Mid-Air keeps its poses in HDF5: pip install h5py, and run this command "
      "again."
    ) from e
  parts: dict[str, list[list[frames.Frame]]] = {"train": [], "test": []}
  for path in sorted(raw.glob("*/*/sensor_records.hdf5")):
    folders = sorted((path.parent / "color_left").glob("trajectory_*"))
    with h5py.File(path) as file:
      for number, folder in enumerate(folders):
        split = "test" if number % TEST == TEST - 1 else "train"
        parts[split].append(read_trajectory(folder, file[folder.name]))
  if not parts["train"] or not parts["test"]:
    raise UserError(
      f"{raw} holds {len(parts['train'])} trajectories to train on and "
      f"{len(parts['test'])} to test: expected SET/WEATHER/color_left/"
      "trajectory_NNNN and SET/WEATHER/sensor_records.hdf5, at least three "
      "trajectories of a weather."
    )
  return parts


class JaxsegMidair(tfds.core.GeneratorBasedBuilder):
  """Colour, disparity, intrinsics and pose of each frame, in order."""

  name = "jaxseg_midair"
  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = "Pass the raw folder to jaxseg.data.prepare."

  def _info(self) -> tfds.core.DatasetInfo:
    return frames.info(
      self,
      "Drone flights over rendered landscapes.",
      "https://midair.ulg.ac.be",
    )

  def _split_generators(self, dl_manager):
    return frames.splits(self, read_folder(pathlib.Path(dl_manager.manual_dir)))

  def _generate_examples(self, found: frames.Sequences):
    return frames.records(found)
