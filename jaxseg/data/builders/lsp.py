"""Leeds Sports Pose Extended as a TFDS builder, from the raw folder.

Johnson, Everingham, "Learning Effective Human Pose Estimation from Inaccurate
Annotation" (CVPR 2011). The raw folder holds `joints.csv` (id, width, height,
then NAME_x, NAME_y, NAME_labelled of 14 joints), `images/ID.jpg`, and the
lists suggested_train.txt and suggested_val.txt. Images go into the records as
they are, bit for bit.
"""

from __future__ import annotations

import pathlib
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from jaxseg.data import scenes
from jaxseg.data.builders import tables
from jaxseg.types import UserError

JOINTS = scenes.JOINTS
COLUMNS = tuple(f"{j}_{c}" for j in JOINTS for c in ("x", "y", "labelled"))


def keypoints_of(row: tables.Row, where: str) -> np.ndarray:
  """(1, 14, 3) of a line of the table: visibility 2, or 0 without a label.

  Raises:
    UserError: a labelled joint outside the image.
  """
  points = row.values.reshape(1, len(JOINTS), 3).copy()
  points[..., 2] = np.where(points[..., 2] > 0, 2, 0)
  points[points[..., 2] == 0] = 0
  beyond = tables.outside(points[0], row.size)
  if beyond.max() > 0:
    i = int(beyond.argmax())
    x, y, _ = points[0, i]
    h, w = row.size
    raise UserError(
      f"{where}: {JOINTS[i]} is at x = {x:g}, y = {y:g}, outside the image of "
      f"{w}x{h} (width x height): correct the table, or set "
      f"{JOINTS[i]}_labelled to 0."
    )
  return points


class JaxsegLsp(tfds.core.GeneratorBasedBuilder):
  """One person per image, 14 joints."""

  name = "jaxseg_lsp"
  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = "Pass the raw folder to jaxseg.data.prepare."

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      description="Sports people with 14 joints each.",
      features=tables.features(len(JOINTS)),
      homepage="https://github.com/axelcarlier/lsp",
    )

  def _split_generators(self, dl_manager):
    raw = pathlib.Path(dl_manager.manual_dir)
    table = tables.read_table(raw / "joints.csv", COLUMNS, len(JOINTS))
    return {
      split: self._generate_examples(
        raw / "images",
        table,
        tables.read_ids(raw / f"suggested_{split}.txt", table),
      )
      for split in ("train", "val")
    }

  def _generate_examples(self, folder, table, ids):
    return tables.examples(folder, table, ids, keypoints_of)
