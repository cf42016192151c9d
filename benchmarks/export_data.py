"""Oxford pets and CamVid in one file, to be trained from on another machine.

python -m benchmarks.export_data --out=FILE.npz --data=pets=DIR,camvid=DIR
  [--limit_mb=60] [--quality=0]

Pets are stretched to 128x128, as config unet_pets_34m evaluates them, and kept
without loss (PNG), or as JPEG where --quality is 1 to 100: the complete set
wants it. CamVid's pictures are the files that the data set holds. Labels are
class ids, the data set's own table applied. See `benchmarks.data_file`.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import cv2

from benchmarks import data_file
from jaxseg.data import decode, geometry, sources
from jaxseg.data.datasets import DATASETS
from jaxseg.types import UserError


@dataclasses.dataclass(frozen=True)
class Part:
  """What is taken of a data set.

  Attributes:
    splits: name in the file -> split, or TFDS expression.
    size: (h, w) that examples are stretched to; None: as they are.
  """

  splits: Mapping[str, str]
  size: tuple[int, int] | None = None


PARTS = {
  "pets": Part({"train": "train[:100%]", "test": "test"}, (128, 128)),
  "camvid": Part({"train": "train", "val": "val"}),
}


def pairs(
  source: sources.Source,
  decoder: decode.Decoder,
  size: tuple[int, int] | None,
  quality: int,
) -> Iterator[tuple[bytes, bytes]]:
  """Each example as (image file, label file); see the module."""
  for i in range(len(source)):
    raw = source[i]
    fields = decoder(raw, lambda i=i: source.name_of(i))
    image = raw["image"]
    if size is not None or quality or not isinstance(image, bytes):
      fields = fields if size is None else geometry.resize(fields, size)
      bgr = fields["image"][..., ::-1]
      if quality:
        image = _file(bgr, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])
      else:
        image = _file(bgr, ".png")
    yield image, _file(fields["label"], ".png")


def _file(picture: Any, kind: str, options: Any = ()) -> bytes:
  return cv2.imencode(kind, picture, options)[1].tobytes()


def export(
  out: str | pathlib.Path,
  places: Mapping[str, str],
  parts: Mapping[str, Part],
  specs: Mapping[str, Any],
  limit_mb: float,
  quality: int = 0,
) -> dict[str, int]:
  """Writes the file.

  Args:
    out: the file, .npz.
    places: data set -> its TFDS directory ('' for folders).
    parts: data set -> what is taken.
    specs: data set -> its record.
    limit_mb: of 10^6 bytes; a larger file is not written.
    quality: of JPEG; 0: as it is, or PNG.

  Returns:
    'NAME/SPLIT' -> bytes.

  Raises:
    UserError: too large, or the data is not there.
  """
  splits, about, sizes = {}, {}, {}
  for name, place in places.items():
    spec, part = specs[name], parts[name]
    about[name] = {"classes": spec.classes, "palette": spec.palette}
    for short, split in part.splits.items():
      source = sources.open_source(spec, split, place)
      key = f"{name}/{short}"
      splits[key] = list(
        pairs(source, decode.decoder_of(spec), part.size, quality)
      )
      sizes[key] = sum(len(a) + len(b) for a, b in splits[key])
  total = sum(sizes.values()) / 1e6
  if total > limit_mb:
    told = ", ".join(f"{k} {n / 1e6:.1f}" for k, n in sizes.items())
    raise UserError(
      f"the data takes {total:.1f} MB, more than --limit_mb = {limit_mb:g} "
      f"({told}): encode it with --quality=90, leave a set out of --data, or "
      "raise the limit."
    )
  data_file.write(out, splits, about)
  return sizes


def main() -> int:
  """Prints the sizes; exit status 2 for what the user can mend."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--out", required=True)
  parser.add_argument("--data", required=True, help="pets=DIR,camvid=DIR")
  parser.add_argument("--limit_mb", type=float, default=60.0)
  parser.add_argument("--quality", type=int, default=0)
  options = parser.parse_args()
  places = dict(p.partition("=")[::2] for p in options.data.split(","))
  if not places.keys() <= PARTS.keys():
    parser.error(f"--data names {', '.join(places)}: have {', '.join(PARTS)}")
  try:
    sizes = export(
      options.out, places, PARTS, DATASETS, options.limit_mb, options.quality
    )
  except UserError as e:
    print(f"error: {e}", file=sys.stderr)
    return 2
  for name, size in sizes.items():
    print(f"{name:14s} {size / 1e6:6.1f} MB")
  return 0


if __name__ == "__main__":
  sys.exit(main())
