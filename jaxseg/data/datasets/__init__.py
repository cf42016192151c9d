"""The data sets: one record each, by kind; `DATASETS` is the registry.

A new one is a record in the file of its kind and a name in the list here.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from jaxseg.data.datasets.classes import (
  CAMVID,
  CITYSCAPES,
  DUBAI_AERIAL,
  PETS,
  SEMANTIC_DRONE,
)
from jaxseg.data.datasets.embedded import SCENES, SCENES_CLIPS
from jaxseg.data.datasets.people import FACES, LSP
from jaxseg.data.datasets.regions import BSDS500
from jaxseg.data.datasets.videos import KITTI_DEPTH, MIDAIR, SEVEN_SCENES
from jaxseg.data.spec import DatasetSpec
from jaxseg.types import UserError

DATASETS: dict[str, DatasetSpec] = {
  spec.name: spec
  for spec in (
    SCENES,
    SCENES_CLIPS,
    BSDS500,
    PETS,
    CITYSCAPES,
    CAMVID,
    DUBAI_AERIAL,
    SEMANTIC_DRONE,
    FACES,
    LSP,
    SEVEN_SCENES,
    MIDAIR,
    KITTI_DEPTH,
  )
}


def points_of(spec: Any) -> dict[str, Any]:
  """What the keypoints of a data set are, as fields of their task.

  Raises:
    UserError: it has none.
  """
  points = getattr(spec, "points", None)
  if points is None:
    known = ", ".join(name for name, one in DATASETS.items() if one.points)
    raise UserError(
      f"data set {spec.name!r} has no keypoints: set config.data.name to one "
      f"of {known}, or choose another config.task.name."
    )
  return {f.name: getattr(points, f.name) for f in dataclasses.fields(points)}
