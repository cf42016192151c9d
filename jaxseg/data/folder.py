"""Two folders, images and masks, are a data set.

Files are paired by the stem of their name below the folder (`a/b.jpg` with
`a/b.png`); splits come from list files (`train.txt`, `val.txt`, one stem or
file name per line) or from a seeded fraction. Masks hold class ids, other ids
(`ids` says which, in class order), or colours (`colors`).
"""

from __future__ import annotations

import colorsys
import dataclasses
import os
import pathlib
import random
from collections.abc import Mapping, Sequence

from jaxseg.types import IGNORE, UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif")

Color = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class FolderSpec:
  """A DatasetSpec whose examples are files; built by `folder_spec`.

  Attributes:
    images: folder of images.
    masks: folder of masks.
    classes: class names; position = class id.
    palette: one RGB colour per class.
    label_table: id in the masks -> class id or IGNORE.
    colors: RGB in the masks -> class id or IGNORE; None: masks hold ids.
    split_dir: folder of train.txt, val.txt, test.txt; empty: a fraction.
    val_fraction: share of the examples that is held out for validation.
    seed: of that choice.
  """

  images: str
  masks: str
  classes: tuple[str, ...]
  palette: tuple[Color, ...]
  label_table: Mapping[int, int]
  colors: Mapping[Color, int] | None = None
  split_dir: str = ""
  val_fraction: float = 0.1
  seed: int = 0
  name: str = "folder"
  embedded: bool = False
  features: Mapping[str, str] = dataclasses.field(
    default_factory=lambda: {"image": "image", "label": "label"}
  )

  @property
  def num_classes(self) -> int:
    """Number of classes, ignore not counted."""
    return len(self.classes)

  @property
  def splits(self) -> dict[str, str]:
    """The splits that exist, by name."""
    if not self.split_dir:
      return {"train": "train", "val": "val"}
    if not os.path.isdir(self.split_dir):
      raise UserError(
        f"config.data.split_dir = {self.split_dir!r} is not a folder: expected "
        "one with train.txt, val.txt, test.txt; empty: a fraction is held out."
      )
    found = sorted(p.stem for p in pathlib.Path(self.split_dir).glob("*.txt"))
    return {name: name for name in found}

  def pairs(self, split: str) -> tuple[tuple[str, str], ...]:
    """(image path, mask path) of a split, sorted by name.

    Raises:
      UserError: folders missing or empty, images without masks, no such split.
    """
    images = _index(self.images, IMAGE_SUFFIXES, "images")
    masks = _index(self.masks, MASK_SUFFIXES, "masks")
    if self.split_dir:
      chosen = self._listed(split, images)
    else:
      chosen = self._fraction(split, sorted(images))
    lonely = [images[stem] for stem in chosen if stem not in masks]
    if lonely:
      raise UserError(
        f"{len(lonely)} of {len(chosen)} images have no mask in {self.masks}, "
        f"the first: {lonely[0]}. A mask has the image's name with one of "
        f"{', '.join(MASK_SUFFIXES)}."
      )
    return tuple((images[stem], masks[stem]) for stem in chosen)

  def _fraction(self, split: str, stems: list[str]) -> list[str]:
    if split not in ("train", "val"):
      raise UserError(
        f"a folder data set without split files has train and val, not "
        f"{split!r}. Name a folder with {split}.txt in config.data.split_dir."
      )
    order = stems.copy()
    random.Random(self.seed).shuffle(order)
    held = max(1, round(len(order) * self.val_fraction))
    if held >= len(order):
      raise UserError(
        f"{self.images} holds {len(order)} image(s): too few for "
        f"val_fraction={self.val_fraction}. Add images or split files."
      )
    return sorted(order[:held] if split == "val" else order[held:])

  def _listed(self, split: str, images: Mapping[str, str]) -> list[str]:
    path = pathlib.Path(self.split_dir) / f"{split}.txt"
    if not os.path.isfile(path):
      raise UserError(
        f"split file {path} does not exist; found: "
        f"{', '.join(self.splits) or 'none'}."
      )
    chosen = []
    for line in path.read_text().splitlines():
      if not line.strip():
        continue
      name = line.split()[0]
      stem = pathlib.PurePosixPath(name).with_suffix("").as_posix()
      if name in images:
        stem = name
      if stem not in images:
        raise UserError(
          f"{path} names {name!r}, which is not an image of {self.images}."
        )
      chosen.append(stem)
    if not chosen:
      raise UserError(f"split file {path} is empty.")
    return chosen


