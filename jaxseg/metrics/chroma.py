"""How near predicted colours are: the AuC of Zhang, Isola, Efros 2016.

arXiv:1603.08511, section 3.1. A pixel is right at a threshold t if the (a, b)
of its colour lies within t of the truth; the share of right pixels is
integrated over t from 0 to 150 and divided by 150. The rebalanced score gives
each class of colours the same say, so that grey does not decide.

Differs from the paper: the integral is exact, not a sum over thresholds; the
classes are the cells of the grid of width 10 and their frequencies are those
of the evaluated set, not of ImageNet; both colours are those of the images
that come out, after what no screen shows was cut off.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import types
from jaxseg.metrics import exact
from jaxseg.ops import color

Array = jax.Array
FARTHEST = 150.0  # the last threshold
CELL, REACH = 10, 11  # cells of 10; |a| and |b| stay below 115
CELLS = (2 * REACH + 1) ** 2


def nearness(pred: Array, true: Array) -> Array:
  """1 - min(distance, 150) / 150 of two (..., 2) colours: (...).

  That is the share of thresholds in 0 .. 150 that the pixel passes, so its
  mean over pixels is the area under the curve of the shares.
  """
  distance = jnp.sqrt(jnp.sum((pred - true) ** 2, -1))
  return 1 - jnp.minimum(distance, FARTHEST) / FARTHEST


def cell(ab: Array) -> Array:
  """(..., 2) -> int32 (...), the cell of the grid, below CELLS."""
  at = jnp.round(ab / CELL).astype(jnp.int32)
  at = jnp.clip(at, -REACH, REACH) + REACH
  return at[..., 0] * (2 * REACH + 1) + at[..., 1]


def chroma() -> types.Metric:
  """AuC of the colours of pred['image'] against batch['image'] in [0, 1].

  Result: 'auc', over all pixels, and 'auc_rebalanced', the mean over the
  cells that the truth has of the means within a cell; both in [0, 1], and NaN
  with no pixel at all.
  """

  def init() -> dict:
    return {
      "near": exact.zero_sums((CELLS,)),
      "pixels": exact.zero_counts((CELLS,)),
    }

  def update(
    state: dict, pred: Mapping[str, Array], batch: types.Batch
  ) -> dict:
    true, said = batch["image"], pred["image"]
    if true.shape != said.shape:
      raise ValueError(
        f"image {true.shape} and prediction {said.shape} differ in shape;"
        " expected equal shapes."
      )
    true, said = (color.rgb_to_lab(x)[..., 1:] for x in (true, said))
    at = cell(true)
    if batch.get("_mask") is not None:
      real = batch["_mask"].astype(bool)[:, None, None]
      at = jnp.where(real, at, CELLS)  # no such cell: dropped
    at = at.reshape(-1)
    near = jnp.zeros(CELLS, jnp.float32)
    near = near.at[at].add(nearness(said, true).reshape(-1), mode="drop")
    pixels = jnp.zeros(CELLS, jnp.uint32).at[at].add(1, mode="drop")
    return {
      "near": exact.add_sums(state["near"], near),
      "pixels": exact.add_counts(state["pixels"], pixels),
    }

  def result(state: dict) -> dict[str, float]:
    near = exact.read_sums(state["near"])
    pixels = exact.read_counts(state["pixels"]).astype(np.float64)
    seen = pixels > 0
    if not seen.any():
      return {"auc": np.nan, "auc_rebalanced": np.nan}
    return {
      "auc": float(near.sum() / pixels.sum()),
      "auc_rebalanced": float(np.mean(near[seen] / pixels[seen])),
    }

  return types.Metric(init, update, result)
