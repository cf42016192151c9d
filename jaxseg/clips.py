"""What a config says of clips: how sequences are cut, and streams of files.

A stream is a folder of frames in the order of their names, with camera.json
and poses.csv (see `data.cameras`) in the folder or one or two above it, or
where config.predict.camera and config.predict.poses say. Frame by frame the
state of the network is carried on; memory holds one frame however many there
are.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict
from rich.console import Console

from jaxseg import compiling, predicting, sheets, viz
from jaxseg.data import cameras, geometry, images, sequences
from jaxseg.experiment import Experiment
from jaxseg.serving import paths as paths_lib
from jaxseg.types import UserError

MILLIMETRES = 65535  # of a 16-bit PNG


def options(
  config: ConfigDict, keys: tuple[str, ...], *, training: bool
) -> sequences.ClipOptions | None:
  """How sequences are cut; None for single images, all of them."""
  data = config.data
  moving = "motion" in keys
  if data.frames is None and not moving:
    if data.step != 1 or data.eval_frames:
      raise UserError(
        "config.data.step and eval_frames are of clips, and neither does the "
        "task read clips nor is config.data.frames set: set it, or leave them."
      )
    return None
  if training and not moving:
    return None  # every frame is an example
  frames = data.frames or 4
  if not training:
    frames = data.eval_frames or frames
  return sequences.ClipOptions(frames, data.step, overlap=training)


def predict(
  config: ConfigDict,
  built: Experiment,
  variables: Any,
  folders: Sequence[str],
  out: str,
  console: Console,
) -> int:
  """Streams the images of one folder through the network; see `Stream`.

  Returns:
    The number of frames.

  Raises:
    UserError: not one folder, too few frames, intrinsics or poses missing or
      wrong.
  """
  if config.predict.split or len(folders) != 1:
    raise UserError(
      f"--mode=predict with config.task.name = {config.task.name!r} streams "
      "one folder of frames: name it after the flags, and leave "
      "config.predict.split unset."
    )
  paths = images.list_images(folders)
  limit = config.predict.limit
  if len(paths) < max(2, limit):
    raise UserError(
      f"{folders[0]} holds {len(paths)} frame(s): expected at least "
      f"{max(2, limit)}"
      + (f", for config.predict.limit asks for {limit}." if limit else ".")
    )
  paths = paths[:limit] if limit else paths
  where = pathlib.Path(os.path.abspath(paths[0])).parent
  camera = config.predict.camera or _beside(where, "camera.json")
  poses = config.predict.poses or _beside(where, "poses.csv")
  cameras.read_camera(camera)  # a mistake is told before the first frame
  known = cameras.read_poses(poses)
  for path in paths:
    if path.stem not in known:
      raise UserError(
        f"{poses} has no pose of the frame {path.stem!r} ({path}): it has "
        f"{len(known)}, such as {next(iter(known))!r}. Add the line, or remove "
        "the frame."
      )
  stream = Stream(built, variables, config.data.step)

  def item(path, name):
    def load():
      return images.read_image(path), {}

    more = (known[path.stem], lambda size: cameras.read_camera(camera, size))
    return predicting.Item(name, load, str(path), more)

  names = paths_lib.result_names(paths)
  targets = [pathlib.Path(out, name) for name in names]
  paths_lib.refuse_overwriting(paths, targets)
  items = [item(*pair) for pair in zip(paths, names)]
  return predicting.predict_items(
    stream, items, out, console=console, render=stream.render
  )


def _beside(folder: pathlib.Path, name: str) -> pathlib.Path:
  """`name` in the folder, or one or two above it; else where it should be."""
  places = [folder, *folder.parents[:2]]
  found = [p / name for p in places if (p / name).is_file()]
  return found[0] if found else folder / name


class Stream:
  """A network of clips that is called with frame after frame.

  The frames are resized to the network's size, and the depth back to theirs.
  With a step of k the network compares with the k-th frame before: k states
  take turns. Of the first k frames no depth is known, 0.
  """

  def __init__(self, built: Experiment, variables: Any, step: int = 1):
    model, task = built.model, built.task
    self._variables, self._size, self._range = variables, built.size, None
    self._states: list[Any] = [None] * step
    self._poses: list[Any] = [None] * step
    self._count = 0

    @compiling.jit
    def start(variables, pixels):
      image = pixels[None].astype(jnp.float32) / 255
      return model.apply(variables, image, method="start")

    @compiling.jit
    def advance(variables, state, pixels, camera, motion):
      image = pixels[None].astype(jnp.float32) / 255
      state, out = model.apply(
        variables, state, image, camera[None], motion[None], method="step"
      )
      return state, task.predict(out)["depth"][0]

    self._start, self._advance = start, advance

  def __call__(
    self,
    image: np.ndarray,
    pose: np.ndarray,
    camera_of: Callable[[tuple[int, int]], np.ndarray],
  ) -> dict[str, np.ndarray]:
    """The next frame.

    Args:
      image: uint8 (h, w, 3).
      pose: (4, 4) world from camera.
      camera_of: size (h, w) -> intrinsics (4,) of images of that size.

    Returns:
      depth float32 (h, w) metres, 0 where it is not known; depth_mm uint16,
      the same in millimetres, 0 beyond 65.535 m.
    """
    size = image.shape[:2]
    fields = {"image": image, "camera": camera_of(size)}
    fields = geometry.resize(fields, self._size)
    turn = self._count % len(self._states)
    state, before = self._states[turn], self._poses[turn]
    if state is None:
      state = self._start(self._variables, fields["image"])
      depth = np.zeros(size, np.float32)
    else:
      motion = sequences.motions(np.stack([before, pose]))[1]
      state, small = self._advance(
        self._variables, state, fields["image"], fields["camera"], motion
      )
      depth = geometry.nearest(np.asarray(small), size)
    self._states[turn], self._poses[turn] = state, pose
    self._count += 1
    millimetres = np.rint(depth * 1000)
    far = millimetres > MILLIMETRES
    return {
      "depth": depth,
      "depth_mm": np.where(far, 0, millimetres).astype(np.uint16),
    }

  def render(
    self, image: np.ndarray, pred: Mapping[str, np.ndarray]
  ) -> dict[str, np.ndarray]:
    """Depth in turbo colours over the grey picture, beside its scale.

    The scale is that of the first frame with a depth: pictures compare.
    """
    depth = pred["depth"]
    if self._range is None and (depth > 0).any():
      low, high = np.percentile(depth[depth > 0], (2, 98))
      self._range = 0.9 * float(low), 1.1 * float(high)
    colors, _ = viz.depth_colors(depth, *(self._range or ()))
    grey = image.mean(-1, keepdims=True)
    mixed = np.rint(0.3 * grey + 0.7 * colors).astype(np.uint8)
    bar = sheets.scale_bar(*(self._range or (0.0, 1.0)), len(mixed))
    if self._range is None:  # nothing is known, and nothing has a colour
      bar[:] = sheets.PAPER
    return {"depth": np.hstack([mixed, bar])}
