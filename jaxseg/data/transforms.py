"""Transforms on a dict of fields: one example on the host, NumPy and OpenCV.

Each kind of field has its own geometry. Images and colours are interpolated;
labels, instances, depth and normals take the nearest pixel, so that a value
that was not there before never appears; flips negate the x of normals; points
and boxes move with the pixels; intrinsics follow the crop and the scale.
Pixel i covers [i, i + 1): its centre is at i + 0.5.

A pipeline is written as text: 'random_scale(0.5, 2)|crop|flip|photometric'.
"""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from jaxseg.types import IGNORE, UserError

Fields = dict[str, Any]
Transform = Callable[[Fields, np.random.Generator], Fields]
Size = tuple[int, int]

# What fills the ground outside the picture, by kind of map.
MAPS = {"label": IGNORE, "instance": 0, "depth": 0.0, "normal": 0.0}


def size_of(fields: Fields) -> Size:
  """(h, w) of the example."""
  return fields["image"].shape[:2]


def _affine_points(
  fields: Fields, sy: float, sx: float, dy: float, dx: float
) -> Fields:
  """Moves points, boxes and intrinsics by y -> sy y + dy, x -> sx x + dx."""
  out = dict(fields)
  if "keypoints" in out:
    points = np.array(out["keypoints"], np.float32)
    points[..., 0] = points[..., 0] * sx + dx
    points[..., 1] = points[..., 1] * sy + dy
    out["keypoints"] = points
  if "boxes" in out:
    boxes = np.array(out["boxes"], np.float32)
    boxes[:, [0, 2]] = boxes[:, [0, 2]] * sy + dy
    boxes[:, [1, 3]] = boxes[:, [1, 3]] * sx + dx
    out["boxes"] = boxes
  if "camera" in out:
    fx, fy, cx, cy = np.asarray(out["camera"], np.float32)
    out["camera"] = np.array(
      [fx * sx, fy * sy, cx * sx + dx, cy * sy + dy], np.float32
    )
  return out


def resize(fields: Fields, size: Size, smooth: bool = True) -> Fields:
  """Stretches an example to `size`; label maps by nearest pixel centre.

  Args:
    fields: the example.
    size: (h, w).
    smooth: average over pixel areas when shrinking (no aliasing); False is
      bilinear, three times faster, good for mild factors.
  """
  h, w = size_of(fields)
  if (h, w) == tuple(size):
    return fields
  sy, sx = size[0] / h, size[1] / w
  out = _affine_points(fields, sy, sx, 0.0, 0.0)
  shrinks = smooth and sy < 1 and sx < 1
  out["image"] = cv2.resize(
    out["image"],
    (size[1], size[0]),
    interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
  )
  for key in MAPS:
    if key in out:
      out[key] = nearest(out[key], size)
  return out


def nearest(array: np.ndarray, size: Size) -> np.ndarray:
  """Takes, for each output pixel, the input pixel that holds its centre.

  The rule of torch's 'nearest-exact' and of jax.image's 'nearest'.
  """
  h, w = array.shape[:2]
  rows = (2 * np.arange(size[0]) + 1) * h // (2 * size[0])
  cols = (2 * np.arange(size[1]) + 1) * w // (2 * size[1])
  return array[rows][:, cols]  # one axis at a time: seven times faster


def crop(fields: Fields, y: int, x: int, size: Size) -> Fields:
  """The window (y, x, size); what lies outside is mean grey and ignore.

  y and x may be negative, and the window may pass the lower right corner.
  """
  h, w = size_of(fields)
  if (y, x) == (0, 0) and (h, w) == tuple(size):
    return fields
  out = _affine_points(fields, 1.0, 1.0, -float(y), -float(x))
  for key in ("image", *MAPS):
    if key in out:
      fill = 128 if key == "image" else MAPS[key]
      out[key] = _window(out[key], y, x, size, fill)
  return out


def _window(
  array: np.ndarray, y: int, x: int, size: Size, fill: float
) -> np.ndarray:
  h, w = array.shape[:2]
  y0, x0 = max(y, 0), max(x, 0)
  y1, x1 = min(y + size[0], h), min(x + size[1], w)
  part = array[y0:y1, x0:x1]
  if part.shape[:2] == tuple(size):
    return part
  out = np.full((*size, *array.shape[2:]), fill, array.dtype)
  out[y0 - y : y1 - y, x0 - x : x1 - x] = part
  return out


