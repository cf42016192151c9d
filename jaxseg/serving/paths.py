"""Which files go in, and what their results are called."""

from __future__ import annotations

import collections
import glob
import os
import pathlib
import re
from collections.abc import Sequence

from jaxseg.types import UserError

LISTED = 20  # failures spelled out in the error


def find(
  patterns: str | os.PathLike | Sequence[str | os.PathLike],
  suffixes: Sequence[str],
) -> list[pathlib.Path]:
  """The images of files, folders (recursively) and glob patterns.

  Natural order (img2 before img10) within each pattern, without repetition;
  hidden files are left out, and what is named itself is taken as it is.

  Args:
    patterns: one, or several.
    suffixes: endings of images, lower case, with their dot.

  Raises:
    UserError: a pattern that finds no image.
  """
  if isinstance(patterns, str | os.PathLike):
    patterns = [patterns]
  if not patterns:
    raise UserError("no input was given: expected images, folders or globs.")
  found: dict[pathlib.Path, None] = {}
  for pattern in patterns:
    path = pathlib.Path(pattern).expanduser()
    if path.is_file():
      found[path] = None
      continue
    folder = path.is_dir()
    matches = (
      path.rglob("*")
      if folder
      else map(pathlib.Path, glob.glob(str(path), recursive=True))
    )
    images = [p for p in matches if _is_image(p, suffixes)]
    if not images:
      what = "folder" if folder else "file or pattern"
      raise UserError(
        f"no image found in {what} {str(pattern)!r}: expected files that end "
        f"in {', '.join(suffixes)}; check the path."
      )
    found.update(dict.fromkeys(sorted(images, key=natural_key)))
  return list(found)


def natural_key(path: str | os.PathLike) -> list[tuple[int, int, str]]:
  """Sort key under which numbers in names compare as numbers."""
  parts = re.split(r"(\d+)", str(path))
  return [
    (0, int(part), "") if part.isdecimal() else (1, 0, part.lower())
    for part in parts
    if part
  ]


def result_names(paths: Sequence[pathlib.Path]) -> list[str]:
  """A distinct relative name, without ending, for each input.

  Raises:
    UserError: the same file twice.
  """
  full = [os.path.abspath(p) for p in paths]
  if len(set(full)) < len(full):
    twice = collections.Counter(full).most_common(1)[0][0]
    raise UserError(f"{twice} was given twice: give every image once.")
  if not full:
    raise UserError("there is no image to predict: expected at least one.")
  root = os.path.commonpath([os.path.dirname(p) for p in full])
  relative = [pathlib.Path(os.path.relpath(p, root)) for p in full]
  stems = [str(p.with_suffix("")) for p in relative]
  count = collections.Counter(stems)
  taken = {s for s in stems if count[s] == 1}
  names = []
  for path, stem in zip(relative, stems):
    if count[stem] > 1:
      stem = f"{stem}_{path.suffix[1:]}"
      while stem in taken:
        stem += "_"
      taken.add(stem)
    names.append(stem)
  return names


def refuse_overwriting(
  paths: Sequence[pathlib.Path], targets: Sequence[pathlib.Path]
) -> None:
  """Raises UserError where a result, TARGET.png, would replace an input."""
  inputs = {os.path.abspath(p) for p in paths}
  for target in targets:
    path = f"{target}.png"
    if os.path.abspath(path) in inputs:
      raise UserError(
        f"the result {path} would overwrite an input: choose another folder "
        "for the results."
      )


def tell_failures(
  failures: Sequence[str], total: int, out: str | os.PathLike
) -> None:
  """Raises UserError that lists what could not be predicted, if anything.

  Args:
    failures: a sentence each.
    total: how many images there were.
    out: folder of the others' results.
  """
  if not failures:
    return
  if total == 1:
    raise UserError(failures[0])
  more = len(failures) - LISTED
  raise UserError(
    f"{len(failures)} of {total} images could not be predicted; the results of "
    f"the others are in {out}:\n  "
    + "\n  ".join(failures[:LISTED])
    + (f"\n  and {more} more" if more > 0 else "")
  )


def _is_image(path: pathlib.Path, suffixes: Sequence[str]) -> bool:
  return (
    path.suffix.lower() in suffixes
    and not path.name.startswith(".")
    and path.is_file()
  )
