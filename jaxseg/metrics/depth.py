"""Depth metrics (Eigen, Puhrsch, Fergus 2014, arXiv:1406.2283).

AbsRel, SqRel, RMSE, RMSE of the logarithm, log10, the shares delta < 1.25^n
(strictly) and SILog, all lower-is-better but the deltas. Caps, crops and
median scaling are parts of a protocol: numbers without them say little.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import types
from jaxseg.metrics import exact

Array = jax.Array
NAMES = (
  "abs_rel",
  "sq_rel",
  "rmse",
  "rmse_log",
  "log10",
  "delta1",
  "delta2",
  "delta3",
  "silog",
)

# Rows and columns that count, as shares of the height and the width: of the
# KITTI evaluation of Garg et al. (2016, arXiv:1603.04992), of Eigen et al. on
# KITTI, and rows 45-470, columns 41-600 of NYU's 480 x 640.
CROPS = {
  "garg": (0.40810811, 0.99189189, 0.03594771, 0.96405229),
  "eigen": (0.3324324, 0.91351351, 0.03594771, 0.96405229),
  "nyu": (45 / 480, 471 / 480, 41 / 640, 601 / 640),
}


def crop_mask(crop: str, size: tuple[int, int]) -> np.ndarray:
  """bool (h, w): inside a crop of CROPS, or everywhere for 'none'.

  Ends are rounded down and exclusive: 'garg' of 375 x 1242 is [153:371,
  44:1197].
  """
  inside = np.ones(size, bool)
  if crop != "none":
    (y0, y1), (x0, x1) = (
      # A hair more: 45 / 480 * 480 must not become 44.
      np.floor(np.array(CROPS[crop][i : i + 2]) * n + 1e-6).astype(int)
      for i, n in ((0, size[0]), (2, size[1]))
    )
    inside[:] = False
    inside[y0:y1, x0:x1] = True
  return inside


def masked_median(values: Array, valid: Array) -> Array:
  """(b, h, w) twice -> (b,): median of the valid values of each image.

  As NumPy's: the mean of the middle two of an even number. What is not valid
  sorts behind everything; the middle is found from the number of valid ones.
  Runs under jit. 0 for an image without any.
  """
  values = jnp.where(valid, values, jnp.inf).reshape(len(values), -1)
  n = jnp.sum(valid, (1, 2), dtype=jnp.int32)
  ordered = jnp.sort(values, axis=1)
  middle = jnp.stack([jnp.maximum(n - 1, 0) // 2, n // 2], 1)
  middle = jnp.minimum(middle, values.shape[1] - 1)
  two = jnp.take_along_axis(ordered, middle, axis=1)
  return jnp.where(n > 0, jnp.mean(two, 1), 0.0)


def _moments(pred: Array, depth: Array) -> Array:
  """Per-pixel terms (..., 9) of which every metric needs only the sums."""
  error = pred - depth
  d = jnp.log(pred) - jnp.log(depth)
  ratio = jnp.maximum(pred / depth, depth / pred)
  terms = [
    jnp.ones_like(pred),
    jnp.abs(error) / depth,
    error**2 / depth,
    error**2,
    d**2,
    jnp.abs(d) / np.log(10),
    *((ratio < 1.25**n).astype(jnp.float32) for n in (1, 2, 3)),
    d,
  ]
  return jnp.stack(terms, -1)


def _finish(sums: Any, xp: ModuleType) -> list:
  """Sums (10,) or (b, 10) -> the nine metrics, each () or (b,)."""
  n = xp.maximum(sums[..., 0], 1)
  abs_rel, sq_rel, sq, sq_log, log10, d1, d2, d3, d = (
    sums[..., i] / n for i in range(1, 10)
  )
  # 100 sqrt(var d), KITTI's SILog; rounding may leave it a hair below zero.
  silog = 100 * xp.sqrt(xp.maximum(sq_log - d**2, 0))
  return [
    abs_rel,
    sq_rel,
    xp.sqrt(sq),
    xp.sqrt(sq_log),
    log10,
    d1,
    d2,
    d3,
    silog,
  ]


def depth(
  min_depth: float = 1e-3,
  max_depth: float = 80.0,
  *,
  average: str = "pixels",
  crop: str = "none",
  median_scaling: bool = False,
) -> types.Metric:
  """Metrics of pred['depth'] against batch['depth'], (b, h, w) metres.

  A pixel counts if its true depth is above `min_depth` and below `max_depth`
  (80 for KITTI and Mid-Air, 10 for NYU); predictions are clipped to that
  range.

  Args:
    min_depth: metres, above 0.
    max_depth: metres.
    average: 'pixels', over all pixels of the set, or 'images', the mean of
      the values of the images (the KITTI and Eigen tables).
    crop: 'none', or a name of CROPS: the other pixels do not count. Shares
      are of the maps as they are evaluated.
    median_scaling: multiply each prediction, before it is clipped, by the
      ratio of the true to the predicted median of its image over the pixels
      that count: for methods that know depth up to a scale.

  Result: NAMES, and 'pixels'; NaN if no pixel counted. 'silog' is KITTI's
  100 sqrt(mean d^2 - (mean d)^2), d = log pred - log true.
  """
  if average not in ("pixels", "images"):
    raise ValueError(f"average={average!r}; expected 'pixels' or 'images'.")
  if crop not in ("none", *CROPS):
    raise types.UserError(
      f"crop of depth metrics = {crop!r} is not known: expected none, "
      f"{', '.join(CROPS)}."
    )
  if not 0 < min_depth < max_depth:
    raise types.UserError(
      f"depth from {min_depth} to {max_depth} metres is no range: expected 0 < "
      "min_m < max_m."
    )

  def init() -> dict[str, exact.Sums]:
    return {
      "pixels": exact.zero_sums((10,)),
      "images": exact.zero_sums((10,)),
    }

  def update(
    state: dict[str, exact.Sums],
    pred: Mapping[str, Array],
    batch: types.Batch,
  ) -> dict[str, exact.Sums]:
    true, said = batch["depth"], pred["depth"]
    if true.shape != said.shape:
      raise ValueError(
        f"depth {true.shape} and prediction {said.shape} differ in shape;"
        " expected equal shapes."
      )
    valid = (true > min_depth) & (true < max_depth)
    valid &= crop_mask(crop, true.shape[1:])
    if batch.get("_mask") is not None:
      valid = valid & batch["_mask"].astype(bool)[:, None, None]
    # A NaN prediction is a wrong one, not a missing one: it stays NaN.
    said = said.astype(jnp.float32)
    if median_scaling:
      middle = masked_median(said, valid)
      ratio = masked_median(true, valid) / jnp.where(middle > 0, middle, 1.0)
      said *= jnp.where(middle > 0, ratio, 1.0)[:, None, None]
    said = jnp.clip(said, min_depth, max_depth)
    terms = _moments(
      jnp.where(valid, said, 1.0), jnp.where(valid, true, 1.0)
    )  # (b, h, w, 10)
    sums = jnp.sum(jnp.where(valid[..., None], terms, 0.0), (1, 2))  # (b, 10)
    seen = sums[:, :1] > 0
    ones = jnp.ones_like(sums[:, 0])
    per_image = jnp.stack([ones, *_finish(sums, jnp)], -1)  # (b, 10)
    images = jnp.where(seen, per_image, 0.0)
    return {
      "pixels": exact.add_sums(state["pixels"], jnp.sum(sums, 0)),
      "images": exact.add_sums(state["images"], jnp.sum(images, 0)),
    }

  def result(state: dict[str, exact.Sums]) -> dict[str, float]:
    pixels = exact.read_sums(state["pixels"])
    images = exact.read_sums(state["images"])
    if average == "images":
      values = list(images[1:] / max(images[0], 1))
    else:
      values = _finish(pixels, np)
    if not pixels[0]:
      values = [np.nan] * len(NAMES)
    out = {name: float(value) for name, value in zip(NAMES, values)}
    return {**out, "pixels": float(pixels[0])}

  return types.Metric(init, update, result)
