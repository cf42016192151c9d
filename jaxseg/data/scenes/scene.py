"""From a seed to an example: stills and clips with the truth of every task.

Keys and shapes of `render_scene`; `render_clip` has a leading time axis t:
  image      uint8   (h, w, 3)   RGB
  label      uint8   (h, w)      position in CLASSES; every pixel has one
  instance   uint8   (h, w)      0 = stuff, else 1 .. n
  depth      float32 (h, w)      z in metres; 0 = sky
  normal     float32 (h, w, 3)   unit, camera frame, facing it; 0 = sky
  boxes      float32 (n, 5)      y0, x0, y1, x1, class; row i is instance i + 1
  keypoints  float32 (m, 14, 3)  x, y in pixels, visibility; rows are people
  camera     float32 (4,)        fx, fy, cx, cy in pixels
  pose       float32 (4, 4)      world from camera
  motion     float32 (4, 4)      previous camera from this one; frame 0: I
Boxes are tight around the visible pixels and half-open: pixel (i, j) covers
[i, i + 1) x [j, j + 1). Instances that no frame shows are not counted; in a
clip ids keep their meaning, and an instance that one frame does not show has
the box (0, 0, 0, 0, -1) there. People have the first ids, so keypoints row j
belongs to instance j + 1. Visibility: 2 = seen: the first surface on the
joint's own ray is a limb that contains the joint; 1 = hidden; 0 = outside the
image, with x = y = 0. Pixel centres: see `camera`.
"""

from __future__ import annotations

import numpy as np

from jaxseg.data.scenes import camera as cam
from jaxseg.data.scenes import render
from jaxseg.data.scenes.shapes import Capsule
from jaxseg.data.scenes.world import (
  Surface,
  World,
  camera_pose,
  joints,
  make_world,
  surfaces,
)
from jaxseg.types import UserError


def keypoints(
  body: np.ndarray,
  people: list[int],
  solids: list[Surface],
  xyz: np.ndarray,
  index: np.ndarray,
  size: tuple[int, int],
) -> np.ndarray:
  """Joints (m, 14, 3) of the instances `people` -> (m, 14, 3) keypoints.

  `xyz` (m, 14, 3): their pixels and depth; `index` (m, 14): the surfaces that
  the rays through those pixels met first.
  """
  inside = (xyz[..., 2] > cam.NEAR) & (xyz[..., :2] >= 0).all(-1)
  inside &= (xyz[..., 0] < size[1]) & (xyz[..., 1] < size[0])
  out = np.zeros(xyz.shape, np.float32)
  for m, k in zip(*np.nonzero(inside)):
    out[m, k] = (*xyz[m, k, :2], 1.0)
    if 0 <= index[m, k] < len(solids):
      s = solids[index[m, k]]
      if s.instance == people[m] and isinstance(s.shape, Capsule):
        out[m, k, 2] += s.shape.contains(body[m, k][:, None])[0]
  return out


def frame(
  world: World, time: int, size: tuple[int, int], seed: int
) -> dict[str, np.ndarray]:
  """One frame with the world's own instance ids, before compaction."""
  camera = cam.intrinsics(size, world.fov)
  pose = camera_pose(world, time)
  solids = surfaces(world, time)
  people = [p.instance for p in world.people]
  body = joints(world, time)
  xy, z = cam.project(body, camera, pose)
  # One cast for the pixel centres and the joints.
  x, y = cam.centres(size)
  x = np.concatenate([x.ravel(), xy[..., 0].ravel()])
  y = np.concatenate([y.ravel(), xy[..., 1].ravel()])
  hits, aims = render.cast(solids, camera, pose, x, y).split(size[0] * size[1])
  rgb = render.picture(world, solids, hits, camera, pose, size)
  rng = np.random.Generator(np.random.PCG64([20241, seed, time]))
  rgb = rgb + world.noise * rng.standard_normal(rgb.shape)
  motion = np.eye(4)
  if time:
    motion = cam.invert(camera_pose(world, time - 1)) @ pose
  return {
    "image": np.rint(255.0 * np.clip(rgb, 0.0, 1.0)).astype(np.uint8),
    **render.truth(world, solids, hits, pose, size),
    "keypoints": keypoints(
      body,
      people,
      solids,
      np.concatenate([xy, z[..., None]], axis=-1),
      aims.index.reshape(z.shape),
      size,
    ),
    "camera": camera.astype(np.float32),
    "pose": pose.astype(np.float32),
    "motion": motion.astype(np.float32),
  }


def boxes(instance: np.ndarray, label: np.ndarray, count: int) -> np.ndarray:
  """Tight boxes (count, 5) of the ids 1 .. count in (h, w) maps."""
  out = np.zeros((count, 5), np.float32)
  out[:, 4] = -1
  for i in range(count):
    y, x = np.nonzero(instance == i + 1)
    if len(y):
      kind = label[y[0], x[0]]
      out[i] = y.min(), x.min(), y.max() + 1, x.max() + 1, kind
  return out


def render_clip(
  seed: int, frames: int = 8, size: tuple[int, int] = (96, 128)
) -> dict[str, np.ndarray]:
  """A clip of `frames` frames of the world of `seed`: keys as above.

  Raises:
    UserError: a negative seed, no frames, or a size below 8 x 8.
  """
  if seed < 0 or frames < 1 or min(size) < 8:
    raise UserError(
      f"seed {seed}, {frames} frames of {size[0]} x {size[1]} cannot be "
      "rendered: give a seed >= 0, at least one frame and at least 8 x 8 "
      "pixels."
    )
  world = make_world(seed)
  shots = [frame(world, t, size, seed) for t in range(frames)]
  clip = {key: np.stack([s[key] for s in shots]) for key in shots[0]}
  # Ids of what is seen at all become 1 .. n, in the world's order.
  seen = np.unique(clip["instance"])
  seen = seen[seen > 0]
  table = np.zeros(256, np.uint8)
  table[seen] = np.arange(1, len(seen) + 1)
  clip["instance"] = table[clip["instance"]]
  clip["boxes"] = np.stack(
    [boxes(i, k, len(seen)) for i, k in zip(clip["instance"], clip["label"])]
  )
  shown = np.isin([p.instance for p in world.people], seen)
  clip["keypoints"] = clip["keypoints"][:, np.flatnonzero(shown)]
  return clip


def render_scene(
  seed: int, size: tuple[int, int] = (96, 128)
) -> dict[str, np.ndarray]:
  """The first frame of the world of `seed`, alone: keys as above."""
  return {key: value[0] for key, value in render_clip(seed, 1, size).items()}
