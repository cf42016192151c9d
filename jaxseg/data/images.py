"""Picture files: images, masks, indexed PNGs, and finding them in folders.

OpenCV decodes; Pillow takes over where OpenCV would lose the ids, which are
the indices of a palette PNG (OpenCV expands them to colours). Arrays are
uint8 RGB (h, w, 3) for images and integer (h, w) for masks. Whatever cannot
be read raises a UserError that names the file.
"""

from __future__ import annotations

import io
import os
import pathlib
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import PIL.Image

from jaxseg.serving import paths
from jaxseg.types import IGNORE, UserError

Color = tuple[int, int, int]
Source = str | os.PathLike | bytes

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_TIFF = (b"II*\0", b"MM\0*")
# Straight to RGB where OpenCV can: a pass over the pixels less.
_RGB = getattr(cv2, "IMREAD_COLOR_RGB", cv2.IMREAD_COLOR)
_KINDS = "a JPEG, PNG, BMP, TIFF or WebP image"


def read_image(source: Source, name: str | None = None) -> np.ndarray:
  """Decodes an image: uint8 RGB (h, w, 3).

  Grey becomes three equal channels, palettes become colours, an alpha channel
  is dropped, 16 bits become 8 by v / 257 (so that 65535 is 255), and the
  orientation that EXIF asks for is applied.

  Args:
    source: a path, or the bytes of a file.
    name: what to call it in an error; the path by default.

  Raises:
    UserError: missing, empty, cut off, or not an image that can be decoded.
  """
  data, name = _load(source, name)
  flags = _RGB
  if data[:4] in _TIFF or (data[:8] == _PNG and data[24:25] == b"\x10"):
    flags |= cv2.IMREAD_ANYDEPTH  # rarely: OpenCV alone would cut, not round
  image = _decode(data, flags, name)
  if image.dtype == np.uint16:
    image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
  if image.dtype != np.uint8:
    raise UserError(
      f"{name} holds {image.dtype} pixels, not 8 or 16 bit integers: rescale "
      "it to 8 bits and save it as PNG."
    )
  if _RGB == cv2.IMREAD_COLOR:  # before OpenCV 4.11
    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
  return image


def read_mask(
  source: Source,
  palette: Mapping[Color, int] | None = None,
  name: str | None = None,
) -> np.ndarray:
  """Decodes a mask of ids: (h, w), uint8 where the file has 8 bits or fewer.

  Without `palette` the ids are the grey values (1 to 16 bits; RGB with three
  equal channels counts as grey) or the indices of a palette PNG. With it the
  colours count, whatever the kind of file.

  Args:
    source: a path, or the bytes of a file.
    palette: RGB colour -> id, see `color_table`.
    name: what to call it in an error; the path by default.

  Raises:
    UserError: unreadable, compressed with loss, colours without a palette, or
      colours that the palette does not have.
  """
  data, name = _load(source, name)
  if data[:3] == _JPEG or (data[8:16] == b"WEBPVP8 "):
    raise UserError(
      f"mask {name} is compressed with loss (JPEG or lossy WebP), which makes "
      "up ids at the borders: use the original masks, saved as PNG."
    )
  if palette is not None:
    return _ids_of_colors(read_image(data, name), palette, name)
  is_png = data[:8] == _PNG and len(data) > 25
  if is_png and data[25] == 3:
    return _palette_indices(data, name)
  mask = _decode(data, cv2.IMREAD_UNCHANGED, name)
  if mask.ndim == 3 and mask.shape[2] in (3, 4):
    if (mask[..., :2] != mask[..., 1:3]).any():
      raise UserError(
        f"mask {name} is in colour, and no palette says which colour is which "
        "class: give the palette, or save the masks as grey or palette PNGs."
      )
    mask = mask[..., 0]
  if mask.ndim != 2 or not np.issubdtype(mask.dtype, np.integer):
    raise UserError(
      f"mask {name} holds {mask.dtype} pixels of shape {mask.shape}: expected "
      "integer ids in one channel, 8 or 16 bit. Save it as a PNG of ids."
    )
  if is_png and data[24] < 8:  # OpenCV stretches 1, 2 and 4 bits to 0..255
    mask = mask // (255 // (2 ** data[24] - 1))
  return np.ascontiguousarray(mask)


def color_table(palette: Sequence[Sequence[int]]) -> dict[Color, int]:
  """RGB colour -> id, where position in `palette` is the id.

  Raises:
    UserError: two ids share a colour, so that a mask could not be read back.
  """
  table: dict[Color, int] = {}
  for index, color in enumerate(palette):
    key = tuple(int(v) for v in color)
    if key in table:
      raise UserError(
        f"the palette gives ids {table[key]} and {index} the same colour "
        f"{key}: give every class a colour of its own."
      )
    table[key] = index
  return table


