"""Boundaries and hierarchies of regions: gPb, gPb-owt-ucm, without a network.

Arbelaez, Maire, Fowlkes, Malik, PAMI 2011; see `classical.gpb`, `owt`, `ucm`.
`Lines` and `Regions` are what oriented strength is good for, wherever it comes
from: `learned` has it from a network. `Hierarchy` judges and draws regions of
other makes too, see `grouping`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from jaxseg import types, viz
from jaxseg.classical import owt, ucm
from jaxseg.classical.gpb import pipeline
from jaxseg.metrics import boundary, hierarchy

Prediction = Mapping[str, Any]
# Picture uint8 (h, w, 3) -> float32 (h, w, n), see `gpb.discs`.
Strength = Callable[[np.ndarray], np.ndarray]


def _thresholds(count: int) -> tuple[float, ...]:
  return tuple(((np.arange(count) + 1) / (count + 1)).tolist())


def _check(thresholds: int, level: float) -> None:
  if thresholds < 1 or not 0 <= level <= 1:
    raise types.UserError(
      f"config.method.thresholds = {thresholds}, config.method.level = {level}:"
      " expected at least one threshold, and a level from 0 to 1."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lines:
  """Thin lines of oriented strength, by non-maximum suppression.

  Attributes:
    strength: of a picture.
    thresholds: how many are tried in the benchmark, evenly in (0, 1).
    level: of the lines that the pictures show.
  """

  strength: Strength
  thresholds: int = 33
  level: float = 0.1

  def __post_init__(self):
    _check(self.thresholds, self.level)

  def __call__(self, image: np.ndarray) -> Prediction:
    """'boundary' float32 (h, w) of a picture uint8 (h, w, 3)."""
    return {"boundary": pipeline.lines(self.strength(image))}

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
    return {"boundary": viz.ink(np.where(strong >= self.level, strong, 0))}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hierarchy:
  """How a hierarchy of regions is judged, written and drawn.

  Attributes:
    thresholds: how many are tried in the benchmarks, evenly in (0, 1).
    level: at which `segments` is the hierarchy's partition.
  """

  thresholds: int = 33
  level: float = 0.15

  def __post_init__(self):
    _check(self.thresholds, self.level)

  def prediction(self, tree: ucm.Hierarchy) -> Prediction:
    """'tree', its 'boundary' float32 (h, w) and 'segments' int32 (h, w) at
    `level`."""
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
      "boundary": viz.ink(pred["boundary"]),
      "segments": viz.region_means(image, pred["segments"]),
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regions(Hierarchy):
  """A hierarchy of regions by the oriented watershed: OWT-UCM.

  Attributes:
    strength: of a picture.
  """

  strength: Strength

  def __call__(self, image: np.ndarray) -> Prediction:
    """See `prediction`; of a picture uint8 (h, w, 3)."""
    return self.prediction(ucm.merge(owt.transform(self.strength(image))))


def gpb_lines(
  *, shrink: bool = True, thresholds: int = 33, level: float = 0.1
) -> Lines:
  """Thin lines of gPb.

  Args:
    shrink: eigenvectors at half the size; False: at the picture's own.
    thresholds, level: see `Lines`.
  """
  strength = functools.partial(pipeline.gpb, shrink=shrink)
  return Lines(strength=strength, thresholds=thresholds, level=level)


def gpb_ucm(
  *, shrink: bool = True, thresholds: int = 33, level: float = 0.15
) -> Regions:
  """gPb-owt-ucm.

  Args:
    shrink: see `gpb_lines`.
    thresholds, level: see `Hierarchy`.
  """
  strength = functools.partial(pipeline.gpb, shrink=shrink)
  return Regions(strength=strength, thresholds=thresholds, level=level)
