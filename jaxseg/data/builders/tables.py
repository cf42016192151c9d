"""Tables of keypoints and lists of ids, as the raw folders have them, and the
examples that they make."""

from __future__ import annotations

import csv
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow_datasets as tfds

from jaxseg.types import UserError


@dataclasses.dataclass(frozen=True)
class Row:
  """One image: (h, w) and the numbers of its columns."""

  size: tuple[int, int]
  values: np.ndarray


def read_table(
  path: pathlib.Path, columns: Sequence[str], points: int
) -> dict[str, Row]:
  """id -> Row of a table with columns id, width, height and `columns`.

  Args:
    path: a CSV file with a head line.
    columns: what to read, in this order.
    points: how many keypoints these columns hold, for messages.

  Raises:
    UserError: not there, other columns, not a number, an id twice.
  """
  if not path.is_file():
    raise UserError(
      f"{path} is not there: expected a table of keypoints. Point --raw at the "
      "folder that holds it."
    )
  with path.open(newline="") as file:
    lines = csv.reader(file)
    head = next(lines, [])
    wanted = ["id", "width", "height", *columns]
    if head != wanted:
      missing = [c for c in wanted if c not in head]
      extra = [c for c in head if c not in wanted]
      raise UserError(
        f"{path} has {len(head)} columns: expected {len(wanted)}, id, width, "
        f"height and those of {points} points in their order (missing: "
        f"{', '.join(missing[:3]) or 'none'}; unknown: "
        f"{', '.join(extra[:3]) or 'none'}). Mend the table."
      )
    rows: dict[str, Row] = {}
    for line in lines:
      where = f"{path} line {lines.line_num}"
      if len(line) != len(wanted):
        raise UserError(
          f"{where} has {len(line)} values: expected {len(wanted)}."
        )
      if line[0] in rows:
        raise UserError(f"{where}: the id {line[0]!r} was there before.")
      try:
        w, h, *values = map(float, line[1:])
      except ValueError as e:
        raise UserError(f"{where}: {e}; expected numbers.") from e
      if not np.isfinite(values).all():
        raise UserError(f"{where} holds NaN or infinity: expected numbers.")
      rows[line[0]] = Row((int(h), int(w)), np.array(values, np.float32))
  return rows


def read_ids(path: pathlib.Path, known: Mapping[str, Row]) -> list[str]:
  """The ids of a list file, one per line.

  Raises:
    UserError: not there, empty, an id that the table does not have, or twice.
  """
  if not path.is_file():
    raise UserError(f"{path} is not there: expected a list of ids.")
  ids = path.read_text().split()
  for one in ids:
    if one not in known:
      raise UserError(
        f"{path} names {one!r}, of which the table has no line: mend either."
      )
  if not ids or len(set(ids)) < len(ids):
    raise UserError(f"{path} is empty or names an id twice: mend it.")
  return ids


def image_of(folder: pathlib.Path, one: str) -> pathlib.Path:
  """folder/ID.jpg; UserError where it is not there."""
  path = folder / f"{one}.jpg"
  if not path.is_file():
    raise UserError(f"{path} is not there: the table names it.")
  return path


def outside(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
  """Pixels (k,) by which points (k, 2+) lie outside (h, w); inside: 0."""
  limit = np.array(size[::-1], np.float32)
  xy = points[:, :2]
  beyond = np.maximum(-xy, np.where(xy >= limit, xy - limit + 1e-3, 0))
  return np.maximum(beyond, 0).max(1)


def features(points: int) -> tfds.features.FeaturesDict:
  """One person of `points` keypoints per image."""
  return tfds.features.FeaturesDict(
    {
      "image": tfds.features.Image(shape=(None, None, 3)),
      "keypoints": tfds.features.Tensor(shape=(1, points, 3), dtype=np.float32),
      "file_name": tfds.features.Text(),
    }
  )


def examples(
  folder: pathlib.Path,
  table: Mapping[str, Row],
  ids: Sequence[str],
  keypoints_of: Callable[[Row, str], np.ndarray],
) -> Iterator[tuple[str, dict]]:
  """(key, example) of each id; images go in as they are, bit for bit.

  Args:
    folder: of the images.
    table: id -> Row.
    ids: which, in this order.
    keypoints_of: (row, file for messages) -> float32 (1, k, 3).
  """
  for number, one in enumerate(ids):
    image = image_of(folder, one)
    yield (
      f"{number:05d}",
      {
        "image": os.fspath(image),
        "keypoints": keypoints_of(table[one], str(image)),
        "file_name": image.name,
      },
    )
