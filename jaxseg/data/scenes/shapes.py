"""Convex solids that a ray can meet: sphere, box, cylinder, capsule.

Each has
  hit(o, d)   first entry (n,) of the rays o + t d, inf where there is none;
              o and d are (3, n) or (3, 1), d of unit length;
  normal(p)   unit outward normals (3, n) at surface points (3, n);
  local(p)    texture coordinates (3, n) in metres, fixed to the solid;
  bound()     centre (3,) and radius of a sphere around it.
All are convex, so a point of the surface that faces the sun is never in the
shadow of its own solid: shadow rays skip it and need no epsilon. Arithmetic
is elementwise float64 (+ - * / sqrt), hence the same on every machine.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

_TINY = 1e-9


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """Sum over the leading axis of 3, in one fixed order."""
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _column(v: np.ndarray) -> np.ndarray:
  return np.asarray(v, np.float64)[:, None]


def _turn(v: np.ndarray, cos: float, sin: float) -> np.ndarray:
  """World vectors (3, n) in axes turned by an angle about the vertical."""
  return np.stack([cos * v[0] + sin * v[1], cos * v[1] - sin * v[0], v[2]])


def _first(t: np.ndarray, valid: np.ndarray) -> np.ndarray:
  return np.where(valid & (t > _TINY), t, np.inf)


def _entry(a, b, c) -> np.ndarray:
  """Smaller root of a t^2 + 2 b t + c = 0; inf without a positive one."""
  disc = b * b - a * c
  t = (-b - np.sqrt(np.maximum(disc, 0.0))) / a
  return _first(t, disc > 0)


@dataclasses.dataclass(frozen=True)
class Sphere:
  """A ball; `axes` (3, 3) are its own axes in the world (it may roll)."""

  centre: np.ndarray
  radius: float
  axes: np.ndarray = dataclasses.field(default_factory=lambda: np.eye(3))

  def hit(self, o, d):
    """See the module."""
    oc = o - _column(self.centre)
    return _entry(1.0, dot(d, oc), dot(oc, oc) - self.radius**2)

  def normal(self, p):
    """See the module."""
    return (p - _column(self.centre)) / self.radius

  def local(self, p):
    """See the module."""
    q = p - _column(self.centre)
    return np.stack([dot(self.axes[:, k], q) for k in range(3)])

  def bound(self):
    """See the module."""
    return self.centre, self.radius


@dataclasses.dataclass(frozen=True)
class Box:
  """A box with half sizes `half` (3,), turned by `yaw` about the vertical."""

  centre: np.ndarray
  half: np.ndarray
  yaw: float

  def _inside(self, v):
    return _turn(v, math.cos(self.yaw), math.sin(self.yaw))

  def hit(self, o, d):
    """See the module."""
    oc, dc = self._inside(o - _column(self.centre)), self._inside(d)
    half = _column(self.half)
    dc = np.where(np.abs(dc) < 1e-12, 1e-12, dc)  # parallel to a face
    a, b = (-half - oc) / dc, (half - oc) / dc
    enter = np.minimum(a, b).max(axis=0)
    leave = np.maximum(a, b).min(axis=0)
    return _first(enter, enter < leave)

  def normal(self, p):
    """See the module."""
    q = self._inside(p - _column(self.centre))
    axis = np.argmin(_column(self.half) - np.abs(q), axis=0)  # nearest face
    n = np.where(np.arange(3)[:, None] == axis, np.sign(q), 0.0)
    return _turn(n, math.cos(self.yaw), -math.sin(self.yaw))

  def local(self, p):
    """See the module."""
    return self._inside(p - _column(self.centre))

  def bound(self):
    """See the module."""
    return self.centre, math.sqrt(float(np.sum(self.half**2)))


@dataclasses.dataclass(frozen=True)
class Cylinder:
  """A vertical cylinder that stands on `base` (3,), with a lid."""

  base: np.ndarray
  radius: float
  height: float

  def hit(self, o, d):
    """See the module."""
    oc = o - _column(self.base)
    a = np.maximum(d[0] ** 2 + d[1] ** 2, 1e-18)
    b = d[0] * oc[0] + d[1] * oc[1]
    c = oc[0] ** 2 + oc[1] ** 2 - self.radius**2
    side = _entry(a, b, c)
    z = oc[2] + np.where(np.isinf(side), 0.0, side) * d[2]
    side = np.where((z >= 0) & (z <= self.height), side, np.inf)
    # Only the lid can be entered besides: the foot stands on the ground.
    dz = np.where(np.abs(d[2]) < 1e-12, 1e-12, d[2])
    t = (self.height - oc[2]) / dz
    x, y = oc[0] + t * d[0], oc[1] + t * d[1]
    lid = _first(t, (x * x + y * y < self.radius**2) & (dz < 0))
    return np.minimum(side, lid)

  def normal(self, p):
    """See the module."""
    q = p - _column(self.base)
    r = np.sqrt(q[0] ** 2 + q[1] ** 2)
    lid = np.abs(q[2] - self.height) < np.abs(r - self.radius)
    flat = np.where(lid, 0.0, 1.0 / np.maximum(r, _TINY))
    return np.stack([q[0] * flat, q[1] * flat, np.where(lid, 1.0, 0.0)])

  def local(self, p):
    """See the module."""
    return p - _column(self.base)

  def bound(self):
    """See the module."""
    centre = self.base + np.array([0.0, 0.0, 0.5 * self.height])
    return centre, math.hypot(self.radius, 0.5 * self.height)


@dataclasses.dataclass(frozen=True)
class Capsule:
  """All points within `radius` of the segment from `a` (3,) to `b` (3,)."""

  a: np.ndarray
  b: np.ndarray
  radius: float

  def hit(self, o, d):
    """See the module."""
    axis = _column(self.b - self.a)
    oa = o - _column(self.a)
    ll, ld, lo = dot(axis, axis), dot(axis, d), dot(axis, oa)
    do, oo = dot(d, oa), dot(oa, oa)
    r2 = self.radius**2
    # Entry into the infinite cylinder: the part of d and oa along the axis
    # removed. Whoever misses it misses the capsule.
    a = np.maximum(ll - ld * ld, 1e-18)
    b = ll * do - lo * ld
    disc = b * b - a * (ll * oo - lo * lo - r2 * ll)
    t = (-b - np.sqrt(np.maximum(disc, 0.0))) / a
    s = lo + t * ld
    # Entered beyond an end: only the ball at that end can be met first.
    past = s > ll
    b = do - past * ld
    ball = _entry(1.0, b, oo - past * (2.0 * lo - ll) - r2)
    wall = _first(t, s >= 0)
    return np.where(disc > 0, np.where((s < 0) | past, ball, wall), np.inf)

  def _along(self, p):
    axis = self.b - self.a
    return dot(axis, p - _column(self.a)) / max(float(dot(axis, axis)), _TINY)

  def normal(self, p):
    """See the module."""
    s = np.clip(self._along(p), 0.0, 1.0)
    return (p - _column(self.a) - s * _column(self.b - self.a)) / self.radius

  def local(self, p):
    """Along the axis only: rings, which do not care how a limb is turned."""
    axis = self.b - self.a
    s = self._along(p) * math.sqrt(float(dot(axis, axis)))
    return np.stack([np.zeros_like(s), np.zeros_like(s), s])

  def contains(self, points: np.ndarray) -> np.ndarray:
    """Which points (3, n) lie inside: bool (n,)."""
    s = np.clip(self._along(points), 0.0, 1.0)
    q = points - _column(self.a) - s * _column(self.b - self.a)
    return dot(q, q) <= self.radius**2

  def bound(self):
    """See the module."""
    length = math.sqrt(float(np.sum((self.b - self.a) ** 2)))
    return 0.5 * (self.a + self.b), 0.5 * length + self.radius
