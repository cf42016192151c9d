"""BSDS500 as a TFDS builder, from the raw folder.

Arbelaez, Maire, Fowlkes, Malik, "Contour detection and hierarchical image
segmentation" (PAMI 2011). The raw folder holds SPLIT.txt (ids, one per line),
`images/SPLIT/ID.jpg` and `groundTruth/SPLIT/ID.npz`, which has what a person's
MATLAB file has: `segmentation` uint8 (a, h, w), region ids from 1 on, one map
per person; `boundaries_packed` and `width`, the thin boundaries (a, h, w) as
bits, np.packbits along the last axis. Images go into the records as they are,
bit for bit; the people's maps one below another as one PNG of (a h, w).
"""

from __future__ import annotations

import os
import pathlib
import zipfile
from collections.abc import Iterator
from typing import ClassVar

import cv2
import numpy as np
import tensorflow_datasets as tfds

from jaxseg.data.builders import tables
from jaxseg.types import UserError

SPLITS = ("train", "val", "test")


def read_truth(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
  """Regions uint8 (a, h, w), ids from 0 on, and boundaries bool (a, h, w).

  Raises:
    UserError: not there, not such a file, or maps that do not fit.
  """
  try:
    with np.load(path) as z:
      regions = z["segmentation"]
      boundaries = np.unpackbits(
        z["boundaries_packed"], axis=-1, count=int(z["width"])
      ).astype(bool)
  except (OSError, KeyError, ValueError, zipfile.BadZipFile) as e:
    raise UserError(
      f"{path} cannot be read ({e}): expected segmentation,"
      " boundaries_packed and width; copy it again."
    ) from e
  if regions.ndim != 3 or regions.shape != boundaries.shape:
    raise UserError(
      f"{path}: regions of shape {regions.shape} and boundaries of shape"
      f" {boundaries.shape}; expected both (people, h, w): copy it again."
    )
  if not regions.size:
    raise UserError(
      f"{path} holds no person's regions: expected at least one's; copy it"
      " again, or remove its id from the list."
    )
  if regions.min() < 1:
    raise UserError(f"{path}: region ids start from 1; one is 0.")
  return (regions - 1).astype(np.uint8), boundaries


def _png(maps: np.ndarray) -> bytes:
  """(a, h, w) uint8 as one PNG, one below another."""
  tall = maps.reshape(-1, maps.shape[-1])
  return cv2.imencode(".png", tall)[1].tobytes()


class JaxsegBsds500(tfds.core.GeneratorBasedBuilder):
  """Photographs, each with regions and boundaries of several people."""

  name = "jaxseg_bsds500"
  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = "Pass the raw folder to jaxseg.data.prepare."

  def _info(self) -> tfds.core.DatasetInfo:
    def maps():
      return tfds.features.Image(shape=(None, None, 1), encoding_format="png")

    return self.dataset_info_from_configs(
      description="Photographs segmented by several people.",
      features=tfds.features.FeaturesDict(
        {
          "image": tfds.features.Image(shape=(None, None, 3)),
          "regions": maps(),
          "boundaries": maps(),
          "file_name": tfds.features.Text(),
        }
      ),
      homepage="https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/"
      "grouping/resources.html",
      disable_shuffling=True,
    )

  def _split_generators(self, dl_manager):
    raw = pathlib.Path(dl_manager.manual_dir)
    present = [s for s in SPLITS if (raw / f"{s}.txt").is_file()]
    if not present:
      raise UserError(
        f"{raw} has none of train.txt, val.txt, test.txt: expected BSDS500 with"
        " images, groundTruth and lists of ids. Point --raw at it."
      )
    return {s: self._generate_examples(raw, s) for s in present}

  def _generate_examples(
    self, raw: pathlib.Path, split: str
  ) -> Iterator[tuple[int, dict]]:
    ids = (raw / f"{split}.txt").read_text().split()
    for number, one in enumerate(ids):
      image = tables.image_of(raw / "images" / split, one)
      regions, boundaries = read_truth(
        raw / "groundTruth" / split / f"{one}.npz"
      )
      yield (
        number,
        {
          "image": os.fspath(image),
          "regions": _png(regions),
          "boundaries": _png(boundaries.astype(np.uint8)),
          "file_name": image.name,
        },
      )
