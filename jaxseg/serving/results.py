"""What becomes of predictions: files for an image `a/cat.jpg`.

label    a/cat.png          ids, in the colours of the artifact's palette
         a/cat_overlay.png  the image tinted by class
image    a/cat.png          RGB
others   a/cat_KEY.npy      such as depth in metres
"""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from jaxseg.serving import writing
from jaxseg.serving.artifact import Artifact
from jaxseg.serving.pieces import Source, Strip

IGNORED = (224, 224, 192)  # the colour that VOC gives to id 255


def colors(description: dict[str, Any]) -> np.ndarray:
  """uint8 (256, 3): the colours of ids; grey levels where there are none."""
  found = np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1)
  palette = np.asarray(description.get("palette") or [], np.uint8)
  if len(palette):
    found[:] = 0
    found[255] = IGNORED
    found[: len(palette)] = palette.reshape(-1, 3)[:256]
  return found


def write(
  artifact: Artifact,
  source: Source,
  strips: Iterable[Strip],
  target: str | os.PathLike,
  *,
  overlay: bool = True,
  npy: bool = False,
) -> list[pathlib.Path]:
  """Writes predictions as they come; see the head of the module.

  Args:
    artifact: its description has the palette.
    source: the image, for overlays.
    strips: from `pieces.strips`.
    target: of the files, without ending.
    overlay: whether labels are also shown over the image.
    npy: arrays in place of pictures: labels too are `target`_label.npy.

  Returns:
    The files.
  """
  table = colors(artifact.description)
  files: dict[str, Any] = {}
  paths: list[pathlib.Path] = []
  size = (source.height, source.width)
  with contextlib.ExitStack() as stack:

    def grown(name, kind, *arguments):
      if name not in files:
        paths.append(pathlib.Path(f"{target}{name}"))
        files[name] = stack.enter_context(kind(paths[-1], *arguments))
      return files[name]

    for y, strip in strips:
      for key, value in strip.items():
        if key == "label" and not npy:
          kind = "palette" if value.dtype == np.uint8 else "grey16"
          colored = table if kind == "palette" else None
          png = grown(".png", writing.Png, size, kind, colored)
          ids = value if colored is not None else value.astype(np.uint16)
          png.write(ids)
          if overlay and colored is not None:
            shown = source.rows(y, y + len(value))
            png = grown("_overlay.png", writing.Png, size, "rgb")
            png.write((shown >> 1) + (table[value] >> 1))
        elif key == "image" and not npy:
          value = np.rint(np.clip(value, 0, 1) * 255).astype(np.uint8)
          value = value.repeat(3, -1) if value.shape[-1] == 1 else value
          name = "_image.png" if "label" in strip else ".png"
          grown(name, writing.Png, size, "rgb").write(value)
        else:
          # An artifact for one size may answer with other things than pixels.
          shape = (source.height, *value.shape[1:])
          shape = shape if artifact.plan else value.shape
          file = grown(f"_{key}.npy", writing.Npy, shape, value.dtype)
          file.write(value)
  return paths
