"""Pictures for people: colours, overlays, depth, errors, skeletons, discs.

Everything is NumPy and uint8 RGB (h, w, 3); labels are integer (h, w), and a
palette is a sequence of RGB colours in [0, 255] whose position is the class
id. Ignored pixels are hatched, so that nobody takes them for a class.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from jaxseg.types import IGNORE, UserError

try:
  import cv2
except ModuleNotFoundError:  # tasks train without it, and draw nothing
  cv2 = None

Palette = Sequence[Sequence[int]] | np.ndarray

HATCH = ((214, 214, 206), (168, 168, 160))
WRONG = (235, 40, 40)
INVALID = (58, 58, 62)  # no depth, no normal
BEST, OTHER = (120, 255, 120), (255, 255, 255)  # discs
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
  picture = turbo(near)
  picture[~valid] = INVALID
  return picture, (low, high)


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


def ink(strength: np.ndarray) -> np.ndarray:
  """Dark lines on white: (..., h, w) in [0, 1] -> uint8 (..., h, w, 3).

  Weak lines are drawn darker than they are, to be seen.
  """
  return to_bytes(1 - np.sqrt(np.clip(strength, 0, 1))[..., None])


def error_colors(
  error: np.ndarray, high: float, valid: np.ndarray | None = None
) -> np.ndarray:
  """How wrong each pixel is: turbo, blue is right, red is `high` or more.

  Args:
    error: (h, w), at least 0.
    high: in the unit of the error.
    valid: bool (h, w), where there is a truth; dark grey elsewhere.
  """
  valid = np.ones(error.shape, bool) if valid is None else valid
  picture = turbo(np.where(valid, error, 0) / high)
  picture[~valid] = INVALID
  return picture


def image_error(image: np.ndarray, true: np.ndarray) -> np.ndarray:
  """Where two uint8 (h, w, 3) images differ; see `error_colors`.

  Red is a mean difference of the channels of a quarter of the range.
  """
  return error_colors(np.abs(image.astype(np.float32) - true).mean(-1), 64.0)


def depth_error(depth: np.ndarray, true: np.ndarray) -> np.ndarray:
  """Relative error of metres (h, w); red is half of the truth, or more."""
  valid = np.isfinite(true) & (true > 0)
  safe = np.where(valid, true, 1)
  return error_colors(np.abs(depth - safe) / safe, 0.5, valid)


def normal_error(normal: np.ndarray, true: np.ndarray) -> np.ndarray:
  """Angle between unit vectors (h, w, 3); red is 60 degrees, or more."""
  valid = np.abs(true).sum(-1) > 0
  cosine = np.clip((np.asarray(normal, np.float32) * true).sum(-1), -1, 1)
  return error_colors(np.rad2deg(np.arccos(cosine)), 60.0, valid)


def label_error(
  image: np.ndarray, label: np.ndarray, true: np.ndarray
) -> np.ndarray:
  """The image in grey, red where the label is wrong, hatched where ignored."""
  ignored = true == IGNORE
  wrong = np.where(ignored, IGNORE, label != true)
  grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
  picture = grey[..., None].repeat(3, -1)
  painted = overlay(picture, wrong, ((0, 0, 0), WRONG))
  return np.where((wrong == 0)[..., None], picture, painted)


def point_error(
  image: np.ndarray, points: np.ndarray, true: np.ndarray
) -> np.ndarray:
  """A line from each point of the truth (a dot) to where it was predicted.

  Args:
    image: uint8 (h, w, 3).
    points: (n, k, 3) x, y in pixels, score.
    true: (n, k, 3) x, y in pixels, visibility; 0 is not drawn.
  """
  picture = np.ascontiguousarray(image).copy()
  radius = max(1, round(min(image.shape[:2]) / 120))
  pairs = zip(np.reshape(points, (-1, 3)), np.reshape(true, (-1, 3)))
  for guess, point in pairs:
    if point[2] > 0 and np.isfinite(guess[:2]).all():
      a, b = (
        tuple(np.floor(np.clip(p[:2], -1e4, 1e4)).astype(int).tolist())
        for p in (guess, point)
      )
      cv2.line(picture, a, b, WRONG, max(1, radius // 2))
      cv2.circle(picture, b, radius, MIDDLE, -1)
  return picture


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


def clicks(picture: np.ndarray, made: np.ndarray) -> np.ndarray:
  """Dots where somebody clicked, on the object and beside it.

  Args:
    picture: uint8 (h, w, 3).
    made: (n, 3) row, column, and 1 (green), -1 (red) or 0 (no click).
  """
  picture = np.ascontiguousarray(picture).copy()
  radius = max(1, round(min(picture.shape[:2]) / 80))
  for row, column, sign in np.asarray(made).tolist():
    if sign:
      at, color = (column, row), MIDDLE if sign > 0 else WRONG
      cv2.circle(picture, at, radius + 1, (255, 255, 255), -1)
      cv2.circle(picture, at, radius, color, -1)
  return picture


def discs(
  picture: np.ndarray,
  places: Sequence[tuple[float, float, float]],
  texts: Sequence[str] = (),
) -> np.ndarray:
  """Circles with their centres and a text each; the first is the best.

  Args:
    picture: uint8 (h, w, 3).
    places: (row, column, radius) in pixels, best first.
    texts: of each, in ASCII.
  """
  picture = np.ascontiguousarray(picture).copy()
  line = max(1, round(min(picture.shape[:2]) / 240))
  size = max(0.35, min(picture.shape[:2]) / 1100)
  for i, (row, column, radius) in reversed(list(enumerate(places))):
    at = (round(column), round(row))
    color, width = (BEST, 2 * line) if i == 0 else (OTHER, line)
    cv2.circle(picture, at, round(radius), (0, 0, 0), width + 2, cv2.LINE_AA)
    cv2.circle(picture, at, round(radius), color, width, cv2.LINE_AA)
    cv2.circle(picture, at, line, color, -1)
    if i < len(texts):
      (w, h), _ = cv2.getTextSize(texts[i], 0, size, 1)
      # Inside the picture, whatever the disc is.
      left = min(max(at[0] - w // 2, 0), max(picture.shape[1] - w, 0))
      foot = (left, min(at[1] + 2 * h, picture.shape[0] - 2))
      for ink, thick in (((0, 0, 0), 3), (color, 1)):
        cv2.putText(picture, texts[i], foot, 0, size, ink, thick, cv2.LINE_AA)
  return picture


def region_means(image: np.ndarray, segments: np.ndarray) -> np.ndarray:
  """Each region in its mean colour: uint8 (h, w, 3).

  Args:
    image: uint8 (h, w, 3).
    segments: integer (h, w), ids from 0 on.
  """
  flat = segments.ravel()
  n = np.maximum(np.bincount(flat), 1)
  planes = [
    (np.bincount(flat, image[..., i].ravel()) / n)[segments] for i in range(3)
  ]
  return np.round(np.stack(planes, -1)).astype(np.uint8)


def outline(image: np.ndarray, segments: np.ndarray) -> np.ndarray:
  """The image with the borders of its regions: uint8 (h, w, 3)."""
  picture = image.copy()
  picture[_borders(segments)] = (255, 230, 40)
  return picture


def _borders(label: np.ndarray) -> np.ndarray:
  """Pixels whose right or lower neighbour has another label: bool (h, w)."""
  edge = np.zeros(label.shape, bool)
  edge[:, :-1] |= label[:, :-1] != label[:, 1:]
  edge[:-1] |= label[:-1] != label[1:]
  return edge


def turbo(part: np.ndarray) -> np.ndarray:
  """[0, 1] (h, w) -> uint8 RGB, blue through green to red.

  Mikhailov, "Turbo, An Improved Rainbow Colormap" (2019).
  """
  index = np.round(np.clip(part, 0, 1) * 255).astype(np.uint8)
  return cv2.applyColorMap(index, cv2.COLORMAP_TURBO)[..., ::-1].copy()
