"""Aerial tiles of Dubai as a TFDS builder, from a raw folder.

Humans in the Loop and the Mohammed Bin Rashid Space Centre, "Semantic
segmentation of aerial imagery" (2020, CC0 1.0). The raw folder holds
`images/NAME.jpg`, `masks/NAME.png` of ids (5 = unlabelled) and two lists of
names, `suggested_train.txt` and `suggested_val.txt`. The split parts the tiles
that the images were cut from; it is not official, for there is none. The files
go into the records as they are, bit for bit.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from typing import ClassVar

import tensorflow_datasets as tfds

from jaxseg.data.builders import pairs


class JaxsegDubaiAerial(tfds.core.GeneratorBasedBuilder):
  """Five classes and unlabelled (5); the longest side has 640 pixels."""

  name = "jaxseg_dubai_aerial"
  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = "Pass the raw folder to jaxseg.data.prepare."

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      description="Satellite tiles with dense labels, five classes.",
      features=pairs.features(),
      homepage="https://humansintheloop.org",
    )

  def _split_generators(self, dl_manager):
    raw = pathlib.Path(dl_manager.manual_dir)
    names = {
      split: pairs.read_names(raw / f"suggested_{split}.txt")
      for split in ("train", "val")
    }
    folders = [
      pairs.folder_of(raw, (name,), name) for name in ("images", "masks")
    ]
    return {
      split: self._generate_examples(folders, listed)
      for split, listed in names.items()
    }

  def _generate_examples(
    self, folders: list[pathlib.Path], names: list[str]
  ) -> Iterator[tuple[str, dict]]:
    files = [pairs.by_stem(folder) for folder in folders]
    for number, name in enumerate(names):
      image, mask = (
        pairs.found(name, f, folder) for f, folder in zip(files, folders)
      )
      yield (
        f"{number:05d}",
        {
          "image": os.fspath(image),
          "label": os.fspath(mask),
          "file_name": image.name,
        },
      )