def flip_lr(fields: Fields) -> Fields:
  """Mirrors an example left to right."""
  w = size_of(fields)[1]
  out = dict(fields)
  for key in ("image", *MAPS):
    if key in out:
      out[key] = out[key][:, ::-1]
  if "normal" in out:
    out["normal"] = out["normal"] * np.array([-1, 1, 1], np.float32)
  if "keypoints" in out:
    points = np.array(out["keypoints"], np.float32)
    points[..., 0] = w - points[..., 0]
    pairs = out.get("flip_pairs")
    if pairs is not None:
      order = np.arange(points.shape[-2])
      for a, b in pairs:
        order[a], order[b] = b, a
      points = points[..., order, :]
    out["keypoints"] = points
  if "boxes" in out:
    boxes = np.array(out["boxes"], np.float32)
    boxes[:, [1, 3]] = w - boxes[:, [3, 1]]
    out["boxes"] = boxes
  if "camera" in out:
    fx, fy, cx, cy = np.asarray(out["camera"], np.float32)
    out["camera"] = np.array([fx, fy, w - cx, cy], np.float32)
  return out


def rotate_by(fields: Fields, angle_deg: float) -> Fields:
  """Turns an example about its centre, counter-clockwise as seen.

  Corners that come from outside are mean grey and ignore. Normals turn with
  the picture; boxes and intrinsics cannot follow and are refused.
  """
  for key in ("boxes", "camera"):
    if key in fields:
      raise UserError(
        f"transform rotate cannot turn {key!r}: leave it out of the "
        "transforms of this task."
      )
  h, w = size_of(fields)
  # OpenCV's coordinates have pixel centres at integers.
  matrix = cv2.getRotationMatrix2D(((w - 1) / 2, (h - 1) / 2), angle_deg, 1.0)
  out = dict(fields)
  for key in ("image", *MAPS):
    if key not in out:
      continue
    fill = 128 if key == "image" else MAPS[key]
    array = out[key]
    if array.dtype == np.int32:  # warpAffine has no int32: ids go as float64
      array = array.astype(np.float64)
    turned = cv2.warpAffine(
      array,
      matrix,
      (w, h),
      flags=cv2.INTER_LINEAR if key == "image" else cv2.INTER_NEAREST,
      borderMode=cv2.BORDER_CONSTANT,
      borderValue=(fill,) * 4,
    )
    out[key] = turned.astype(out[key].dtype)
  a = np.deg2rad(angle_deg)
  # x right, y down: counter-clockwise as seen is (x, y) -> (cx+sy, -sx+cy).
  turn = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]], np.float32)
  if "normal" in out:
    normal = np.array(out["normal"])
    normal[..., :2] = normal[..., :2] @ turn.T
    out["normal"] = normal
  if "keypoints" in out:
    points = np.array(out["keypoints"], np.float32)
    centre = np.array([w / 2, h / 2], np.float32)
    points[..., :2] = (points[..., :2] - centre) @ turn.T + centre
    out["keypoints"] = points
  return out


# --- What can be named in a config: factories that take the network's size ---


def _resize(size: Size, height: int = 0, width: int = 0) -> Transform:
  """resize, resize(128), resize(128, 160): stretch to that size."""
  target = (height, width or height) if height else size
  return lambda fields, rng: resize(fields, target)


def _pad(size: Size) -> Transform:
  """pad: keep the scale; fill at the right and below up to the size."""

  def apply(fields: Fields, rng: np.random.Generator) -> Fields:
    h, w = size_of(fields)
    if h > size[0] or w > size[1]:
      raise UserError(
        f"transform pad: the image is {h}x{w}, larger than config.data.size = "
        f"{size[0]}x{size[1]}. Raise the size, or use 'resize'."
      )
    return crop(fields, 0, 0, size)

  return apply


def _crop(size: Size, height: int = 0, width: int = 0) -> Transform:
  """crop, crop(96, 96): a random window, padded with ignore."""
  target = (height, width or height) if height else size

  def apply(fields: Fields, rng: np.random.Generator) -> Fields:
    offsets = []
    for have, want in zip(size_of(fields), target):
      low, high = min(0, have - want), max(0, have - want)
      offsets.append(int(rng.integers(low, high + 1)))
    return crop(fields, offsets[0], offsets[1], target)

  return apply


