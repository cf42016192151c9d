"""Pictures for people: colours, overlays, depth, normals, contact sheets.

Everything is NumPy and uint8 RGB (h, w, 3); labels are integer (h, w), and a
palette is a sequence of RGB colours in [0, 255] whose position is the class
id. Ignored pixels are hatched, so that nobody takes them for a class.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from jaxseg.types import IGNORE, UserError

Palette = Sequence[Sequence[int]] | np.ndarray

PAPER = (250, 250, 248)
INK = (38, 40, 46)
FAINT = (120, 124, 132)
HATCH = ((214, 214, 206), (168, 168, 160))
INVALID = (58, 58, 62)  # no depth, no normal
RIGHT, LEFT, MIDDLE = (255, 140, 40), (60, 170, 255), (120, 230, 120)


def voc_palette(n: int = 256) -> np.ndarray:
  """The colours of PASCAL VOC: uint8 (n, 3).

  The bits of the id are dealt out to red, green and blue in turn, from the
  highest bit of each colour down: 1 is (128, 0, 0), 2 is (0, 128, 0), 255 is
  (224, 224, 192). Source: VOCcode of Everingham et al., the VOC 2012 kit.
  """
  ids = np.arange(n)
  colors = np.zeros((n, 3), np.uint8)
  for i, channel in itertools.product(range(8), range(3)):
    bit = (ids >> (3 * i + channel)) & 1
    colors[:, channel] |= (bit << (7 - i)).astype(np.uint8)
  return colors


def colorize(
  label: np.ndarray, palette: Palette, *, hatch: bool = True
) -> np.ndarray:
  """Class ids as colours: uint8 (h, w, 3).

  Args:
    label: integer (h, w); 255 is ignored unless the palette has 256 colours
      and `hatch` is off.
    palette: one colour per class.
    hatch: grey stripes where pixels are ignored, instead of flat grey.

  Raises:
    UserError: an id without a colour.
  """
  label = np.asarray(label)
  colors = np.asarray(palette, np.uint8).reshape(-1, 3)
  table = np.full((max(256, len(colors)), 3), HATCH[0], np.uint8)
  table[: len(colors)] = colors
  ignored = label == IGNORE
  wrong = (label < 0) | ((label >= len(colors)) & ~ignored)
  if wrong.any():
    raise UserError(
      f"class id {int(label[wrong][0])} has no colour: the palette has "
      f"{len(colors)}. Give one colour per class."
    )
  picture = np.take(table, label, axis=0)
  if hatch:
    y, x = np.nonzero(ignored)
    picture[y, x] = np.array(HATCH, np.uint8)[(x + y) // 4 % 2]
  return picture


def overlay(
  image: np.ndarray, label: np.ndarray, palette: Palette, alpha: float = 0.5
) -> np.ndarray:
  """The image tinted by class, borders between classes drawn in their colour.

  Args:
    image: uint8 (h, w, 3).
    label: integer (h, w), 255 = ignored.
    palette: one colour per class.
    alpha: strength of the tint, 0 (none) to 1 (opaque).
  """
  colors = colorize(label, palette)
  # Half the image's own colour goes: it would be mistaken for a class.
  calm = 0.5 * np.eye(3) + 0.5 / 3
  mixed = cv2.transform(np.ascontiguousarray(image), calm * (1 - alpha))
  mixed = cv2.addWeighted(mixed, 1, colors, alpha, 0)
  edge = _borders(np.asarray(label))
  strong = np.minimum(colors[edge] * 1.15 + 20, 255)
  mixed[edge] = np.round(0.25 * mixed[edge] + 0.75 * strong)
  return mixed


def depth_colors(
  depth: np.ndarray, low: float | None = None, high: float | None = None
) -> tuple[np.ndarray, tuple[float, float]]:
  """Depth as colours (turbo: near is red, far is blue) and the range shown.

  Mikhailov, "Turbo, An Improved Rainbow Colormap" (2019). Pixels without a
  depth (0 or not finite) are dark grey.

  Args:
    depth: (h, w) in metres, 0 = invalid.
    low: depth of the near end; None is the 2nd percentile of what is valid.
    high: depth of the far end; None is the 98th percentile.

  Returns:
    uint8 (h, w, 3), and (low, high) for `scale_bar`.
  """
  depth = np.asarray(depth, np.float32)
  valid = np.isfinite(depth) & (depth > 0)
  some = depth[valid] if valid.any() else np.ones(1, np.float32)
  low = float(np.percentile(some, 2)) if low is None else low
  high = float(np.percentile(some, 98)) if high is None else high
  near = (high - np.where(valid, depth, high)) / max(high - low, 1e-6)
  picture = _turbo(near)
  picture[~valid] = INVALID
  return picture, (low, high)


def scale_bar(
  low: float, high: float, height: int, unit: str = "m"
) -> np.ndarray:
  """What the colours of `depth_colors` mean: uint8 (height, w, 3)."""
  canvas = _Canvas(height, 64)
  pad = min(10, height // 4)
  ramp = np.linspace(1, 0, height - 2 * pad)[:, None].repeat(14, 1)
  canvas.paste(_turbo(ramp), pad, 6)
  ticks = max(2, min(5, height // 40))
  for part in np.linspace(0, 1, ticks):
    text = f"{low + part * (high - low):.3g} {unit}"
    canvas.text(text, pad + part * (height - 2 * pad - 1), 24, 10, anchor="lm")
  return canvas.array()


def normal_colors(normal: np.ndarray) -> np.ndarray:
  """Unit normals as colours: uint8 (h, w, 3).

  Camera frame (x right, y down, z forward) in; red, green and blue grow to the
  right, upwards and towards the viewer: a wall seen from the front is the
  familiar (128, 128, 255). Pixels without a normal (zero) are dark grey.
  """
  normal = np.asarray(normal, np.float32) * np.float32([1, -1, -1])
  valid = np.abs(normal).sum(-1, keepdims=True) > 0
  picture = np.round((np.clip(normal, -1, 1) + 1) * 127.5)
  return np.where(valid, picture, INVALID).astype(np.uint8)


def to_bytes(image: np.ndarray) -> np.ndarray:
  """[0, 1] (..., h, w, 1 or 3) -> uint8 RGB (..., h, w, 3)."""
  image = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
  return image.repeat(3, -1) if image.shape[-1] == 1 else image


def error_colors(
  image: np.ndarray, true: np.ndarray, high: float = 0.25
) -> np.ndarray:
  """Where two uint8 (h, w, 3) images differ: turbo, blue is equal.

  Red is a mean difference of the channels of `high`, as a share of 255.
  """
  error = np.abs(image.astype(np.float32) - true).mean(-1) / 255
  return _turbo(error / high)


def skeleton(
  image: np.ndarray,
  points: np.ndarray,
  bones: Sequence[Sequence[int]] = (),
  flip_pairs: Sequence[Sequence[int]] = (),
) -> np.ndarray:
  """Keypoints and the bones between them, over the image.

  The person's own right is orange, the left is blue, what is in the middle or
  joins the two sides is green: swapped sides are seen at once.

  Args:
    image: uint8 (h, w, 3).
    points: (n, k, 3) x, y in pixels and a score or visibility; points of 0 or
      less, and those that are not finite, are not drawn.
    bones: pairs of points that are joined.
    flip_pairs: (right, left) pairs of points.
  """
  picture = np.ascontiguousarray(image).copy()
  side = {a: RIGHT for a, _ in flip_pairs} | {b: LEFT for _, b in flip_pairs}
  radius = max(1, round(min(image.shape[:2]) / 120))
  for person in np.asarray(points, np.float64):
    drawn = np.isfinite(person).all(-1) & (person[:, 2] > 0)
    # Far outside, OpenCV's whole numbers would wrap around.
    at = np.clip(np.where(drawn[:, None], person[:, :2], 0), -1e4, 1e4)
    at = np.floor(at).astype(int).tolist()
    for a, b in bones:
      if drawn[a] and drawn[b]:
        sides = {side.get(a, MIDDLE), side.get(b, MIDDLE)}
        color = sides.pop() if len(sides) == 1 else MIDDLE
        cv2.line(picture, at[a], at[b], color, max(1, radius // 2))
    for i in np.flatnonzero(drawn):
      cv2.circle(picture, at[i], radius, side.get(i, MIDDLE), -1)
  return picture


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
  if any(len(row) != len(titles) for row in rows):
    raise ValueError(
      f"contact sheet: rows of {sorted({len(r) for r in rows})} pictures under "
      f"{len(titles)} titles."
    )
  fitted = [[fit(picture, cell) for picture in row] for row in rows]
  widths = [
    max((row[i].shape[1] for row in fitted), default=cell[1])
    for i in range(len(titles))
  ]
  heights = [max(p.shape[0] for p in row) for row in fitted]
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
  for i, row in enumerate(fitted):
    for picture, left in zip(row, lefts):
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


def fit(picture: np.ndarray, cell: tuple[int, int]) -> np.ndarray:
  """Shrinks (area) or enlarges (nearest, whole factors) into a cell."""
  h, w = picture.shape[:2]
  scale = min(cell[0] / h, cell[1] / w)
  if scale >= 1:
    factor = int(scale)
    return picture.repeat(factor, 0).repeat(factor, 1)
  size = (max(1, round(w * scale)), max(1, round(h * scale)))
  return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _borders(label: np.ndarray) -> np.ndarray:
  """Pixels whose right or lower neighbour has another label: bool (h, w)."""
  edge = np.zeros(label.shape, bool)
  edge[:, :-1] |= label[:, :-1] != label[:, 1:]
  edge[:-1] |= label[:-1] != label[1:]
  return edge


def _turbo(part: np.ndarray) -> np.ndarray:
  """[0, 1] (h, w) -> uint8 RGB, blue through green to red."""
  index = np.round(np.clip(part, 0, 1) * 255).astype(np.uint8)
  return cv2.applyColorMap(index, cv2.COLORMAP_TURBO)[..., ::-1].copy()
