"""What is looked at to rank a proposal: size, place, shape and contour.

Pont-Tuset, Arbelaez, Barron, Marques, Malik, "Multiscale combinatorial
grouping", PAMI 2017, section 5.3, in kind: low-level features that are sums
over leaves and pairs of them, so that no picture is drawn.

Lengths are counted in sides of pixels, strengths are heights of a hierarchy.
"""

from __future__ import annotations

import numpy as np

from jaxseg.classical import partition, ucm

NAMES = (
  "area",  # share of the picture
  "tall",  # of the box around it, shares of the picture's sides
  "wide",
  "top",
  "left",
  "bottom",
  "right",
  "middle_y",  # of mass
  "middle_x",
  "extent",  # area as a share of its box
  "roundness",  # 4 pi area / perimeter^2, the picture's border included
  "elongation",  # smallest to largest axis of the ellipse with its moments
  "perimeter",  # within the picture, as a share of its sides
  "on_border",  # share of the perimeter on the picture's border
  "contour",  # strength along the perimeter within the picture: mean
  "weakest",  # smallest; these two are 1 where it has none
  "inside",  # strength of the boundaries inside it: mean
  "strongest_inside",
  "contrast",  # contour - inside
)


def features(
  rows: np.ndarray, tree: ucm.Hierarchy, chunk: int = 512
) -> np.ndarray:
  """float32 (count, len(NAMES)).

  Args:
    rows: bool (count, n), the leaves of each proposal, at least one.
    tree: its leaves, pairs and heights.
    chunk: proposals that are looked at together.
  """
  about = _Leaves(tree)
  parts = [
    about.measure(rows[i : i + chunk]) for i in range(0, len(rows), chunk)
  ]
  empty = np.zeros((0, len(NAMES)), np.float32)
  return np.concatenate([empty, *parts]).astype(np.float32)


class _Leaves:
  """Sums over the pixels of each leaf."""

  def __init__(self, tree):
    leaves = tree.leaves
    h, w = leaves.shape
    n = tree.count
    self.h, self.w = h, w
    self.pairs, self.heights = tree.pairs, tree.heights
    self.length = partition.adjacency(leaves)[1]
    y, x = np.indices((h, w))
    flat, y, x = leaves.ravel(), y.ravel(), x.ravel()
    moments = [np.ones(h * w), y, x, y * y, x * x, y * x]
    rim = (y == 0) * 1 + (y == h - 1) + (x == 0) + (x == w - 1)
    self.sums = np.stack(
      [np.bincount(flat, v, minlength=n) for v in (*moments, rim)], -1
    )
    low, high = np.full((2, n), max(h, w)), np.zeros((2, n), int)
    for i, v in enumerate((y, x)):
      np.minimum.at(low[i], flat, v)
      np.maximum.at(high[i], flat, v + 1)
    self.low, self.high = low, high

  def measure(self, rows):
    area, sy, sx, syy, sxx, sxy, rim = (rows @ self.sums).T
    far = max(self.h, self.w)
    top, left = (np.where(rows, v, far).min(1) for v in self.low)
    bottom, right = (np.where(rows, v, 0).max(1) for v in self.high)
    y, x = sy / area, sx / area
    # A pixel is a square: 1 / 12 is its own variance.
    yy = syy / area - y * y + 1 / 12
    xx = sxx / area - x * x + 1 / 12
    xy = sxy / area - x * y
    root = np.sqrt(np.maximum((yy - xx) ** 2 / 4 + xy * xy, 0))
    middle = (yy + xx) / 2
    a, b = rows[:, self.pairs[:, 0]], rows[:, self.pairs[:, 1]]
    cut, within = a ^ b, a & b
    amount = self.length * self.heights
    length = cut @ self.length.astype(np.float64)
    inner = within @ self.length.astype(np.float64)
    contour = np.where(length > 0, cut @ amount / np.maximum(length, 1), 1.0)
    inside = within @ amount / np.maximum(inner, 1)
    weakest = np.where(cut, self.heights, np.inf).min(1, initial=np.inf)
    strongest = np.where(within, self.heights, 0.0).max(1, initial=0.0)
    tall, wide = bottom - top, right - left
    around = length + rim
    columns = (
      area / (self.h * self.w),
      tall / self.h,
      wide / self.w,
      top / self.h,
      left / self.w,
      bottom / self.h,
      right / self.w,
      (y + 0.5) / self.h,
      (x + 0.5) / self.w,
      area / (tall * wide),
      4 * np.pi * area / around**2,
      np.sqrt((middle - root) / (middle + root)),
      length / (2 * (self.h + self.w)),
      rim / around,
      contour,
      np.where(length > 0, weakest, 1.0),
      inside,
      strongest,
      contour - inside,
    )
    return np.stack(columns, -1)
