"""Superpixels, judged by the regions that people drew."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxseg import types, viz
from jaxseg.classical import slic
from jaxseg.metrics import partition

REGIONS = 256  # ids of people's regions are bytes
RADIUS = 2.0  # of boundary recall, in pixels
SHOWN = (
  "boundary_recall",
  "undersegmentation_error",
  "asa",
  "segments",
)


@functools.cache
def metric(limit: int) -> tuple[types.Metric, Any]:
  """The measures of up to `limit` superpixels, and the compiled update."""
  made = partition(REGIONS, limit, radius=RADIUS, ignore=None)
  return made, jax.jit(made.update)


@dataclasses.dataclass(frozen=True)
class Slic:
  """SLIC or SLICO; see `classical.slic`.

  Attributes:
    segments: about how many.
    compactness: m, in units of Lab.
    adaptive: SLICO.
  """

  segments: int = 200
  compactness: float = 10.0
  adaptive: bool = False

  def __call__(self, image: np.ndarray) -> Mapping[str, Any]:
    """'segments' int32 (h, w) of a picture uint8 (h, w, 3)."""
    return {
      "segments": slic.slic(
        image.astype(np.float32) / 255,
        self.segments,
        compactness=self.compactness,
        adaptive=self.adaptive,
      )
    }

  @property
  def _limit(self) -> int:
    return 4 * self.segments  # a grid of odd sides has more than were asked for

  def measure(self, pred: Mapping[str, Any], truth: Mapping[str, Any]) -> Any:
    """The state of the metric over this picture's people."""
    made, update = metric(self._limit)
    state = made.init()
    said = {"segments": pred["segments"][None]}
    for regions in truth["regions"]:
      state = update(state, said, {"label": regions[None].astype(np.int32)})
    return jax.device_get(state)

  def result(self, records: Sequence[Any]) -> dict[str, float]:
    """Boundary recall, undersegmentation error, ASA: sums over pictures and
    people; segments: their mean number."""
    made, _ = metric(self._limit)
    state = jax.tree.map(lambda *x: sum(x[1:], x[0]), *records)
    values = made.result(state)
    return {name: values[name] for name in SHOWN}

  def files(self, pred: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """'segments' int32 (h, w)."""
    return dict(pred)

  def pictures(
    self, image: np.ndarray, pred: Mapping[str, Any]
  ) -> dict[str, np.ndarray]:
    """'segments' outlined, and each in its mean colour."""
    return {
      "segments": viz.outline(image, pred["segments"]),
      "means": viz.region_means(image, pred["segments"]),
    }
