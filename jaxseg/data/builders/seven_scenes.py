"""A sequence of 7-Scenes as a TFDS builder, from the raw folder.

Shotton et al., "Scene Coordinate Regression Forests for Camera Relocalization
in RGB-D Images" (CVPR 2013), with depth registered to the colour camera. The
raw folder holds `camera.json`, and for train and test `rgb/NAME.jpg`,
`depth/NAME.png` (16 bits, millimetres, 0 = invalid) and `poses.csv`; see
`data.cameras`. The last VAL frames of train are the split val. A record per
frame: single images and clips are cut from the same records.
"""

from __future__ import annotations

import pathlib
from typing import ClassVar

import tensorflow_datasets as tfds

from jaxseg.data import cameras
from jaxseg.data.builders import frames

VAL = 50


def read_folder(raw: pathlib.Path, part: str) -> list[frames.Frame]:
  """The frames of `raw`/`part`, in the order of its poses.

  Raises:
    UserError: intrinsics or poses missing or wrong.
  """
  camera = cameras.read_camera(raw / "camera.json")
  folder = raw / part
  return [
    frames.Frame(
      folder / f"rgb/{name}.jpg", folder / f"depth/{name}.png", camera, pose
    )
    for name, pose in cameras.read_poses(folder / "poses.csv").items()
  ]


class JaxsegSevenScenes(tfds.core.GeneratorBasedBuilder):
  """Colour, depth, intrinsics and pose of each frame, in order."""

  name = "jaxseg_seven_scenes"
  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = "Pass the raw folder to jaxseg.data.prepare."

  def _info(self) -> tfds.core.DatasetInfo:
    return frames.info(
      self,
      "Hand-held RGB-D video of a kitchen with camera poses.",
      "https://www.microsoft.com/en-us/research/project/rgb-d-dataset-7-scenes/",
    )

  def _split_generators(self, dl_manager):
    raw = pathlib.Path(dl_manager.manual_dir)
    train, test = (read_folder(raw, part) for part in ("train", "test"))
    # A short sequence, as in tests, keeps at least half for training.
    held = min(VAL, len(train) // 2)
    cut = len(train) - held
    parts = {"train": [train[:cut]], "val": [train[cut:]], "test": [test]}
    return frames.splits(self, parts)

  def _generate_examples(self, found: frames.Sequences):
    return frames.records(found)
