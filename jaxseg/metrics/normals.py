"""Angles between predicted and true normals (Eigen, Fergus 2015, 1411.4734).

Mean, median and RMSE in degrees, and the shares of pixels below 11.25, 22.5
and 30 degrees (strictly), over all pixels of the set that have a truth.

A median is no sum. The state holds the exact number of pixels in each of
18,000 bins of 0.01 degrees, which adds up like any sum; the median read off
them is half a bin, 0.005 degrees, from that of the angles at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import types
from jaxseg.metrics import exact
from jaxseg.ops import vectors

Array = jax.Array
BINS = 18_000
WIDTH = 180.0 / BINS  # degrees
LIMITS = (11.25, 22.5, 30.0)  # degrees
NAMES = (
  "mean_deg",
  "median_deg",
  "rmse_deg",
  *(f"within_{limit:g}" for limit in LIMITS),
)


def _median(counts: np.ndarray) -> float:
  """Of the centres of the bins; between two middle ones their mean."""
  total = counts.sum()
  reached = np.cumsum(counts)
  middle = [(total - 1) // 2, total // 2]
  at = np.searchsorted(reached, middle, side="right")
  return float(np.mean((at + 0.5) * WIDTH))


def normals() -> types.Metric:
  """Metrics of pred['normal'] against batch['normal'], (b, h, w, 3).

  A pixel counts if its true normal is not zero. Lengths do not matter; a NaN
  prediction is a wrong one and makes the mean NaN.

  Result: NAMES, and 'pixels'; NaN if no pixel counted.
  """

  def init() -> dict[str, Any]:
    return {
      "sums": exact.zero_sums((2,)),
      "within": exact.zero_counts((len(LIMITS),)),
      "histogram": exact.zero_counts((BINS,)),
    }

  def update(
    state: dict[str, Any], pred: Mapping[str, Array], batch: types.Batch
  ) -> dict[str, Any]:
    true, said = batch["normal"], pred["normal"]
    if true.shape != said.shape:
      raise ValueError(
        f"normal {true.shape} and prediction {said.shape} differ in shape;"
        " expected equal shapes."
      )
    valid = jnp.sum(true**2, -1) > 0.01
    if batch.get("_mask") is not None:
      valid = valid & batch["_mask"].astype(bool)[:, None, None]
    angle = jnp.degrees(vectors.angle(said.astype(jnp.float32), true))
    angle = jnp.where(valid, angle, 0.0)
    # NaN goes to the last bin.
    place = jnp.where(jnp.isnan(angle), BINS - 1, angle / WIDTH)
    place = jnp.clip(place.astype(jnp.int32), 0, BINS - 1)
    counts = jnp.zeros(BINS, jnp.int32).at[place].add(valid.astype(jnp.int32))
    limits = jnp.asarray(LIMITS, jnp.float32)
    within = (angle[..., None] < limits) & valid[..., None]
    sums = jnp.stack([jnp.sum(angle), jnp.sum(angle**2)])
    return {
      "sums": exact.add_sums(state["sums"], sums),
      "within": exact.add_counts(
        state["within"], jnp.sum(within, (0, 1, 2), dtype=jnp.int32)
      ),
      "histogram": exact.add_counts(state["histogram"], counts),
    }

  def result(state: dict[str, Any]) -> dict[str, float]:
    counts = exact.read_counts(state["histogram"])
    pixels = int(counts.sum())
    if not pixels:
      return {**dict.fromkeys(NAMES, float("nan")), "pixels": 0.0}
    total, squares = exact.read_sums(state["sums"]) / pixels
    within = exact.read_counts(state["within"]) / pixels
    values = (total, _median(counts), np.sqrt(squares), *within)
    out = {name: float(value) for name, value in zip(NAMES, values)}
    return {**out, "pixels": float(pixels)}

  return types.Metric(init, update, result)
