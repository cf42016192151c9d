"""Hierarchies of several scales, and proposals of objects: MCG and SCG.

Arbelaez, Pont-Tuset, Barron, Marques, Malik, "Multiscale combinatorial
grouping", CVPR 2014; Pont-Tuset et al., PAMI 2017; see `classical.mcg`.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxseg import types
from jaxseg.classical.mcg import (
  grouping,
  multiscale,
  proposals,
  pyramid,
  weights,
)
from jaxseg.methods import contours
from jaxseg.methods.contours import Prediction
from jaxseg.metrics import proposals as metric

POOLS = (10, 100, 1000)  # proposals of which the best is taken, and all
ALL = 10**9
TILES = 3  # a side of the picture of the best


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mcg(contours.Hierarchy):
  """A hierarchy of regions of several scales, and ranked proposals.

  Attributes:
    scales: of the picture's size, the finest first; (1.0,) is SCG.
    shrink: eigenvectors at half the size of each scale.
    proposals: how many are written.
  """

  scales: tuple[float, ...] = pyramid.SCALES
  shrink: bool = True
  proposals: int = 100

  def __post_init__(self):
    super().__post_init__()
    pyramid.check_scales(self.scales)
    if self.proposals < 1:
      raise types.UserError(
        f"config.method.proposals = {self.proposals}: expected at least one."
      )

  def __call__(self, image: np.ndarray) -> Prediction:
    """As `prediction`, and 'proposals', of a picture uint8 (h, w, 3)."""
    made = multiscale.multiscale(image, self.scales, shrink=self.shrink)
    return {
      **self.prediction(made.tree),
      "proposals": proposals.propose(made, weights.counts(self.scales)),
    }

  def measure(self, pred: Prediction, truth: Mapping[str, Any]) -> Any:
    """The hierarchy's record, proposals.Bests, and how many there are."""
    found = pred["proposals"]
    table = metric.by_leaf(truth["regions"], found.leaves)
    area = grouping.areas(found.leaves)
    overlap = metric.jaccard_by_leaf(table, area, found.rows)
    bests = metric.bests_of(overlap, np.zeros(len(table)), (*POOLS, ALL))
    return super().measure(pred, truth), bests, len(found.rows)

  def result(self, records: Sequence[Any]) -> dict[str, float]:
    """As `Hierarchy`, and of the regions of all people the mean best overlap
    among the first so many proposals and among all, the share of them found
    with 0.5, and how many proposals a picture has."""
    trees, bests, counts = zip(*records) if records else ((), (), ())
    out = super().result(trees)
    scores = metric.scores(functools.reduce(operator.add, bests))
    for size, value in zip((*POOLS, None), scores["instance"]):
      out["best_overlap" + (f"_{size}" if size else "")] = float(value)
    out["recall_50"] = float(scores["recall/0.5"][-1])
    return {**out, "proposals": float(np.mean(counts))}

  def files(self, pred: Prediction) -> dict[str, np.ndarray]:
    """As `Hierarchy`; 'proposals' bool (count, h, w), the best first, and
    'scores' float32 (count,), the overlap that is expected of each."""
    found = pred["proposals"]
    return {
      **super().files(pred),
      "proposals": found.masks(self.proposals),
      "scores": found.score[: self.proposals],
    }

  def pictures(
    self, image: np.ndarray, pred: Prediction
  ) -> dict[str, np.ndarray]:
    """As `Hierarchy`; 'proposals': the best nine side by side."""
    best = pred["proposals"].masks(TILES**2)
    tiles = np.full((TILES**2, *image.shape), 255, np.uint8)
    tiles[: len(best)] = np.where(best[..., None], image, image // 5)
    tiles = tiles[:, ::TILES, ::TILES]
    h, w, c = tiles.shape[1:]
    page = tiles.reshape(TILES, TILES, h, w, c).transpose(0, 2, 1, 3, 4)
    return {
      **super().pictures(image, pred),
      "proposals": page.reshape(TILES * h, TILES * w, c),
    }
