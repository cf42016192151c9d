"""Prediction from clicks: images, and a file that says where was clicked.

The file is JSON: for the name of each image, the clicks on the object and those
beside it, x and y in pixels of that image from its upper left corner:

  {"cat.jpg": {"object": [[120, 80]], "background": [[10, 10], [200, 30]]}}

To correct an answer, add a click in the middle of what is wrong, and ask again.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from rich.console import Console

from jaxseg import compiling, predicting, viz
from jaxseg.data import images
from jaxseg.experiment import Experiment
from jaxseg.ops import clicks as ops
from jaxseg.serving import paths as paths_lib
from jaxseg.types import UserError

Points = Sequence[Sequence[float]]
KEYS = ("object", "background")


def read(path: str) -> dict[str, tuple[Points, Points]]:
  """Name of an image -> clicks on the object, and beside it.

  Raises:
    UserError: not there, no JSON, or not of the form that the module has.
  """
  try:
    found = json.loads(pathlib.Path(path).expanduser().read_text())
  except (OSError, ValueError) as e:
    raise UserError(
      f"config.predict.clicks = {path!r} cannot be read ({e}): expected a JSON "
      'file such as {"cat.jpg": {"object": [[120, 80]], "background": []}}.'
    ) from e
  if not isinstance(found, dict) or not found:
    raise UserError(
      f"{path} holds no names of images: expected a JSON object such as "
      '{"cat.jpg": {"object": [[120, 80]], "background": []}}.'
    )
  for name, points in found.items():
    good = isinstance(points, dict) and points.keys() <= set(KEYS)
    if not good or not all(isinstance(v, list) for v in points.values()):
      raise UserError(
        f"{path}: the clicks of {name!r} are {json.dumps(points)[:80]}: "
        'expected {"object": [[x, y], ...], "background": [[x, y], ...]}.'
      )
  return {
    name: tuple(points.get(key, []) for key in KEYS)
    for name, points in found.items()
  }


def predict(
  config: ConfigDict,
  built: Experiment,
  run: Any,
  variables: Any,
  patterns: Sequence[str],
  out: str,
  console: Console,
) -> int:
  """Cuts an object out of each image; see the module.

  Args:
    config: all keys; predict.clicks names the file.
    built: the experiment.
    run: (variables, uint8 (h, w, 5)) -> prediction at the image's own size.
    variables: of the network.
    patterns: files, folders and globs.
    out: folder of the results.
    console: for progress and warnings.

  Returns:
    The number of images.

  Raises:
    UserError: no file of clicks, an image without any, clicks that cannot be.
  """
  if config.predict.split or not config.predict.clicks:
    raise UserError(
      f"--mode=predict with config.task.name = {built.task.name!r} wants images"
      " and a file that says where was clicked: name them after the flags, and "
      "it in --config.predict.clicks; leave config.predict.split unset."
    )
  if "resize" in config.data.eval:
    raise UserError(
      f"config.data.eval = {config.data.eval!r} changes the distances to the "
      "clicks: use 'pad'."
    )
  known = read(config.predict.clicks)
  paths = images.list_images(patterns)
  missing = [p.name for p in paths if p.name not in known]
  if missing:
    raise UserError(
      f"{config.predict.clicks} has no clicks of {missing[0]!r}: it has those "
      f"of {', '.join(list(known)[:5])}; add them, or leave the image out."
    )
  guide = compiling.jit(
    lambda pixels, clicks: built.task.guide(pixels / np.float32(255), clicks)
  )

  def one(image, points):
    clicks = ops.check(*points, image.shape[:2])
    guided = jax.device_get(guide(image, clicks))
    pred = run(variables, np.rint(guided * 255).astype(np.uint8))
    return {**pred, "clicks": clicks}

  def named(image, path):
    try:
      return one(image, known[path.name])
    except UserError as e:
      raise UserError(f"{path}: {e}") from e

  def draw(image: np.ndarray, pred: Mapping[str, Any]) -> dict[str, np.ndarray]:
    over = viz.overlay(image, pred["label"], built.task.palette)
    return {"overlay": viz.clicks(over, pred["clicks"])}

  names = paths_lib.result_names(paths)
  targets = [pathlib.Path(out, name) for name in names]
  paths_lib.refuse_overwriting(paths, targets)
  items = [
    predicting.Item(
      name, lambda path=path: (images.read_image(path), {}), str(path), (path,)
    )
    for name, path in zip(names, paths)
  ]
  return predicting.predict_items(
    named, items, out, task=built.task, console=console, render=draw
  )
