"""Boundaries and hierarchies of regions, without a network: gPb, gPb-owt-ucm.

Arbelaez, Maire, Fowlkes, Malik, PAMI 2011; see `classical.gpb`, `owt`, `ucm`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxseg import types, viz
from jaxseg.classical import owt, ucm
from jaxseg.classical.gpb import pipeline
from jaxseg.metrics import boundary, hierarchy

Prediction = Mapping[str, Any]


def _thresholds(count: int) -> tuple[float, ...]:
  return tuple(((np.arange(count) + 1) / (count + 1)).tolist())


def _check(thresholds: int, level: float) -> None:
  if thresholds < 1 or not 0 <= level <= 1:
    raise types.UserError(
      f"config.method.thresholds = {thresholds}, config.method.level = {level}:"
      " expected at least one threshold, and a level from 0 to 1."
    )


def _ink(strength: np.ndarray) -> np.ndarray:
  """Dark lines on white: uint8 (h, w, 3)."""
  return viz.to_bytes(1 - np.sqrt(np.clip(strength, 0, 1))[..., None])


@dataclasses.dataclass(frozen=True)
class Gpb:
  """Lines of gPb, thinned by non-maximum suppression.

  Attributes:
    shrink: eigenvectors at half the size; False: at the picture's own.
    thresholds: how many are tried in the benchmark, evenly in (0, 1).
    level: of the lines that the pictures show.
  """

  shrink: bool = True
  thresholds: int = 33
  level: float = 0.1

  def __post_init__(self):
    _check(self.thresholds, self.level)

  def __call__(self, image: np.ndarray) -> Prediction:
    """'boundary' float32 (h, w) of a picture uint8 (h, w, 3)."""
    lines = pipeline.lines(pipeline.gpb(image, shrink=self.shrink))
    return {"boundary": lines}

  def measure(self, pred: Prediction, truth: Mapping[str, Any]) -> Any:
    """boundary.Counts."""
    return boundary.count(
      pred["boundary"], truth["boundaries"], _thresholds(self.thresholds)
    )

  def result(self, records: Sequence[Any]) -> dict[str, float]:
    """ODS, OIS, AP."""
    return boundary.scores(records, _thresholds(self.thresholds))

  def files(self, pred: Prediction) -> dict[str, np.ndarray]:
    """'image', strength as a grey PNG (h, w, 1)."""
    return {"image": pred["boundary"][..., None]}

  def pictures(
    self, image: np.ndarray, pred: Prediction
  ) -> dict[str, np.ndarray]:
    """'boundary': dark where strong, and above `level`."""
    del image
    strong = pred["boundary"]
    return {"boundary": _ink(np.where(strong >= self.level, strong, 0))}


@dataclasses.dataclass(frozen=True)
class Ucm:
  """gPb-owt-ucm: a hierarchy of regions.

  Attributes:
    shrink: eigenvectors at half the size; False: at the picture's own.
    thresholds: how many are tried in the benchmarks, evenly in (0, 1).
    level: at which `segments` is the hierarchy's partition.
  """

  shrink: bool = True
  thresholds: int = 33
  level: float = 0.15

  def __post_init__(self):
    _check(self.thresholds, self.level)

  def __call__(self, image: np.ndarray) -> Prediction:
    """'tree', its 'boundary' float32 (h, w) and 'segments' int32 (h, w) at
    `level`, of a picture uint8 (h, w, 3)."""
    tree = ucm.merge(owt.transform(pipeline.gpb(image, shrink=self.shrink)))
    return {
      "tree": tree,
      "boundary": ucm.strength(tree),
      "segments": ucm.segments(tree, self.level),
    }

  def measure(self, pred: Prediction, truth: Mapping[str, Any]) -> Any:
    """boundary.Counts and hierarchy.Scales."""
    thresholds = _thresholds(self.thresholds)
    tree = pred["tree"]
    region_of = np.stack([ucm.region_of(tree, t) for t in thresholds])
    return (
      boundary.count(pred["boundary"], truth["boundaries"], thresholds),
      hierarchy.measure(truth["regions"], tree.leaves, region_of),
    )

  def result(self, records: Sequence[Any]) -> dict[str, float]:
    """ODS, OIS, AP; covering, PRI, VI at the set's and at own scales."""
    thresholds = _thresholds(self.thresholds)
    lines, regions = zip(*records) if records else ((), ())
    return {
      **boundary.scores(lines, thresholds),
      **hierarchy.scores(regions, thresholds),
    }

  def files(self, pred: Prediction) -> dict[str, np.ndarray]:
    """'image', strength as a grey PNG; 'ucm' float32 (2 h + 1, 2 w + 1) and
    'segments' int32 (h, w)."""
    return {
      "image": pred["boundary"][..., None],
      "ucm": ucm.contours(pred["tree"]),
      "segments": pred["segments"],
    }

  def pictures(
    self, image: np.ndarray, pred: Prediction
  ) -> dict[str, np.ndarray]:
    """'boundary': dark where strong; 'segments': in their mean colours."""
    return {
      "boundary": _ink(pred["boundary"]),
      "segments": viz.region_means(image, pred["segments"]),
    }
