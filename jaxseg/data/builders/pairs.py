"""Raw folders of images and masks with the same names: what builders share."""

from __future__ import annotations

import os
import pathlib

import tensorflow_datasets as tfds

from jaxseg.types import UserError


def features() -> tfds.features.FeaturesDict:
  """An image, its mask of ids, and what the image's file was called."""
  return tfds.features.FeaturesDict(
    {
      "image": tfds.features.Image(shape=(None, None, 3)),
      "label": tfds.features.Image(
        shape=(None, None, 1), encoding_format="png", use_colormap=True
      ),
      "file_name": tfds.features.Text(),
    }
  )


def folder_of(raw: pathlib.Path, names: tuple[str, ...], what: str):
  """The first of these folders that is there.

  Raises:
    UserError: none is.
  """
  for name in names:
    if (raw / name).is_dir():
      return raw / name
  raise UserError(
    f"{raw} has no folder of {what}: expected one of {', '.join(names)}. Point "
    "--raw at the folder that holds it."
  )


def by_stem(folder: pathlib.Path) -> dict[str, pathlib.Path]:
  """Name without ending -> file, in order, hidden files left out."""
  return {
    p.stem: p
    for p in sorted(folder.iterdir())
    if p.is_file() and not p.name.startswith(".")
  }


def read_names(path: pathlib.Path) -> list[str]:
  """The names of a list file, one a line.

  Raises:
    UserError: not there, empty, or a name twice.
  """
  if not path.is_file():
    raise UserError(
      f"{path} is not there: expected a list of names, one a line. Point --raw "
      "at the folder that holds it."
    )
  names = path.read_text().split()
  if not names or len(set(names)) < len(names):
    raise UserError(f"{path} is empty or names an image twice: mend it.")
  return names


def found(
  name: str, files: dict[str, pathlib.Path], folder: pathlib.Path
) -> pathlib.Path:
  """The file of a name; UserError where there is none."""
  if name not in files:
    raise UserError(
      f"{os.path.join(folder, name)} is not there, with any ending: every "
      "image needs a mask of the same name, and the lists name images."
    )
  return files[name]
