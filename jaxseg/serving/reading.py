"""Image files as sources of rows.

Pillow decodes where it is installed. What needs no decoder works without it,
and is read row by row: arrays, .npy of uint8 (h, w, 3) or (h, w), and PPM and
PGM of 8 bits (any converter writes them). So an image larger than memory is
best one of these.
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
from typing import Any

import numpy as np

from jaxseg.serving.pieces import Pixels, Source
from jaxseg.types import UserError

PLAIN = (".npy", ".ppm", ".pgm")
DECODED = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


def suffixes() -> tuple[str, ...]:
  """Endings of the files that can be read here."""
  return DECODED + PLAIN if has_pillow() else PLAIN


def has_pillow() -> bool:
  """Whether Pillow can be imported."""
  try:
    return importlib.util.find_spec("PIL.Image") is not None
  except ImportError:
    return False


def open_image(path: str | os.PathLike) -> Source:
  """An image file as a source of RGB rows.

  Grey becomes three equal channels, palettes become colours, an alpha channel
  is dropped, 16 bits become 8, and the orientation of EXIF is applied.

  Raises:
    UserError: missing, cut off, not an image, or none of 1 or 3 channels.
  """
  path = pathlib.Path(path)
  readers = {".npy": _open_npy, ".ppm": _open_pnm, ".pgm": _open_pnm}
  try:
    if path.exists() and not path.is_file():
      raise UserError(f"{path} is no file: expected an image.")
    if path.stat().st_size == 0:
      raise UserError(f"{path} is empty (0 bytes): copy or download it again.")
    return readers.get(path.suffix.lower(), _decode)(path)
  except OSError as e:
    raise UserError(
      f"{path} cannot be opened ({e.strerror or e}): check the path and its "
      "permissions."
    ) from None


class _Rows:
  """Rows of a file of plain bytes; only those asked for are read."""

  def __init__(self, path: pathlib.Path, offset: int, shape: tuple[int, ...]):
    self._path, self._offset = path, offset
    self.height, self.width = shape[:2]
    self._channels = shape[2] if len(shape) == 3 else 1
    if len(shape) not in (2, 3) or self._channels not in (1, 3):
      raise UserError(
        f"{path} has the shape {shape}: expected (h, w, 3), or (h, w) of grey."
      )
    if min(shape) < 1:
      raise UserError(f"{path} has the shape {shape}, and no pixel in it.")
    need = offset + self.height * self.width * self._channels
    have = path.stat().st_size
    if have < need:
      raise UserError(
        f"{path} is cut off: {have:,} of {need:,} bytes are there. Copy it "
        "again."
      )

  def rows(self, start: int, stop: int) -> np.ndarray:
    row = self.width * self._channels
    count, offset = (stop - start) * row, self._offset + start * row
    data = np.fromfile(self._path, np.uint8, count, offset=offset)
    lines = data.reshape(stop - start, self.width, self._channels)
    return lines if self._channels == 3 else lines.repeat(3, 2)


def _open_npy(path: pathlib.Path) -> Source:
  try:
    with path.open("rb") as file:
      version = np.lib.format.read_magic(file)
      read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
      }[version]
      shape, by_columns, dtype = read(file)
      offset = file.tell()
  except (ValueError, KeyError) as e:
    raise UserError(
      f"{path} is not an array as numpy.save writes it ({e}): expected uint8 "
      "(h, w, 3)."
    ) from None
  if dtype != np.uint8 or by_columns:
    order = " in Fortran order" if by_columns else ""
    raise UserError(
      f"{path} holds {dtype}{order}: expected uint8 (h, w, 3) in C order, RGB "
      "in [0, 255]."
    )
  return _Rows(path, offset, shape)


_ORIENTATION = 0x0112  # the tag of EXIF
_PNM = re.compile(
  rb"P([56])(?:\s+#[^\n]*)*\s+(\d+)(?:\s+#[^\n]*)*\s+(\d+)"
  rb"(?:\s+#[^\n]*)*\s+(\d+)\s"
)


def _open_pnm(path: pathlib.Path) -> Source:
  with path.open("rb") as file:
    found = _PNM.match(file.read(4096))
  if not found or found[4] != b"255":
    raise UserError(
      f"{path} is not a binary PPM or PGM of 8 bits: expected P6 or P5 with a "
      "maximum of 255; convert it again."
    )
  size = (int(found[3]), int(found[2]))
  return _Rows(path, found.end(), (*size, 3) if found[1] == b"6" else size)


def _decode(path: pathlib.Path) -> Source:
  if not has_pillow():
    raise UserError(
      f"{path} wants a decoder and Pillow is not installed: pip install "
      f"pillow, or convert it to one of {', '.join(PLAIN)}."
    )
  import PIL.Image
  import PIL.ImageOps

  PIL.Image.MAX_IMAGE_PIXELS = None  # aerial images are large, not malicious
  try:
    with PIL.Image.open(path) as image:
      turned: Any = image
      if image.getexif().get(_ORIENTATION, 1) != 1:
        turned = PIL.ImageOps.exif_transpose(image)
      if turned.mode == "F":
        raise UserError(
          f"{path} holds float32 pixels: rescale it to 8 bits and save it as "
          "PNG."
        )
      turned.load()
      w, h = turned.size
      pixels = np.empty((h, w, 3), np.uint8)
      for y in range(0, h, 256):  # Pillow's copies of the whole are larger
        part = turned.crop((0, y, w, min(y + 256, h)))
        if part.mode.startswith("I"):  # 16 bits of grey
          grey = (np.asarray(part).astype(np.uint32) + 128) // 257
          pixels[y : y + 256] = grey[..., None]
        else:
          pixels[y : y + 256] = np.asarray(part.convert("RGB"))
      return Pixels(pixels)
  except MemoryError:
    raise UserError(
      f"{path} claims more pixels than fit into memory: it is damaged, or has "
      f"to be read by rows; convert it to one of {', '.join(PLAIN)}."
    ) from None
  except (OSError, SyntaxError, ValueError, EOFError) as e:
    if isinstance(e, OSError) and e.errno:
      raise
    raise UserError(
      f"{path} cannot be decoded ({str(e).rstrip('.')}): it is damaged, cut "
      "off, or no image; copy it again or leave it out."
    ) from None
