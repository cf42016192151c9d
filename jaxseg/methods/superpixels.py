"""Superpixels, judged by the regions that people drew."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
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
  """The measures of up to `limit` superpixels, and their compiled update."""
  made = partition(REGIONS, limit, radius=RADIUS, ignore=None)
  return made, jax.jit(made.update)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Superpixels:
  """Superpixels of any make: how they are judged, written and drawn.

  Attributes:
    segments: picture uint8 (h, w, 3) -> int32 (h, w), ids from 0 on.
  """

  segments: Callable[[np.ndarray], np.ndarray]

  def __call__(self, image: np.ndarray) -> Mapping[str, Any]:
    """'segments' int32 (h, w) of a picture uint8 (h, w, 3)."""
    return {"segments": self.segments(image)}

  def measure(self, pred: Mapping[str, Any], truth: Mapping[str, Any]) -> Any:
    """The state of the metric over this picture's people."""
    most = int(pred["segments"].max()) + 1
    # A power of two: compiled for few sizes, and none is too small.
    made, update = metric(1 << (most - 1).bit_length())
    state = made.init()
    said = {"segments": pred["segments"][None]}
    for regions in truth["regions"]:
      state = update(state, said, {"label": regions[None].astype(np.int32)})
    return jax.device_get(state)

  def result(self, records: Sequence[Any]) -> dict[str, float]:
    """Boundary recall, undersegmentation error, ASA: sums over pictures and
    people; segments: their mean number."""
    made, _ = metric(1)  # sums know no limit
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


def slic_segments(
  *, segments: int = 200, compactness: float = 10.0, adaptive: bool = False
) -> Superpixels:
  """SLIC or SLICO; see `classical.slic`.

  Args:
    segments: about how many.
    compactness: m, in units of Lab.
    adaptive: SLICO.
  """

  def one(image: np.ndarray) -> np.ndarray:
    return slic.slic(
      image.astype(np.float32) / 255,
      segments,
      compactness=compactness,
      adaptive=adaptive,
    )

  return Superpixels(segments=one)
