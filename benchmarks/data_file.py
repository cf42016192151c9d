"""Several small data sets in one file, for machines that have nothing else.

An .npz of byte strings laid end to end: NAME/SPLIT/image and NAME/SPLIT/label
are uint8 (bytes,), NAME/SPLIT/image_ends and .../label_ends int64 (n,), where
each ends; 'about' is JSON, the classes of each set. Images are JPEG or PNG,
labels PNG of class ids, 255 = ignored. Written by `benchmarks.export_data`;
reading wants Pillow, which comes with torchvision and with matplotlib.
"""

from __future__ import annotations

import io
import json
import pathlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from jaxseg.types import UserError

KINDS = ("image", "label")


def write(
  path: str | pathlib.Path,
  splits: Mapping[str, Iterable[tuple[bytes, bytes]]],
  about: Mapping[str, Mapping],
) -> None:
  """Writes the file.

  Args:
    path: ends in .npz.
    splits: 'NAME/SPLIT' -> (image, label) as files, one pair per example.
    about: NAME -> plain values, such as {'classes': [...]}.
  """
  arrays = {"about": np.array(json.dumps(about))}
  for name, pairs in splits.items():
    for kind, files in zip(KINDS, zip(*pairs)):
      arrays[f"{name}/{kind}"] = np.frombuffer(b"".join(files), np.uint8)
      arrays[f"{name}/{kind}_ends"] = np.cumsum([len(f) for f in files])
  np.savez(path, **arrays)  # what is in it is compressed already


def about(path: str | pathlib.Path) -> dict[str, dict]:
  """What `write` was told about each set."""
  with _open(path) as file:
    return json.loads(str(file["about"]))


def read(
  path: str | pathlib.Path, name: str, split: str, limit: int = 0
) -> tuple[np.ndarray, np.ndarray]:
  """A split, decoded: image uint8 (n, h, w, 3), label uint8 (n, h, w).

  Args:
    path: of the file.
    name: of the data set.
    split: of it.
    limit: the first so many examples; 0: all.

  Raises:
    UserError: no such file or split, or Pillow is not installed.
  """
  with _open(path) as file:
    found = sorted({key.rsplit("/", 1)[0] for key in file if "/" in key})
    if f"{name}/{split}" not in found:
      raise UserError(
        f"{path} has no {name}/{split}: it has {', '.join(found)}. Make it "
        "again with python -m benchmarks.export_data."
      )
    decoded = []
    for kind in KINDS:
      blob = file[f"{name}/{split}/{kind}"].tobytes()
      ends = file[f"{name}/{split}/{kind}_ends"].tolist()[: limit or None]
      starts = [0, *ends[:-1]]
      pieces = [blob[a:b] for a, b in zip(starts, ends)]
      mode = "RGB" if kind == "image" else "L"
      decoded.append(np.stack(_decode(pieces, mode)))
  return decoded[0], decoded[1]


def _open(path: str | pathlib.Path) -> np.lib.npyio.NpzFile:
  if not pathlib.Path(path).is_file():
    raise UserError(
      f"{path} does not exist: make it where the data is, with python -m "
      "benchmarks.export_data."
    )
  return np.load(path)


def _decode(files: Sequence[bytes], mode: str) -> list[np.ndarray]:
  try:
    import PIL.Image
  except ModuleNotFoundError as e:
    raise UserError(
      "pictures are decoded by Pillow, which is not installed here (it comes "
      "with torchvision and with matplotlib): pip install pillow."
    ) from e
  out = []
  for data in files:
    with PIL.Image.open(io.BytesIO(data)) as picture:
      out.append(np.asarray(picture.convert(mode)))
  return out
