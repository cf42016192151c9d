"""Faces with 68 points as a TFDS builder, from the raw folder.

Frames of YouTube Faces (Wolf, Hassner, Maoz, CVPR 2011) with the points of
the Udacity Computer Vision Nanodegree. The raw folder holds `training.csv`
(id, width, height, x0, y0 ... in pixels), `training/ID.jpg`, and the lists
suggested_train.txt and suggested_val.txt; for those who have them also
`test.csv` and `test/`. Images go into the records as they are, bit for bit.
"""

from __future__ import annotations

import pathlib
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from jaxseg.data.builders import tables
from jaxseg.types import UserError

POINTS = 68
COLUMNS = tuple(f"{axis}{i}" for i in range(POINTS) for axis in "xy")
TOLERANCE = 0.1  # of the image's longer side


def keypoints_of(row: tables.Row, where: str) -> np.ndarray:
  """(1, 68, 3) of a line of the table: visibility 2, or 0 outside the image.

  A jaw may leave a tight crop; a point that is farther out than a tenth of
  the image is a mistake of the table.

  Raises:
    UserError: such a point.
  """
  points = np.full((1, POINTS, 3), 2, np.float32)
  points[0, :, :2] = row.values.reshape(POINTS, 2)
  beyond = tables.outside(points[0], row.size)
  if beyond.max() > TOLERANCE * max(row.size):
    i = int(beyond.argmax())
    x, y, _ = points[0, i]
    h, w = row.size
    raise UserError(
      f"{where}: point {i} is at x = {x:g}, y = {y:g}, far outside the image "
      f"of {w}x{h} (width x height): correct the table."
    )
  points[0, beyond > 0, 2] = 0
  return points


class JaxsegFaces(tfds.core.GeneratorBasedBuilder):
  """One face per image, 68 points, in the order of 300-W."""

  name = "jaxseg_faces"
  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = "Pass the raw folder to jaxseg.data.prepare."

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      description="Faces of YouTube videos with 68 points each.",
      features=tables.features(POINTS),
      homepage="https://github.com/udacity/P1_Facial_Keypoints",
    )

  def _split_generators(self, dl_manager):
    raw = pathlib.Path(dl_manager.manual_dir)
    table = tables.read_table(raw / "training.csv", COLUMNS, POINTS)
    splits = {
      split: self._generate_examples(
        raw / "training",
        table,
        tables.read_ids(raw / f"suggested_{split}.txt", table),
      )
      for split in ("train", "val")
    }
    if (raw / "test.csv").is_file():
      table = tables.read_table(raw / "test.csv", COLUMNS, POINTS)
      splits["test"] = self._generate_examples(raw / "test", table, [*table])
    return splits

  def _generate_examples(self, folder, table, ids):
    return tables.examples(folder, table, ids, keypoints_of)
