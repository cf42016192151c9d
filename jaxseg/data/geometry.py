"""Moving an example: one geometry for each kind of field.

Images and colours are interpolated; labels, instances, depth and normals take
the nearest pixel, so that a value that was not there before never appears; so
do lines, but for the largest of all pixels where a map shrinks, since the
nearest would lose lines one pixel wide; flips negate the x of normals and
mirror motions; points and boxes move with the pixels; intrinsics follow the
crop and the scale; a point that has left the image has visibility 0. Pixel i
covers [i, i + 1): its centre is at i + 0.5.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from jaxseg.types import IGNORE, UserError

Fields = dict[str, Any]
Size = tuple[int, int]

# What fills the ground outside the picture, by kind of map.
MAPS = {
  "label": IGNORE,
  "boundary": IGNORE,
  "region": IGNORE,
  "instance": 0,
  "depth": 0.0,
  "normal": 0.0,
}
LINES = ("boundary",)  # maps of lines one pixel wide


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


def _hide_outside(fields: Fields, size: Size) -> Fields:
  """Sets the visibility of points outside the image of `size` to 0."""
  if "keypoints" not in fields:
    return fields
  points = np.array(fields["keypoints"], np.float32)
  inside = (points[..., :2] >= 0) & (points[..., :2] < size[::-1])
  points[..., 2] = np.where(inside.all(-1), points[..., 2], 0)
  return {**fields, "keypoints": points}


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
      out[key] = (lines if key in LINES else nearest)(out[key], size)
  return out


def nearest(array: np.ndarray, size: Size) -> np.ndarray:
  """Takes, for each output pixel, the input pixel that holds its centre.

  The rule of torch's 'nearest-exact' and of jax.image's 'nearest'.
  """
  h, w = array.shape[:2]
  rows = (2 * np.arange(size[0]) + 1) * h // (2 * size[0])
  cols = (2 * np.arange(size[1]) + 1) * w // (2 * size[1])
  return array[rows][:, cols]  # one axis at a time: seven times faster


def lines(array: np.ndarray, size: Size) -> np.ndarray:
  """As `nearest`; an axis that shrinks has the largest of all its pixels.

  Each input pixel belongs to the output pixel that holds its centre. IGNORE
  is less than all else, and stays where there is nothing else.

  Args:
    array: uint8 (h, w), values up to 127 and IGNORE.
    size: (h, w).
  """
  signed = array.view(np.int8)  # IGNORE is -1
  for axis, m in enumerate(size):
    n = signed.shape[axis]
    if m < n:
      # Pixel j is output i's from j + 1/2 >= i n / m on.
      starts = -((m - 2 * n * np.arange(m)) // (2 * m))
      signed = np.maximum.reduceat(signed, starts, axis)
  return nearest(signed.view(np.uint8), size)


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
  return _hide_outside(out, size)


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
  if "motion" in out:
    # Seen in a mirror: x changes its sign before the motion and after it.
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0]).astype(np.float32)
    out["motion"] = mirror @ out["motion"] @ mirror
  return out


def transpose(fields: Fields) -> Fields:
  """Exchanges rows and columns: mirrors an example at its main diagonal."""
  if "keypoints" in fields:
    raise UserError(
      "transform transpose cannot move 'keypoints', which have a left and a "
      "right: leave it out of the transforms of this task."
    )
  out = dict(fields)
  for key in ("image", *MAPS):
    if key in out:
      out[key] = np.ascontiguousarray(np.swapaxes(out[key], 0, 1))
  if "normal" in out:
    out["normal"] = out["normal"][..., [1, 0, 2]]
  if "boxes" in out:
    out["boxes"] = np.asarray(out["boxes"], np.float32)[:, [1, 0, 3, 2, 4]]
  if "camera" in out:
    out["camera"] = np.asarray(out["camera"], np.float32)[[1, 0, 3, 2]]
  if "motion" in out:
    order = [1, 0, 2, 3]
    out["motion"] = out["motion"][order][:, order]
  return out


def rotate_by(fields: Fields, angle_deg: float) -> Fields:
  """Turns an example about its centre, counter-clockwise as seen.

  Corners that come from outside are mean grey and ignore. Normals turn with
  the picture; boxes, intrinsics and motion cannot follow and are refused.
  """
  for key in ("boxes", "camera", "motion"):
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
  return _hide_outside(out, (h, w))
