"""What stands where: one scene drawn from a seed, as a function of time.

A `World` is static data; `surfaces(world, t)` places its things at frame t,
and `camera_pose(world, t)` the camera. The draw uses PCG64 from the seed
alone, so a seed is the same world on every machine.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from jaxseg.data.scenes import camera as cam
from jaxseg.data.scenes import figure as fig
from jaxseg.data.scenes import palette
from jaxseg.data.scenes.shapes import Box, Capsule, Cylinder, Sphere
from jaxseg.data.scenes.texture import Material

CLASSES = (
  "sky",
  "ground",
  "path",
  "wall",
  "sphere",
  "box",
  "cylinder",
  "person",
)
SKY, GROUND, PATH, WALL, SPHERE, BOX, CYLINDER, PERSON = range(8)
THINGS = (SPHERE, BOX, CYLINDER, PERSON)  # classes with instances
PALETTE = np.array(
  [
    [120, 170, 220],
    [110, 130, 70],
    [150, 140, 140],
    [150, 80, 60],
    [240, 200, 60],
    [70, 110, 220],
    [70, 190, 150],
    [230, 60, 120],
  ],
  np.uint8,
)


@dataclasses.dataclass(frozen=True)
class Surface:
  """A solid at one moment; instance 0 is stuff."""

  shape: Sphere | Box | Cylinder | Capsule
  material: Material
  label: int
  instance: int


@dataclasses.dataclass(frozen=True)
class Solid:
  """A sphere, box or cylinder; spheres with a velocity roll."""

  label: int
  instance: int
  at: np.ndarray  # (2,) on the ground
  size: np.ndarray  # radius; half sizes; radius and height
  yaw: float
  material: Material
  velocity: np.ndarray  # (2,) metres per frame


@dataclasses.dataclass(frozen=True)
class Person:
  """A figure that stands, or walks straight on."""

  instance: int
  at: np.ndarray
  heading: float
  height: float
  pose: fig.Pose
  phase: float
  speed: float  # metres per frame
  garments: dict[str, Material]


@dataclasses.dataclass(frozen=True)
class World:
  """Everything but the image size."""

  solids: tuple[Solid, ...]
  people: tuple[Person, ...]
  ground: Material
  path: Material
  path_line: tuple[float, float, float, float]  # nx, ny, offset, half width
  sky: dict[str, np.ndarray]
  sun: np.ndarray  # unit vector towards the sun
  sunlight: np.ndarray  # (3,)
  ambient: np.ndarray  # (3,)
  noise: float
  fov: float
  camera: tuple[float, float, float, float]  # height, yaw, pitch, roll
  drift: tuple[
    float, float, float, float, float
  ]  # right, ahead, up, yaw, pitch

  @property
  def moving(self) -> frozenset[int]:
    """Instances that move from frame to frame (before compaction)."""
    return frozenset(
      [s.instance for s in self.solids if np.any(s.velocity)]
      + [p.instance for p in self.people if p.speed > 0]
    )


def camera_pose(world: World, time: float) -> np.ndarray:
  """(4, 4) world from camera at frame `time`; frame 0 is above the origin."""
  height, yaw, pitch, roll = world.camera
  right, ahead, up, turn, nod = world.drift
  c, s = math.cos(yaw), math.sin(yaw)
  at = time * np.array([c * right - s * ahead, s * right + c * ahead, up])
  at[2] += height
  return cam.look(at, yaw + turn * time, pitch + nod * time, roll)


def joints(world: World, time: float) -> np.ndarray:
  """Joints of all people: (n, 14, 3) world metres at frame `time`."""
  out = []
  for p in world.people:
    step = np.array([math.cos(p.heading), math.sin(p.heading)])
    # Two steps of one walking cycle carry the body 0.85 of its height.
    phase = p.phase + 2 * math.pi * p.speed * time / (0.85 * p.height)
    foot = p.at + p.speed * time * step
    out.append(fig.skeleton(foot, p.heading, p.height, p.pose, phase))
  return np.array(out).reshape(-1, 14, 3)


def _roll(velocity: np.ndarray, radius: float, time: float) -> np.ndarray:
  """Axes of a ball that rolled without slipping for `time` frames."""
  speed = math.hypot(*velocity)
  if speed == 0:
    return np.eye(3)
  k = np.array([-velocity[1], velocity[0], 0.0]) / speed
  a = speed * time / radius
  cross = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
  return np.eye(3) + math.sin(a) * cross + (1 - math.cos(a)) * cross @ cross


def _solid(s: Solid, time: float) -> Surface:
  x, y = s.at + s.velocity * time
  if s.label == SPHERE:
    r = float(s.size[0])
    shape = Sphere(np.array([x, y, r]), r, _roll(s.velocity, r, time))
  elif s.label == CYLINDER:
    shape = Cylinder(np.array([x, y, 0.0]), float(s.size[0]), float(s.size[1]))
  else:
    shape = Box(np.array([x, y, s.size[2]]), s.size, s.yaw)
  return Surface(shape, s.material, s.label, s.instance)


def surfaces(world: World, time: float) -> list[Surface]:
  """Every solid at frame `time`; ground and sky are not solids."""
  out = [_solid(s, time) for s in world.solids]
  for person, body in zip(world.people, joints(world, time)):
    for garment, capsule in fig.limbs(body, person.heading):
      material = person.garments[garment]
      out.append(Surface(capsule, material, PERSON, person.instance))
  return out


class _Plan:
  """Places that are taken: discs on the ground, found by rejection."""

  def __init__(self, rng: np.random.Generator, yaw: float, fov: float):
    self.rng, self.yaw, self.fov = rng, yaw, fov
    self.discs: list[tuple[np.ndarray, float]] = []

  def free(self, at: np.ndarray, radius: float, gap: float) -> bool:
    return all(math.hypot(*(at - q)) > radius + r + gap for q, r in self.discs)

  def find(self, radius: float, near: float, far: float) -> np.ndarray | None:
    """A free spot (2,) in view, or None."""
    for _ in range(30):
      # Uniform in 1 / distance: near things are few but large.
      u = self.rng.uniform()
      reach = 1.0 / (u / near + (1 - u) / far) + radius
      angle = self.yaw + self.rng.uniform(-0.46, 0.46) * self.fov
      at = reach * np.array([-math.sin(angle), math.cos(angle)])
      if self.free(at, radius, 0.12):
        self.discs.append((at, radius))
        return at
    return None

  def heading(self, at: np.ndarray, radius: float, reach: float):
    """A direction in which `reach` metres are free, or None."""
    others = [(q, r) for q, r in self.discs if q is not at]
    for _ in range(12):
      angle = self.rng.uniform(-math.pi, math.pi)
      step = reach * np.array([math.cos(angle), math.sin(angle)])
      spots = [at + s * step for s in (0.25, 0.5, 0.75, 1.0)]
      if all(
        math.hypot(*spot) > 2.6
        and all(math.hypot(*(spot - q)) > radius + r for q, r in others)
        for spot in spots
      ):
        return angle
    return None


def _people(rng, plan: _Plan, first: int) -> list[Person]:
  out = []
  for _ in range(rng.choice([0, 1, 2, 3], p=[0.15, 0.4, 0.3, 0.15])):
    height = rng.uniform(1.5, 1.95)
    at = plan.find(0.35, 2.2, 5.5)
    if at is None:
      continue
    speed = rng.uniform(0.06, 0.13) if rng.uniform() < 0.7 else 0.0
    heading = plan.heading(at, 0.35, max(8 * speed, 0.1))
    if heading is None:
      heading, speed = rng.uniform(-math.pi, math.pi), 0.0
    raised = rng.uniform(size=2) < 0.25
    pose = fig.Pose(
      raise_=tuple(np.where(rng.uniform(size=2) < 0.2, 1.2, 0.0)),
      spread=tuple(np.where(raised, rng.uniform(1.2, 2.6, 2), 0.12)),
      bend=tuple(rng.uniform(0.1, 0.7, 2)),
      swing=rng.uniform(0.35, 0.55) if speed else rng.uniform(0.0, 0.12),
      lean=rng.uniform(-0.02, 0.12),
    )
    phase = rng.uniform(0, 2 * math.pi)
    garments = palette.garments(rng)
    out.append(
      Person(
        first + len(out), at, heading, height, pose, phase, speed, garments
      )
    )
  return out


def _solids(rng, plan: _Plan, first: int) -> list[Solid]:
  kinds = [SPHERE] * rng.integers(0, 4)
  kinds += [BOX] * rng.integers(0, 4) + [CYLINDER] * rng.integers(0, 4)
  kinds = kinds or [SPHERE, BOX, CYLINDER]
  out = []
  for kind in rng.permutation(kinds):
    yaw, velocity = 0.0, np.zeros(2)
    if kind == SPHERE:
      size = np.array([rng.uniform(0.25, 0.7)])
      reach = size[0]
    elif kind == BOX:
      size = rng.uniform([0.25, 0.25, 0.22], [0.7, 0.7, 0.75])
      yaw = rng.uniform(-math.pi, math.pi)
      reach = math.hypot(size[0], size[1])
    else:
      size = rng.uniform([0.18, 0.6], [0.45, 2.2])
      reach = size[0]
    at = plan.find(reach, 2.2, 7.0)
    if at is None:
      continue
    if kind == SPHERE and rng.uniform() < 0.6:
      speed = rng.uniform(0.04, 0.15)
      angle = plan.heading(at, reach, 8 * speed)
      if angle is not None:
        velocity = speed * np.array([math.cos(angle), math.sin(angle)])
    material = palette.solid(rng, CLASSES[kind])
    instance = first + len(out)
    out.append(Solid(int(kind), instance, at, size, yaw, material, velocity))
  return out


def _wall(rng, yaw: float, fov: float) -> Solid | None:
  if rng.uniform() < 0.35:
    return None
  reach = rng.uniform(11.0, 16.0)
  angle = yaw + rng.uniform(-0.4, 0.4) * fov
  at = reach * np.array([-math.sin(angle), math.cos(angle)])
  half = rng.uniform([2.0, 0.15, 0.6], [5.5, 0.3, 1.9])
  turn = angle + rng.uniform(-0.7, 0.7)
  return Solid(WALL, 0, at, half, turn, palette.wall(rng), np.zeros(2))


def make_world(seed: int) -> World:
  """The world of a non-negative seed."""
  rng = np.random.Generator(np.random.PCG64([20240, seed]))
  fov = math.radians(rng.uniform(55.0, 80.0))
  yaw = rng.uniform(-math.pi, math.pi)
  height = rng.uniform(0.9, 2.3)
  # Look at a point on the ground some way ahead, or a little above it.
  pitch = math.radians(rng.uniform(1.0, 9.0) + 4.0 * (height - 0.9))
  roll = math.radians(rng.uniform(-3.0, 3.0))
  plan = _Plan(rng, yaw, fov)
  people = _people(rng, plan, 1)
  solids = _solids(rng, plan, 1 + len(people))
  wall = _wall(rng, yaw, fov)
  ground, path = palette.floor(rng)
  angle = yaw + rng.choice([-1.0, 1.0]) * rng.uniform(0.15, 1.5)
  normal = np.array([math.cos(angle), math.sin(angle)])
  through = rng.uniform(2.5, 6.0) * np.array([-math.sin(yaw), math.cos(yaw)])
  width = rng.uniform(0.6, 1.6) if rng.uniform() < 0.8 else 0.0
  light = palette.light(rng, yaw)
  drift = (
    rng.uniform(-0.08, 0.08),
    rng.uniform(0.03, 0.2),
    rng.uniform(-0.015, 0.015),
    math.radians(rng.uniform(-1.2, 1.2)),
    math.radians(rng.uniform(-0.3, 0.3)),
  )
  return World(
    solids=tuple(solids) + ((wall,) if wall else ()),
    people=tuple(people),
    ground=ground,
    path=path,
    path_line=(normal[0], normal[1], float(normal @ through), width),
    noise=rng.uniform(0.004, 0.016),
    fov=fov,
    camera=(height, yaw, pitch, roll),
    drift=drift,
    **light,
  )
