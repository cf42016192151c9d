"""A ray caster that knows the truth: one hit per pixel answers every task.

Label, instance, depth and normal of a pixel all come from the one ray through
its centre, so they agree to the bit. Colour comes from that ray too, but for
pixels on an edge, which average three rays. Lambert shading, one sun with
hard shadows, an ambient term that is stronger from above, thin haze.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from jaxseg.data.scenes import camera as cam
from jaxseg.data.scenes.shapes import dot
from jaxseg.data.scenes.texture import albedo, octaves
from jaxseg.data.scenes.world import GROUND, PATH, SKY, Surface, World

FAR = 60.0  # metres; the ground beyond is haze, labelled sky
_HAZE = 90.0  # metres; half of the light is haze at this depth


@dataclasses.dataclass(frozen=True)
class Hits:
  """What a list of rays met first.

  depth (n,), inf for sky; index (n,): -1 sky, else position in `surfaces`,
  whose length stands for the ground; points, normals (3, n) in the world.
  """

  depth: np.ndarray
  index: np.ndarray
  points: np.ndarray
  normals: np.ndarray
  rays: np.ndarray

  def split(self, n: int) -> tuple[Hits, Hits]:
    """The first n rays, and the others."""
    parts = [np.split(a, [n], axis=-1) for a in vars(self).values()]
    return Hits(*(a for a, _ in parts)), Hits(*(b for _, b in parts))


def cast(
  surfaces: list[Surface],
  camera: np.ndarray,
  pose: np.ndarray,
  x: np.ndarray,
  y: np.ndarray,
) -> Hits:
  """First hits of the rays through the image points x, y (n,) in pixels."""
  rays = cam.directions(x, y, camera, pose)
  origin = pose[:3, 3][:, None]
  with np.errstate(divide="ignore"):
    depth = np.where(rays[2] < 0, -origin[2] / rays[2], np.inf)
  depth[depth > FAR] = np.inf
  index = np.where(np.isinf(depth), -1, len(surfaces))
  length = np.sqrt(dot(rays, rays))
  unit = rays / length
  for i, s in enumerate(surfaces):
    x0, x1, y0, y1 = cam.window(*s.shape.bound(), camera, pose)
    at = np.flatnonzero((x > x0) & (x < x1) & (y > y0) & (y < y1))
    if at.size:
      t = s.shape.hit(origin, unit[:, at]) / length[at]
      closer = t < depth[at]
      depth[at[closer]] = t[closer]
      index[at[closer]] = i
  points = origin + np.where(np.isinf(depth), 0.0, depth) * rays
  normals = np.zeros_like(points)
  normals[2, index == len(surfaces)] = 1.0
  for i, at in groups(index):
    if 0 <= i < len(surfaces):
      n = surfaces[i].shape.normal(points[:, at])
      normals[:, at] = n / np.sqrt(dot(n, n))
  return Hits(depth, index, points, normals, rays)


def groups(index: np.ndarray) -> list[tuple[int, np.ndarray]]:
  """Distinct values of `index` (n,) with the positions that hold them."""
  order = np.argsort(index.astype(np.int16), kind="stable")
  cuts = np.flatnonzero(np.diff(index[order])) + 1
  return [(int(index[at[0]]), at) for at in np.split(order, cuts) if at.size]


def lit(surfaces: list[Surface], hits: Hits, sun: np.ndarray) -> np.ndarray:
  """Which hits see the sun: bool (n,)."""
  out = (hits.index >= 0) & (dot(hits.normals, sun) > 0)
  at = np.flatnonzero(out)
  p, own = hits.points[:, at], hits.index[at]
  # Two axes across the light: a caster's shadow is a tube of its radius.
  a = np.array([sun[1], -sun[0], 0.0])
  a /= np.sqrt(dot(a, a))
  b = np.cross(sun, a)
  # Single precision finds the candidates, hence the wider tube.
  u, v = dot(p, a).astype(np.float32), dot(p, b).astype(np.float32)
  free = np.ones(len(at), bool)
  for i, s in enumerate(surfaces):
    centre, radius = s.shape.bound()
    du, dv = u - np.float32(dot(centre, a)), v - np.float32(dot(centre, b))
    k = np.flatnonzero(du * du + dv * dv < np.float32(radius + 1e-3) ** 2)
    k = k[(own[k] != i) & free[k]]
    if k.size:
      free[k] = np.isinf(s.shape.hit(p[:, k], sun[:, None]))
  out[at] = free
  return out


def on_path(world: World, points: np.ndarray) -> np.ndarray:
  """Which ground points (3, n) belong to the path: bool (n,)."""
  nx, ny, offset, half = world.path_line
  return np.abs(nx * points[0] + ny * points[1] - offset) < half


def _sky(world: World, rays: np.ndarray) -> np.ndarray:
  """Linear RGB (3, n): a gradient with clouds on a plane far above."""
  sky = world.sky
  length = np.sqrt(dot(rays, rays))
  up = np.clip(rays[2] / length, 0.0, 1.0)
  blend = np.sqrt(up)
  color = sky["horizon"][:, None] * (1 - blend) + sky["zenith"][:, None] * blend
  over = rays[:2] / (np.maximum(rays[2], 0.0) + 0.15 * length) * 1.3
  n = octaves(over, int(sky["seed"]), np.full(over.shape[1], 0.02), 3)
  cloud = np.clip((n - 1.0 + sky["cover"]) * 3.0, 0.0, 0.9)
  cloud = cloud * np.clip(6.0 * up, 0.0, 1.0)
  return color + cloud * (sky["cloud"][:, None] - color)


def shade(
  world: World, surfaces: list[Surface], hits: Hits, focal: float
) -> tuple[np.ndarray, np.ndarray]:
  """Display RGB (n, 3) in [0, 1] before noise, and what is seen (n,).

  `focal` in pixels. What is seen: an integer per pixel that tells surfaces,
  path and cast shadow apart; colour is smooth where it is constant, but for
  patterns.
  """
  sun = world.sun
  bright = lit(surfaces, hits, sun)
  # Ground and path are one solid with two materials.
  path = hits.index == len(surfaces)
  path[path] = on_path(world, hits.points[:, path])
  seen = hits.index + path
  color = np.zeros_like(hits.points)
  # A pixel covers depth / focal metres, more on a slanted surface.
  slant = -dot(hits.normals, hits.rays) / np.sqrt(dot(hits.rays, hits.rays))
  footprint = hits.depth / focal / np.maximum(slant, 0.15)
  for i, at in groups(seen):
    p = hits.points[:, at]
    if i < 0:
      color[:, at] = _sky(world, hits.rays[:, at])
    elif i < len(surfaces):
      s = surfaces[i]
      color[:, at] = albedo(s.material, s.shape.local(p), footprint[at])
    else:
      floor = world.ground if i == len(surfaces) else world.path
      color[:, at] = albedo(floor, p, footprint[at])
  solid = np.flatnonzero(hits.index >= 0)
  z, n = hits.depth[solid], hits.normals[:, solid]
  direct = np.maximum(dot(n, sun), 0.0) * bright[solid]
  around = 0.7 + 0.3 * n[2]
  light = world.sunlight[:, None] * direct + world.ambient[:, None] * around
  haze = z / (z + _HAZE)
  horizon = world.sky["horizon"][:, None]
  color[:, solid] = color[:, solid] * light * (1 - haze) + horizon * haze
  return np.sqrt(np.clip(color, 0.0, 1.0)).T, 2 * seen + bright


def truth(
  world: World,
  surfaces: list[Surface],
  hits: Hits,
  pose: np.ndarray,
  size: tuple[int, int],
) -> dict[str, np.ndarray]:
  """label, instance (uint8), depth, normal (float32) from the centre rays.

  Instance ids are the world's; sky has depth 0 and normal 0.
  """
  ground = len(surfaces)
  # Index -1 (sky) takes the last entry of the tables.
  labels = np.array([*[s.label for s in surfaces], GROUND, SKY], np.uint8)
  instances = np.array([*[s.instance for s in surfaces], 0, 0], np.uint8)
  label = labels[hits.index]
  path = (hits.index == ground) & on_path(world, hits.points)
  label[path] = PATH
  r = pose[:3, :3]
  normal = np.stack([dot(r[:, k], hits.normals) for k in range(3)], axis=-1)
  depth = np.where(hits.index < 0, 0.0, hits.depth)
  return {
    "label": label.reshape(size),
    "instance": instances[hits.index].reshape(size),
    "depth": depth.astype(np.float32).reshape(size),
    "normal": normal.astype(np.float32).reshape(*size, 3),
  }


def picture(
  world: World,
  surfaces: list[Surface],
  hits: Hits,
  camera: np.ndarray,
  pose: np.ndarray,
  size: tuple[int, int],
) -> np.ndarray:
  """RGB (h, w, 3) in [0, 1], before noise.

  Pixels on an edge of a surface or a shadow average three rays along a
  diagonal; the others take the colour of their centre.
  """
  rgb, seen = shade(world, surfaces, hits, camera[0])
  seen = seen.reshape(size)
  edge = np.zeros(size, bool)
  across, down = seen[:, 1:] != seen[:, :-1], seen[1:] != seen[:-1]
  edge[:, 1:] |= across
  edge[:, :-1] |= across
  edge[1:] |= down
  edge[:-1] |= down
  y, x = np.nonzero(edge)
  off = np.array([0.2, 0.8])
  x, y = (x[:, None] + off).ravel(), (y[:, None] + off[::-1]).ravel()
  fine = cast(surfaces, camera, pose, x, y)
  fine, _ = shade(world, surfaces, fine, camera[0])
  at = np.flatnonzero(edge)
  rgb[at] = (rgb[at] + fine.reshape(-1, 2, 3).sum(axis=1)) / 3
  return rgb.reshape(*size, 3)