def _random_scale(
  size: Size, low: float = 0.5, high: float = 2.0, stretch: float = 0.0
) -> Transform:
  """random_scale(0.5, 2): zoom by a factor, uniform in the logarithm.

  `stretch` 0.1 lets height and width differ by up to 10%.
  """
  if not 0 < low <= high:
    raise UserError(f"random_scale({low}, {high}): expected 0 < low <= high.")

  def apply(fields: Fields, rng: np.random.Generator) -> Fields:
    h, w = size_of(fields)
    scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    ratio = float(np.exp(rng.uniform(-stretch, stretch) / 2))
    target = (
      max(1, round(h * scale * ratio)),
      max(1, round(w * scale / ratio)),
    )
    # Augmentation, many times an epoch: bilinear unless it would alias.
    return resize(fields, target, smooth=scale <= 0.5)

  return apply


def _flip(size: Size, p: float = 0.5) -> Transform:
  """flip: mirror left to right with probability p."""
  return lambda fields, rng: flip_lr(fields) if rng.random() < p else fields


def _rotate(size: Size, max_deg: float = 10.0) -> Transform:
  """rotate(10): turn by an angle within +-10 degrees."""

  def apply(fields: Fields, rng: np.random.Generator) -> Fields:
    return rotate_by(fields, float(rng.uniform(-max_deg, max_deg)))

  return apply


def _photometric(
  size: Size,
  brightness: float = 0.125,
  contrast: float = 0.3,
  saturation: float = 0.3,
  hue: float = 0.05,
) -> Transform:
  """photometric: brightness, contrast, saturation and hue, each jittered.

  brightness is a shift in units of the full range; contrast and saturation
  are factors 1 +- that; hue is a share of the colour circle.
  """

  def apply(fields: Fields, rng: np.random.Generator) -> Fields:
    shift, gain, sat, turn = rng.uniform(-1, 1, 4)
    # Brightness and contrast are one table; saturation and hue need HSV.
    levels = np.arange(256, dtype=np.float32)
    levels = (levels - 128) * (1 + contrast * gain) + 128
    levels += 255 * brightness * shift
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    image = cv2.LUT(np.ascontiguousarray(fields["image"]), table)
    if saturation or hue:
      hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
      circle = np.arange(256, dtype=np.float32)
      hues = np.mod(circle + 256 * hue * turn, 256).astype(np.uint8)
      sats = np.clip(circle * (1 + saturation * sat), 0, 255).astype(np.uint8)
      table = np.stack([hues, sats, np.arange(256, dtype=np.uint8)], -1)
      hsv = cv2.LUT(hsv, table[None])
      image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)
    return {**fields, "image": image}

  return apply


TRANSFORMS: Mapping[str, Callable[..., Transform]] = {
  "resize": _resize,
  "pad": _pad,
  "crop": _crop,
  "random_scale": _random_scale,
  "flip": _flip,
  "rotate": _rotate,
  "photometric": _photometric,
}


def _factory(name: str) -> Callable[..., Transform]:
  if name not in TRANSFORMS:
    near = difflib.get_close_matches(name, TRANSFORMS, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UserError(
      f"unknown transform {name!r}: expected one of {', '.join(TRANSFORMS)}."
      f"{hint}"
    )
  return TRANSFORMS[name]


def parse(text: str, size: Size) -> Transform:
  """Builds a pipeline from its text form; see the module's docstring.

  Args:
    text: transforms joined by '|', each a name or a call with literals.
    size: (h, w) that the network works at; the default of resize and crop.

  Raises:
    UserError: unknown name, or arguments that it does not take.
  """
  steps: list[Transform] = []
  for part in filter(None, (p.strip() for p in text.split("|"))):
    try:
      node = ast.parse(part, mode="eval").body
      call = node if isinstance(node, ast.Call) else None
      func = call.func if call else node
      args = [ast.literal_eval(a) for a in call.args] if call else []
      kwargs = {
        k.arg: ast.literal_eval(k.value)
        for k in (call.keywords if call else [])
      }
      if not isinstance(func, ast.Name):
        raise ValueError
    except (SyntaxError, ValueError) as e:
      raise UserError(
        f"transform {part!r} cannot be read: write a name or a call with "
        "numbers, such as 'random_scale(0.5, 2)'."
      ) from e
    factory = _factory(func.id)
    try:
      inspect.signature(factory).bind(size, *args, **kwargs)
    except TypeError as e:
      raise UserError(f"transform {part!r}: {e}.") from e
    steps.append(factory(size, *args, **kwargs))

  def apply(fields: Fields, rng: np.random.Generator) -> Fields:
    for step in steps:
      fields = step(fields, rng)
    return fields

  return apply
