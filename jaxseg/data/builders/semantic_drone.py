"""The Semantic Drone Dataset as a TFDS builder, from its raw folder.

Institute of Computer Graphics and Vision, Graz University of Technology,
"Semantic Drone Dataset" (2019): 400 public images of 6000x4000 pixels, straight
down from 5 to 30 m, 24 classes. Two layouts are read: that of the download
(training_set/images, training_set/gt/semantic/label_images) and that of the
copy that is passed around (original_images, RGB_color_image_masks). The masks
are read by their colours: the ids of the copies differ by one.

The pictures are reduced by a whole factor to at most 1536 pixels a side, images
by the mean of a block, masks by the pixel in its middle, so that no colour is
made up. There is no official split: a seeded permutation of the names in their
order gives a tenth to val, a tenth to test and the rest to train.
"""

from __future__ import annotations

import io
import pathlib
from collections.abc import Iterator
from typing import ClassVar

import cv2
import numpy as np
import tensorflow_datasets as tfds

from jaxseg.data import drone_classes, images
from jaxseg.data.builders import pairs
from jaxseg.types import UserError

LONGEST = 1536  # pixels of the records' longer side, at most
SEED = 0  # of the split

IMAGES = ("training_set/images", "original_images")
MASKS = ("training_set/gt/semantic/label_images", "RGB_color_image_masks")


def split_names(names: list[str]) -> dict[str, list[str]]:
  """'train', 'val', 'test' -> names, each in order; see the module."""
  order = np.random.default_rng(SEED).permutation(len(names))
  tenth = max(1, len(names) // 10)
  parts = {
    "val": order[:tenth],
    "test": order[tenth : 2 * tenth],
    "train": order[2 * tenth :],
  }
  return {k: [names[i] for i in sorted(v)] for k, v in parts.items()}


def reduced(
  image: np.ndarray, label: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """uint8 (h, w, 3) and (h, w), by the smallest whole factor to LONGEST."""
  h, w = label.shape
  factor = -(-max(h, w) // LONGEST)
  h, w = h // factor, w // factor
  image = image[: h * factor, : w * factor]
  label = label[factor // 2 :: factor, factor // 2 :: factor]
  if factor > 1:
    image = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA)
  return image, label[:h, :w]


class JaxsegSemanticDrone(tfds.core.GeneratorBasedBuilder):
  """24 classes by id; unlabeled is 0, conflicting is 23."""

  name = "jaxseg_semantic_drone"
  VERSION = tfds.core.Version("1.0.0")
  RELEASE_NOTES: ClassVar = {"1.0.0": "First version."}
  MANUAL_DOWNLOAD_INSTRUCTIONS = "Pass the raw folder to jaxseg.data.prepare."

  def _info(self) -> tfds.core.DatasetInfo:
    return self.dataset_info_from_configs(
      description="Houses and gardens from a drone, with dense labels.",
      features=pairs.features(),
      homepage="http://dronedataset.icg.tugraz.at",
    )

  def _split_generators(self, dl_manager):
    raw = pathlib.Path(dl_manager.manual_dir)
    files = pairs.by_stem(pairs.folder_of(raw, IMAGES, "images"))
    masks = pairs.folder_of(raw, MASKS, "colour masks")
    # The copy has the folder within a folder of the same name.
    masks = masks / masks.name if (masks / masks.name).is_dir() else masks
    if len(files) < 3:
      raise UserError(
        f"{raw} has {len(files)} image(s): expected at least 3, one for each "
        "of train, val and test."
      )
    return {
      split: self._generate_examples(files, masks, names)
      for split, names in split_names(sorted(files)).items()
    }

  def _generate_examples(
    self,
    files: dict[str, pathlib.Path],
    folder: pathlib.Path,
    names: list[str],
  ) -> Iterator[tuple[str, dict]]:
    palette = images.color_table([color for _, color in drone_classes.CLASSES])
    masks = pairs.by_stem(folder)
    for number, name in enumerate(names):
      image = images.read_image(files[name])
      mask = pairs.found(name, masks, folder)
      label = images.read_mask(mask, palette)
      if image.shape[:2] != label.shape:
        raise UserError(
          f"{files[name]} has {image.shape[:2]} pixels and {mask} has "
          f"{label.shape}: expected one size; download both again."
        )
      image, label = reduced(image, label)
      yield (
        f"{number:05d}",
        {
          "image": _encoded(".jpg", image[..., ::-1], quality=92),
          "label": _encoded(".png", label),
          "file_name": files[name].name,
        },
      )


def _encoded(ending: str, pixels: np.ndarray, quality: int = 0) -> io.BytesIO:
  options = [cv2.IMWRITE_JPEG_QUALITY, quality] if quality else []
  data = cv2.imencode(ending, np.ascontiguousarray(pixels), options)[1]
  return io.BytesIO(data.tobytes())
