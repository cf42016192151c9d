"""CamVid as a TFDS builder, from the raw folder of SegNet's copy.

Brostow, Fauqueur, Cipolla, "Semantic Object Classes in Video" (Pattern
Recognition Letters 2009). The raw folder holds `train.txt`, `val.txt` and, for
those who have it, `test.txt`; each line names an image and its mask, relative
to the folder. The files go into the records as they are, bit for bit.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from typing import ClassVar

import tensorflow_datasets as tfds

from jaxseg.types import UserError

SPLITS = ("train", "val", "test")


def read_list(path: pathlib.Path) -> list[tuple[pathlib.Path, pathlib.Path]]:
  """Pairs (image, mask) of a list file, made absolute.

  Raises:
    UserError: a line without two names, or a file that is not there.
  """
  pairs = []
  for number, line in enumerate(path.read_text().splitlines(), 1):
    if not line.strip():
      continue
    words = line.split()
    if len(words) != 2:
      raise UserError(
        f"{path} line {number}: expected 'image mask', found {line!r}."
      )
    pair = []
    for word in words:
      # The original lists start with '/SegNet/CamVid/'.
      name = word.removeprefix("/SegNet/CamVid/").lstrip("/")
      file = path.parent / name
      if not file.is_file():
        raise UserError(f"{path} line {number}: {file} is not there.")
      pair.append(file)
    pairs.append(tuple(pair))
  return pairs


class JaxsegCamvid(tfds.core.GeneratorBasedBuilder):
  """CamVid, 11 classes and void (11), 480x360."""

  name = "jaxseg_camvid"
  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = "Pass the raw folder to jaxseg.data.prepare."

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      description="Driving video with dense labels, 11 classes and void.",
      features=tfds.features.FeaturesDict(
        {
          "image": tfds.features.Image(shape=(None, None, 3)),
          "label": tfds.features.Image(
            shape=(None, None, 1), encoding_format="png", use_colormap=True
          ),
          "file_name": tfds.features.Text(),
        }
      ),
      homepage="http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/",
    )

  def _split_generators(self, dl_manager):
    raw = pathlib.Path(dl_manager.manual_dir)
    present = [s for s in SPLITS if (raw / f"{s}.txt").is_file()]
    if "train" not in present:
      raise UserError(
        f"{raw} has no train.txt: expected CamVid's folder with train.txt, "
        "val.txt and the files that they list. Point --raw at it."
      )
    return {s: self._generate_examples(raw / f"{s}.txt") for s in present}

  def _generate_examples(
    self, path: pathlib.Path
  ) -> Iterator[tuple[str, dict]]:
    for number, (image, mask) in enumerate(read_list(path)):
      yield (
        f"{number:05d}",
        {
          "image": os.fspath(image),
          "label": os.fspath(mask),
          "file_name": image.name,
        },
      )
