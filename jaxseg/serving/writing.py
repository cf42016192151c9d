"""Files that grow strip by strip: PNG (zlib is all it takes) and .npy.

A file gets its name when it is complete: what a broken run leaves behind ends
in .part, and is removed where the run lives to do so.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import struct
import zlib
from types import TracebackType
from typing import Any

import numpy as np

LEVEL = 4  # of zlib: labels shrink to 2%, photographs are no smaller at 9
_KINDS = {"palette": (8, 3), "rgb": (8, 2), "grey16": (16, 0)}


class Growing:
  """A context manager over a file that is written from front to back."""

  def __init__(self, path: str | os.PathLike):
    self._path = pathlib.Path(path)
    self._part = self._path.with_name(self._path.name + ".part")
    self._path.parent.mkdir(parents=True, exist_ok=True)
    self._file = self._part.open("wb")

  def __enter__(self):
    return self

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
  ) -> None:
    try:
      if kind is None:
        self._end()
        self._file.close()
        os.replace(self._part, self._path)
    finally:
      with contextlib.suppress(OSError):  # a full disk fails a second time
        self._file.close()
      self._part.unlink(missing_ok=True)

  def _end(self) -> None:
    """What comes behind the last row."""


class Png(Growing):
  """A PNG of uint8 ids (h, w) with colours, RGB (h, w, 3), or uint16 (h, w).

  The format: ISO/IEC 15948, one IDAT chunk a strip.
  """

  def __init__(
    self,
    path: str | os.PathLike,
    size: tuple[int, int],
    kind: str,
    palette: np.ndarray | None = None,
  ):
    super().__init__(path)
    depth, color = _KINDS[kind]
    self._pack = zlib.compressobj(LEVEL)
    self._above: Any = 0
    self._rgb = kind == "rgb"
    self._file.write(b"\x89PNG\r\n\x1a\n")
    header = struct.pack(">IIBBBBB", size[1], size[0], depth, color, 0, 0, 0)
    self._chunk(b"IHDR", header)
    if palette is not None:
      self._chunk(b"PLTE", np.asarray(palette, np.uint8).tobytes())

  def write(self, rows: np.ndarray) -> None:
    """The next rows."""
    count = len(rows)
    if self._rgb:  # each as its difference from the row above: filter 2
      flat = rows.reshape(count, -1)
      lines = np.empty((count, flat.shape[1] + 1), np.uint8)
      lines[:, 0] = 2
      lines[0, 1:] = flat[0] - self._above
      lines[1:, 1:] = flat[1:] - flat[:-1]
      self._above = flat[-1].copy()
    else:
      flat = rows.astype(">u2" if rows.dtype == np.uint16 else np.uint8)
      flat = np.ascontiguousarray(flat).view(np.uint8).reshape(count, -1)
      lines = np.pad(flat, ((0, 0), (1, 0)))
    data = self._pack.compress(lines.tobytes())
    if data:
      self._chunk(b"IDAT", data)

  def _end(self) -> None:
    self._chunk(b"IDAT", self._pack.flush())
    self._chunk(b"IEND", b"")

  def _chunk(self, name: bytes, data: bytes) -> None:
    self._file.write(struct.pack(">I", len(data)) + name + data)
    self._file.write(struct.pack(">I", zlib.crc32(name + data)))


class Npy(Growing):
  """An array as numpy.save writes it."""

  def __init__(
    self, path: str | os.PathLike, shape: tuple[int, ...], dtype: np.dtype
  ):
    super().__init__(path)
    header = {
      "descr": np.lib.format.dtype_to_descr(dtype),
      "fortran_order": False,
      "shape": tuple(map(int, shape)),
    }
    np.lib.format.write_array_header_1_0(self._file, header)

  def write(self, rows: np.ndarray) -> None:
    """The next rows."""
    self._file.write(np.ascontiguousarray(rows).tobytes())
