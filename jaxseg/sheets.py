"""Contact sheets: pictures in rows, under headings, with names and legends."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from jaxseg.types import IGNORE
from jaxseg.viz import Palette, colorize, turbo

PAPER = (250, 250, 248)
INK = (38, 40, 46)
FAINT = (120, 124, 132)


def contact_sheet(
  rows: Sequence[Sequence[np.ndarray]],
  titles: Sequence[str],
  legend: Sequence[tuple[str, Sequence[int]]] = (),
  *,
  names: Sequence[str] | None = None,
  cell: tuple[int, int] = (192, 256),
) -> np.ndarray:
  """A grid of pictures with headings, names and a legend of classes.

  Args:
    rows: pictures, uint8 (h, w, 3) of any sizes; each is fitted into a cell.
    titles: a heading per column, such as ('image', 'truth', 'prediction').
    legend: (name, colour) of each class.
    names: a caption per row.
    cell: largest (h, w) of a picture on the sheet.

  Returns:
    uint8 (h, w, 3).
  """
  if any(len(pictures) != len(titles) for pictures in rows):
    raise ValueError(
      f"contact sheet: rows of {sorted({len(p) for p in rows})} pictures under "
      f"{len(titles)} titles."
    )
  fitted = [row(pictures, cell) for pictures in rows]
  widths = [
    max((pictures[i].shape[1] for pictures in fitted), default=cell[1])
    for i in range(len(titles))
  ]
  heights = [max(p.shape[0] for p in pictures) for pictures in fitted]
  margin, gap, head, caption = 20, 8, 28, 20 if names else 0
  width = max(2 * margin + sum(widths) + gap * (len(titles) - 1), 260)
  keys = _legend_lines(legend, width - 2 * margin)
  height = margin + head + sum(heights) + (gap + caption) * len(rows)
  height += 22 * (max(y for *_, y, _ in keys) + 1) + 10 if keys else 0
  canvas = _Canvas(height + margin - gap, width)

  lefts = margin + np.cumsum([0, *(w + gap for w in widths)])
  for title, left in zip(titles, lefts):
    canvas.text(title, margin + 8, left, 14, anchor="lm")
  top = margin + head
  for i, pictures in enumerate(fitted):
    for picture, left in zip(pictures, lefts):
      canvas.paste(picture, top, left)
    top += heights[i]
    if names:
      text = _shorten(names[i], 11, width - 2 * margin)
      canvas.text(text, top + 10, margin, 11, color=FAINT, anchor="lm")
    top += caption + gap
  for name, color, line, left in keys:
    y = top + 10 + 22 * line
    if color is None:
      swatch = colorize(np.full((12, 18), IGNORE), [])
    else:
      swatch = np.full((12, 18, 3), color, np.uint8)
    canvas.paste(swatch, y - 6, margin + left)
    canvas.text(name, y, margin + left + 24, 12, anchor="lm")
  return canvas.array()


def class_legend(
  names: Sequence[str], palette: Palette, *, ignore: bool = False
) -> list[tuple[str, Sequence[int] | None]]:
  """Names and colours for `contact_sheet`; with `ignore` a hatched entry."""
  entries = [(name, tuple(c)) for name, c in zip(names, palette)]
  return [*entries, ("ignored", None)] if ignore else entries


def scale_bar(
  low: float, high: float, height: int, unit: str = "m"
) -> np.ndarray:
  """What the colours of `viz.depth_colors` mean: uint8 (height, w, 3)."""
  canvas = _Canvas(height, 64)
  pad = min(10, height // 4)
  ramp = np.linspace(1, 0, height - 2 * pad)[:, None].repeat(14, 1)
  canvas.paste(turbo(ramp), pad, 6)
  ticks = max(2, min(5, height // 40))
  for part in np.linspace(0, 1, ticks):
    text = f"{low + part * (high - low):.3g} {unit}"
    canvas.text(text, pad + part * (height - 2 * pad - 1), 24, 10, anchor="lm")
  return canvas.array()


class _Canvas:
  """A sheet to paste pictures and set text on."""

  def __init__(self, height: int, width: int):
    self._image = PIL.Image.new("RGB", (int(width), int(height)), PAPER)
    self._draw = PIL.ImageDraw.Draw(self._image)

  def paste(self, picture: np.ndarray, top: int, left: int) -> None:
    self._image.paste(PIL.Image.fromarray(picture), (int(left), int(top)))

  def text(self, text, y, x, size, color=INK, anchor="la") -> None:
    self._draw.text(
      (x, y), text, color, PIL.ImageFont.load_default(size), anchor=anchor
    )

  def array(self) -> np.ndarray:
    return np.array(self._image)


def _text_width(text: str, size: int) -> int:
  return int(PIL.ImageFont.load_default(size).getlength(text)) + 1


def _shorten(text: str, size: int, width: int) -> str:
  """Cuts the front off, for the end of a path says most."""
  short = text
  while _text_width(short, size) > width and len(text) > 1:
    text = text[1:]
    short = "..." + text
  return short


def _legend_lines(entries, width):
  """(name, colour, line, left) of each entry, flowed into lines."""
  placed, line, left = [], 0, 0
  for name, color in entries:
    need = 24 + _text_width(name, 12) + 20
    if left and left + need > width:
      line, left = line + 1, 0
    placed.append((name, color, line, left))
    left += need
  return placed


def row(
  pictures: Sequence[np.ndarray], cell: tuple[int, int]
) -> list[np.ndarray]:
  """Pictures to stand side by side, each fitted into a cell.

  Those as high as the first are scaled as it is, so that they stay so: one with
  a scale bar beside it is wider than its cell.
  """
  h, w = pictures[0].shape[:2]
  first = min(cell[0] / h, cell[1] / w)
  return [fit(p, cell, first if p.shape[0] == h else None) for p in pictures]


def fit(
  picture: np.ndarray, cell: tuple[int, int], scale: float | None = None
) -> np.ndarray:
  """Shrinks (area) or enlarges (nearest, whole factors) into a cell.

  Args:
    picture: uint8 (h, w, 3).
    cell: largest (h, w).
    scale: by which instead.
  """
  h, w = picture.shape[:2]
  scale = scale or min(cell[0] / h, cell[1] / w)
  if scale >= 1:
    factor = int(scale)
    return picture.repeat(factor, 0).repeat(factor, 1)
  size = (max(1, round(w * scale)), max(1, round(h * scale)))
  return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
