"""The pinhole camera of the scenes: one convention, used everywhere.

Frames: the world is x east, y north, z up; the camera is x right, y down,
z forward; metres. `pose` (4, 4) takes camera points to the world.
Pixels: pixel (row i, column j) has its centre at y = i + 0.5, x = j + 0.5, so
the image spans [0, w] x [0, h] and the principal point is (w / 2, h / 2).
`camera` (4,) is fx, fy, cx, cy in pixels: x = fx X / Z + cx.
Depth is Z, not the distance along the ray.
"""

from __future__ import annotations

import math

import numpy as np

NEAR = 0.05  # metres; nothing nearer is ever projected


def intrinsics(size: tuple[int, int], fov: float) -> np.ndarray:
  """(4,) float64 for images of `size` (h, w), `fov` = horizontal, radians."""
  h, w = size
  f = 0.5 * w / math.tan(0.5 * fov)
  return np.array([f, f, 0.5 * w, 0.5 * h])


def look(
  position: np.ndarray, yaw: float, pitch: float, roll: float = 0.0
) -> np.ndarray:
  """(4, 4) pose: yaw from north to the left, pitch downwards, roll clockwise.

  All angles in radians; `position` (3,) in world metres.
  """
  cy, sy = math.cos(yaw), math.sin(yaw)
  cp, sp = math.cos(pitch), math.sin(pitch)
  cr, sr = math.cos(roll), math.sin(roll)
  forward = np.array([-sy * cp, cy * cp, -sp])
  right = np.array([cy, sy, 0.0])
  down = np.cross(forward, right)
  pose = np.eye(4)
  pose[:3, 0] = cr * right + sr * down
  pose[:3, 1] = cr * down - sr * right
  pose[:3, 2] = forward
  pose[:3, 3] = position
  return pose


def invert(pose: np.ndarray) -> np.ndarray:
  """Inverse of a rigid (4, 4) transform."""
  out = np.eye(4)
  out[:3, :3] = pose[:3, :3].T
  out[:3, 3] = -pose[:3, :3].T @ pose[:3, 3]
  return out


def centres(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
  """x (h, w) and y (h, w) of the pixel centres."""
  h, w = size
  return np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5)


def directions(
  x: np.ndarray, y: np.ndarray, camera: np.ndarray, pose: np.ndarray
) -> np.ndarray:
  """World directions (3, ...) of the rays through image points x, y (...).

  They have camera z = 1: the ray parameter of a hit is its depth. Written
  without matmul, whose rounding depends on the machine's BLAS.
  """
  fx, fy, cx, cy = camera
  u, v = (x - cx) / fx, (y - cy) / fy
  r = pose[:3, :3]
  return np.stack([r[k, 0] * u + r[k, 1] * v + r[k, 2] for k in range(3)])


def project(
  points: np.ndarray, camera: np.ndarray, pose: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """World points (..., 3) -> pixels (..., 2) as x, y and depth (...).

  Pixels of points with depth below NEAR mean nothing.
  """
  local = (points - pose[:3, 3]) @ pose[:3, :3]
  z = local[..., 2]
  safe = np.where(z < NEAR, NEAR, z)[..., None]
  return local[..., :2] / safe * camera[:2] + camera[2:], z


def backproject(depth: np.ndarray, camera: np.ndarray) -> np.ndarray:
  """Depth (h, w) -> camera points (h, w, 3); (0, 0, 0) where invalid."""
  x, y = centres(depth.shape)
  fx, fy, cx, cy = camera
  return np.stack(
    [(x - cx) / fx * depth, (y - cy) / fy * depth, depth], axis=-1
  )


def window(
  centre: np.ndarray, radius: float, camera: np.ndarray, pose: np.ndarray
) -> tuple[float, float, float, float]:
  """Bounds x0, x1, y0, y1 of a sphere's image: never too small.

  The sphere lies in the box |X - x| <= r, ... whose quotients X / Z are
  extreme at its corners. A sphere that reaches the camera plane may be
  anywhere, one behind it nowhere (x1 < x0).
  """
  p = pose[:3, :3].T @ (centre - pose[:3, 3])
  near, far = p[2] - radius, p[2] + radius
  if far < NEAR:
    return math.inf, -math.inf, math.inf, -math.inf
  if near < NEAR:
    return -math.inf, math.inf, -math.inf, math.inf
  out = []
  for axis in (0, 1):
    f, c = camera[axis], camera[2 + axis]
    low, high = p[axis] - radius, p[axis] + radius
    out.append(f * min(low / near, low / far) + c - 0.01)
    out.append(f * max(high / near, high / far) + c + 0.01)
  return out[0], out[1], out[2], out[3]
