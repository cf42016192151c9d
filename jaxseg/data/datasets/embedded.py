"""Scenes that are made on the spot: stills and clips."""

from __future__ import annotations

import dataclasses

from jaxseg.data import scenes
from jaxseg.data.points import LSP_14
from jaxseg.data.spec import DatasetSpec

SCENES = DatasetSpec(
  name="scenes",
  tfds_name="jaxseg_scenes/stills",
  version="1.0.0",
  classes=tuple(scenes.CLASSES),
  palette=tuple(tuple(int(v) for v in color) for color in scenes.PALETTE),
  splits={"train": "train", "val": "val", "test": "test"},
  sizes={"train": 600, "val": 100, "test": 100},
  features={
    "image": "image",
    "label": "label",
    "instance": "instance",
    "depth": "depth",
    "normal": "normal",
    "keypoints": "keypoints",
    "boxes": "boxes",
    "camera": "camera",
  },
  label_table={i: i for i in range(len(scenes.CLASSES))},
  embedded=True,
  points=LSP_14,
  advice="It is made on the spot by a ray caster; nothing to download.",
)

SCENES_CLIPS = dataclasses.replace(
  SCENES,
  name="scenes_clips",
  tfds_name="jaxseg_scenes/clips",
  splits={"train": "train", "val": "val"},
  sizes={"train": 40, "val": 8},
  features={**SCENES.features, "pose": "pose"},
  sequences="clips",
)