def _index(folder: str, suffixes: Sequence[str], what: str) -> dict[str, str]:
  """Relative name without suffix -> path."""
  root = pathlib.Path(folder)
  if not folder or not os.path.isdir(root):  # False for names too long
    raise UserError(
      f"config.data.{what} = {folder!r} is not a folder. Point it at the "
      f"folder that holds the {what}."
    )
  found: dict[str, str] = {}
  for path in sorted(root.rglob("*")):
    if path.suffix.lower() not in suffixes or path.name.startswith("."):
      continue
    stem = path.relative_to(root).with_suffix("").as_posix()
    if stem in found:
      raise UserError(
        f"{found[stem]} and {path} have the same name: keep one of them."
      )
    found[stem] = str(path)
  if not found:
    raise UserError(
      f"no {what} in {folder}: expected files with {', '.join(suffixes)}."
    )
  return found


def distinct_palette(n: int) -> tuple[Color, ...]:
  """n colours, hues a golden angle apart, so that neighbours differ."""
  colors = []
  for i in range(n):
    hue = (0.02 + i * 0.618033988749895) % 1.0
    rgb = colorsys.hsv_to_rgb(hue, 0.75 - 0.25 * (i % 2), 0.95 - 0.2 * (i % 3))
    colors.append(tuple(round(255 * v) for v in rgb))
  return tuple(colors)


def parse_color(text: str) -> Color:
  """'#ff8000' or '255 128 0' -> (255, 128, 0)."""
  text = text.strip()
  try:
    if text.startswith("#") and len(text) == 7:
      return tuple(int(text[i : i + 2], 16) for i in (1, 3, 5))
    color = tuple(int(v) for v in text.replace(",", " ").split())
  except ValueError:
    color = ()
  if len(color) != 3 or not all(0 <= v <= 255 for v in color):
    raise UserError(
      f"{text!r} is not a colour: write '#ff8000' or '255 128 0'."
    )
  return color


def _ids(values: Sequence[int], what: str) -> tuple[int, ...]:
  """Ids that a mask of 16 bits can hold, each once."""
  wrong = UserError(
    f"config.data.{what} = {values!r}: expected different whole numbers from 0 "
    "to 65535, as the masks hold them, such as (0, 7)."
  )
  try:
    ids = tuple(int(v) for v in values)
  except (TypeError, ValueError, OverflowError):
    raise wrong from None
  if not all(0 <= v < 1 << 16 for v in ids) or len(set(ids)) != len(ids):
    raise wrong
  return ids


def folder_spec(
  *,
  images: str,
  masks: str,
  classes: str | Sequence[str],
  ids: Sequence[int] = (),
  ignore_ids: Sequence[int] = (),
  colors: Sequence[str] = (),
  split_dir: str = "",
  val_fraction: float = 0.1,
  seed: int = 0,
) -> FolderSpec:
  """A FolderSpec from plain config values.

  Args:
    images: folder of images.
    masks: folder of masks.
    classes: names, or one string with commas.
    ids: the id of each class in the masks; empty: 0, 1, 2 ...
    ignore_ids: ids in the masks that are ignored, beside 255.
    colors: the colour of each class in the masks ('#rrggbb' or 'r g b'), if
      they are colour-coded.
    split_dir: folder of split files; empty: a seeded fraction.
    val_fraction: held out for validation, in (0, 1).
    seed: of that choice.

  Raises:
    UserError: contradictory values.
  """
  if isinstance(classes, str):
    classes = [name.strip() for name in classes.split(",") if name.strip()]
  names = tuple(classes)
  if len(names) < 2 or len(set(names)) != len(names):
    raise UserError(
      f"config.data.classes = {','.join(names)!r}: name at least two different "
      "classes, such as --config.data.classes=background,cat."
    )
  for what, values in (("ids", ids), ("colors", colors)):
    if values and len(values) != len(names):
      raise UserError(
        f"config.data.{what} has {len(values)} entries for {len(names)} "
        "classes: give one each, in the order of config.data.classes."
      )
  if not 0 < val_fraction < 1:
    raise UserError(
      f"config.data.val_fraction = {val_fraction}: expected between 0 and 1."
    )
  ids = _ids(ids or range(len(names)), "ids")
  ignore_ids = _ids(ignore_ids, "ignore_ids")
  table = {v: i for i, v in enumerate(ids)}
  table[IGNORE] = table.get(IGNORE, IGNORE)
  for value in ignore_ids:
    table[value] = IGNORE
  parsed = [parse_color(text) for text in colors]
  return FolderSpec(
    images=images,
    masks=masks,
    classes=names,
    palette=tuple(parsed) or distinct_palette(len(names)),
    label_table=table,
    colors={color: i for i, color in enumerate(parsed)} or None,
    split_dir=split_dir,
    val_fraction=val_fraction,
    seed=seed,
  )