def write_png_palette(
  path: str | os.PathLike, label: np.ndarray, palette: Sequence[Sequence[int]]
) -> None:
  """Writes ids as an 8-bit indexed PNG: pixel values are ids, colours follow.

  Args:
    path: where to; the folder exists.
    label: integer (h, w) with ids of the palette, or 255 = ignore.
    palette: up to 256 RGB colours in [0, 255], position = id. Entry 255 of a
      shorter palette is (224, 224, 192), the VOC colour of ignored pixels.

  Raises:
    UserError: an id that the palette does not have.
  """
  colors = np.zeros((256, 3), np.uint8)
  colors[IGNORE] = (224, 224, 192)
  colors[: len(palette)] = np.asarray(palette)
  label = np.asarray(label)
  known = (label >= 0) & ((label < len(palette)) | (label == IGNORE))
  if not known.all():
    raise UserError(
      f"{path}: id {int(label[~known][0])} is not in a palette of "
      f"{len(palette)} colours: give one colour per class."
    )
  image = PIL.Image.fromarray(label.astype(np.uint8))
  image.putpalette(colors.tobytes())
  image.save(path, format="PNG")


def list_images(
  patterns: Source | Sequence[str | os.PathLike],
) -> list[pathlib.Path]:
  """The images of files, folders and globs; see `serving.paths.find`."""
  return paths.find(patterns, SUFFIXES)


def _load(source: Source, name: str | None) -> tuple[bytes, str]:
  """The bytes of a source, and what to call it."""
  if isinstance(source, bytes):
    data, name = source, name or "the image"
  else:
    name = name or str(source)
    try:
      path = pathlib.Path(source)
      if not (path.is_file() or path.is_dir()) and path.exists():
        # Reading a pipe would wait for somebody to write.
        raise UserError(f"{name} is no file: expected one, {_KINDS}.")
      data = path.read_bytes()
    except FileNotFoundError:
      raise UserError(f"{name} does not exist: check the path.") from None
    except IsADirectoryError:
      raise UserError(
        f"{name} is a folder: expected a file, {_KINDS}."
      ) from None
    except OSError as e:
      raise UserError(
        f"{name} cannot be opened ({e.strerror}): check its permissions."
      ) from None
  if not data:
    raise UserError(f"{name} is empty (0 bytes): copy or download it again.")
  return data, name


def _decode(data: bytes, flags: int, name: str) -> np.ndarray:
  """OpenCV's decoder, in BGR order."""
  # Checked first: some versions fill the missing part with grey, silently.
  if _is_cut_off(data):
    raise UserError(
      f"{name} is cut off: it ends after {len(data)} bytes, before the image "
      "does. Copy or download it again."
    )
  try:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
  except cv2.error:
    image = None
  if image is None:
    raise UserError(
      f"{name} cannot be decoded: expected {_KINDS}. If it should be one, it "
      "is damaged: copy it again or leave it out."
    )
  return image


def _is_cut_off(data: bytes) -> bool:
  """Whether a JPEG or PNG lacks its end marker; a microsecond or two."""
  if data[:3] == _JPEG:
    # Behind the scan header only, for a thumbnail in front has its own end.
    scan = _start_of_scan(data)
    return scan < 0 or data.rfind(b"\xff\xd9", scan) < 0
  return data[:8] == _PNG and data.rfind(b"IEND") < 0


def _start_of_scan(data: bytes) -> int:
  """Offset of a JPEG's first SOS marker; -1 if the file ends before it."""
  at = 2
  while at + 4 <= len(data):
    if data[at] != 0xFF:
      return at  # not a well-formed header: leave it to the decoder
    marker = data[at + 1]
    if marker == 0xDA:
      return at
    if marker == 0xFF or 0xD0 <= marker <= 0xD8:  # fill byte, no length
      at += 1 if marker == 0xFF else 2
    else:
      at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
  return -1


def _palette_indices(data: bytes, name: str) -> np.ndarray:
  try:
    with PIL.Image.open(io.BytesIO(data)) as image:
      return np.array(image, np.uint8)
  except (OSError, SyntaxError, ValueError) as e:
    raise UserError(
      f"mask {name} is a damaged palette PNG ({e}): copy it again."
    ) from None


def _ids_of_colors(
  rgb: np.ndarray, palette: Mapping[Color, int], name: str
) -> np.ndarray:
  """Ids of a colour-coded mask by binary search in the palette."""
  r, g, b = np.array(list(palette), np.int32).T
  keys, ids = (r << 16) | (g << 8) | b, np.array(list(palette.values()))
  order = np.argsort(keys)
  keys, ids = keys[order], ids[order]
  wide = rgb.astype(np.int32)
  codes = (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]  # (h, w)
  at = np.minimum(np.searchsorted(keys, codes), len(keys) - 1)
  unknown = keys[at] != codes
  if unknown.any():
    bad, counts = np.unique(codes[unknown], return_counts=True)
    worst = np.argsort(-counts)[:5]
    listed = ", ".join(
      f"({c >> 16}, {c >> 8 & 255}, {c & 255}) in {n} pixels"
      for c, n in zip(bad[worst], counts[worst])
    )
    more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
    raise UserError(
      f"mask {name} has colours that are not in the palette: {listed}{more}. "
      "Add them to the palette, or mend the mask."
    )
  return ids.astype(np.uint8 if ids.max() < 256 else np.uint16)[at]
