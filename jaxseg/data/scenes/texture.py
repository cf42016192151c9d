"""Procedural surfaces: value noise and a few patterns.

Texture coordinates are metres in the frame of the surface, so a pattern
moves with its solid. Detail finer than the pixel footprint fades to its
mean: neighbouring frames of a clip then agree in colour.
"""

from __future__ import annotations

import dataclasses

import numpy as np

PATTERNS = ("plain", "noise", "stripes", "checker", "bricks", "tiles", "rings")


@dataclasses.dataclass(frozen=True)
class Material:
  """Two colours (3,) in linear RGB, a pattern and its period in metres."""

  pattern: str
  first: np.ndarray
  second: np.ndarray
  scale: float = 0.5
  grain: float = 0.15  # relative amplitude of the fine noise on top
  seed: int = 0


# The lattice of the noise: 128 x 128 or 32 x 32 x 32 cells, then repeated.
_LATTICE = np.random.Generator(np.random.PCG64(20242)).random(1 << 15)
_LATTICE.flags.writeable = False


def noise(points: np.ndarray, seed: int) -> np.ndarray:
  """Value noise in [0, 1) at points (d, n), d = 2 or 3, one cell per unit."""
  floor = np.floor(points)
  f = points - floor
  f = f * f * (3.0 - 2.0 * f)
  bits = 7 if len(points) == 2 else 5
  mask = (1 << bits) - 1
  cell = floor.astype(np.int64) + (seed & 0xFFFF)
  # Per axis, the offsets into the table of the lower and upper corner.
  ends = [
    ((c & mask) << (bits * k), ((c + 1) & mask) << (bits * k))
    for k, c in enumerate(cell)
  ]

  def line(rest):
    a = _LATTICE[ends[0][0] + rest]
    return a + f[0] * (_LATTICE[ends[0][1] + rest] - a)

  def plane(rest):
    a = line(ends[1][0] + rest)
    return a + f[1] * (line(ends[1][1] + rest) - a)

  if len(points) == 2:
    return plane(0)
  a = plane(ends[2][0])
  return a + f[2] * (plane(ends[2][1]) - a)


def octaves(
  points: np.ndarray, seed: int, footprint: np.ndarray, count: int = 3
) -> np.ndarray:
  """Sum of `count` octaves in about [0, 1]; footprint (n,) in cells."""
  total = np.full(points.shape[1], 0.5)
  gain, step = 0.5, 1.0
  for k in range(count):
    keep = np.clip(1.5 - 2.0 * footprint * step, 0.0, 1.0)
    total = total + gain * keep * (noise(points * step, seed + 101 * k) - 0.5)
    gain, step = gain * 0.6, step * 2.1
  return total


def _pattern(m: Material, p: np.ndarray, footprint: np.ndarray) -> np.ndarray:
  """Share of the second colour, [0, 1], at texture points p (3, n)."""
  q = p / m.scale
  if m.pattern == "plain":
    return np.zeros(p.shape[1])
  if m.pattern == "noise":
    n = octaves(q, m.seed, footprint / m.scale)
    return np.clip(2.2 * (n - 0.5) + 0.5, 0.0, 1.0)
  if m.pattern in ("stripes", "rings"):
    # Stripes run round the solid; rings are the same on any axis.
    share, mean = (np.floor(2 * q[2]) % 2), 0.5
  elif m.pattern == "checker":
    # Half a cell off: faces through the origin must not flicker.
    share = (np.floor(q + 0.25).sum(axis=0)) % 2
    mean = 0.5
  elif m.pattern == "tiles":
    g = np.abs(q[:2] - np.round(q[:2])).min(axis=0)
    share, mean = (g < 0.06) * 1.0, 0.23
  elif m.pattern == "bricks":
    # On a wall: x + y runs along it, z is the height; courses are shifted.
    course = np.floor(q[2] * 2.0)
    along = q[0] + q[1] + 0.5 * (course % 2)
    g = np.minimum(np.abs(along - np.round(along)), 0.5 * (q[2] * 2.0 - course))
    share, mean = (g < 0.07) * 1.0, 0.26
  else:
    raise ValueError(f"pattern {m.pattern!r} is not one of {PATTERNS}")
  keep = np.clip(1.6 - 3.0 * footprint / m.scale, 0.0, 1.0)
  return mean + keep * (share - mean)


def albedo(m: Material, p: np.ndarray, footprint: np.ndarray) -> np.ndarray:
  """Linear RGB (3, n) at texture points p (3, n).

  `footprint` (n,) is the size of a pixel on the surface in metres.
  """
  share = _pattern(m, p, footprint)
  color = m.first[:, None] + share * (m.second - m.first)[:, None]
  if m.grain:
    q = p[:2] if m.pattern == "tiles" else p
    fine = octaves(q * 4.0, m.seed + 7, footprint * 4.0, count=2)
    color = color * (1.0 + 2.0 * m.grain * (fine - 0.5))
  return color
