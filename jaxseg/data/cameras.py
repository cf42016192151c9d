"""Cameras and their ways as files: camera.json and poses.csv.

camera.json holds width, height, fx, fy, cx, cy in pixels, principal point from
the upper left corner of the image (the centre of its first pixel is at 0.5).
poses.csv has a head line and a line per frame: its name, then the rows of the
3 x 4 matrix that takes points of the camera (x right, y down, z forward) to
the world, metres.
"""

from __future__ import annotations

import csv
import json
import os
import pathlib

import numpy as np

from jaxseg.ops import camera as cam
from jaxseg.ops import motion as rigid
from jaxseg.types import UserError

COLUMNS = tuple(
  name for i in range(3) for name in (*(f"r{i}{j}" for j in range(3)), f"t{i}")
)


def read_camera(
  path: str | os.PathLike, size: tuple[int, int] | None = None
) -> np.ndarray:
  """Intrinsics (4,) float32 of a camera.json.

  Args:
    path: the file.
    size: (h, w) of the images, to which the intrinsics are scaled.

  Raises:
    UserError: not there, not JSON, a number missing, a focal length that is
      not positive, or a size of another shape.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise UserError(
      f"{path} is not there, and without intrinsics pixels have no direction: "
      "write width, height, fx, fy, cx, cy in pixels as JSON."
    )
  try:
    found = json.loads(path.read_text())
    camera = [float(found[key]) for key in ("fx", "fy", "cx", "cy")]
    h, w = float(found["height"]), float(found["width"])
  except (ValueError, KeyError, TypeError) as e:
    raise UserError(
      f"{path} cannot be read ({type(e).__name__}: {e}): expected JSON with "
      "width, height, fx, fy, cx, cy in pixels."
    ) from e
  camera = cam.validate_camera(camera, str(path))
  if size is None or (h, w) == tuple(size):
    return camera
  sy, sx = size[0] / h, size[1] / w
  if abs(sy / sx - 1) > 0.01:
    raise UserError(
      f"{path} is of images of {w:g}x{h:g} (width x height), and these are "
      f"{size[1]}x{size[0]}, of another shape: give the intrinsics of these "
      "images."
    )
  return camera * np.float32([sx, sy, sx, sy])


def read_poses(path: str | os.PathLike) -> dict[str, np.ndarray]:
  """Frame name -> world from camera (4, 4) float64, in the file's order.

  Raises:
    UserError: not there, another head line, no numbers, a name twice, or a
      matrix that is no rotation and shift; the line is named.
  """
  path = pathlib.Path(path)
  if not path.is_file():
    raise UserError(
      f"{path} is not there, and without poses nothing is known of the motion "
      f"between frames: write a line 'frame,{','.join(COLUMNS)}' and one per "
      "frame."
    )
  with path.open(newline="") as file:
    lines = csv.reader(file)
    head = next(lines, [])
    if head != ["frame", *COLUMNS]:
      raise UserError(
        f"{path} has the head line {','.join(head)!r}: expected "
        f"'frame,{','.join(COLUMNS)}'."
      )
    poses: dict[str, np.ndarray] = {}
    for line in lines:
      where = f"{path} line {lines.line_num}"
      try:
        numbers = np.array([float(v) for v in line[1:]]).reshape(3, 4)
      except ValueError as e:
        raise UserError(
          f"{where}: expected a frame and 12 numbers ({e})."
        ) from e
      if line[0] in poses:
        raise UserError(f"{where}: the frame {line[0]!r} was there before.")
      pose = np.vstack([numbers, [0, 0, 0, 1]])
      rigid.validate_motion(pose, where)
      poses[line[0]] = pose
  if not poses:
    raise UserError(f"{path} has no line but its head: expected one per frame.")
  return poses
