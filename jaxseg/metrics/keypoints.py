"""Metrics of keypoints: OKS, PCK and PCKh, NME; all from sums over the set.

pred['keypoints'] and batch['keypoints'] are (b, n, k, 3): x, y in pixels and
a score or visibility. Row i of the one is the answer to row i of the other (n
is 1 where every example shows one person). Points of visibility 0 do not
count, nor do the padded examples of the last batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import types
from jaxseg.metrics import exact

Array = jax.Array
Pair = tuple[int, int]

# COCO's 17 keypoints: nose, eyes, ears, shoulders, elbows, wrists, hips,
# knees, ankles. kappa = 2 sigma.
COCO_SIGMAS = (
  0.026,
  *(0.025,) * 2,
  *(0.035,) * 2,
  *(0.079,) * 2,
  *(0.072,) * 2,
  *(0.062,) * 2,
  *(0.107,) * 2,
  *(0.087,) * 2,
  *(0.089,) * 2,
)


def similarity(
  pred: Array, true: Array, area: Array, sigmas: Sequence[float]
) -> Array:
  """Object keypoint similarity, COCO's (cocodataset.org, "keypoints-eval").

  The mean over the seen points of exp(-d^2 / (2 s^2 kappa^2)), s^2 the area
  of the object and kappa = 2 sigma.

  Args:
    pred: (..., k, 3).
    true: (..., k, 3); points of visibility 0 do not count.
    area: (...) in square pixels.
    sigmas: k numbers; COCO_SIGMAS for COCO's 17.

  Returns:
    (...) in [0, 1]; 0 where no point is seen.
  """
  distance, seen = _distances(pred, true)
  if len(sigmas) != true.shape[-2]:
    raise ValueError(
      f"{len(sigmas)} sigmas for {true.shape[-2]} keypoints: expected one each."
    )
  kappa = 2 * jnp.asarray(sigmas, jnp.float32)
  scale = 2 * jnp.maximum(area, 1e-6)[..., None] * kappa**2
  value = jnp.where(seen, jnp.exp(-(distance**2) / scale), 0.0)
  count = jnp.sum(seen, -1)
  return jnp.sum(value, -1) / jnp.maximum(count, 1)


def box_area(points: Array) -> Array:
  """Area (...) of the box about the seen points of (..., k, 3), at least 1."""
  sides = _box_sides(points)
  return jnp.maximum(sides[..., 0] * sides[..., 1], 1.0)


def oks(sigmas: Sequence[float] = COCO_SIGMAS) -> types.Metric:
  """Mean OKS over the people of whom a point is seen.

  The area is batch['area'] (b, n) where the batch has it; else that of the
  box about the seen points.

  Result: 'oks' (NaN where nobody counts) and 'oks_people'.
  """

  def value(pred: Array, true: Array, batch: types.Batch) -> _Part:
    area = batch["area"] if "area" in batch else box_area(true)
    seen = jnp.any(true[..., 2] > 0, -1)
    return similarity(pred, true, area, sigmas), seen

  return _mean_over_people("oks", value)


def nme(pair: Pair) -> types.Metric:
  """Normalised mean error of faces: mean distance / inter-ocular distance.

  Per face the mean distance of its seen points, divided by the distance of
  the two true points `pair` (68 points of 300-W: 36 and 45, the outer corners
  of the eyes; Sagonas et al. 2013); then the mean over faces. A face whose
  pair is not seen does not count.

  Result: 'nme' (NaN where nobody counts) and 'nme_people'.
  """

  def value(pred: Array, true: Array, batch: types.Batch) -> _Part:
    del batch
    distance, seen = _distances(pred, true)
    scale, known = _pair_distance(true, pair)
    total = jnp.sum(jnp.where(seen, distance, 0.0), -1)
    mean = total / jnp.maximum(jnp.sum(seen, -1), 1)
    return mean / jnp.where(known, scale, 1.0), known & jnp.any(seen, -1)

  return _mean_over_people("nme", value)


def pck(
  alpha: float = 0.2,
  pair: Pair | None = None,
  names: Sequence[str] = (),
  *,
  title: str = "pck",
) -> types.Metric:
  """Share of the seen points that are nearer than alpha times a length.

  The length is the distance of the two true points `pair`: a torso's diagonal
  for PCK, the head for PCKh (Andriluka et al. 2014); None: the longer side
  of the box about the seen points (Yang and Ramanan 2013). People whose pair
  is not seen do not count.

  Args:
    alpha: a point counts as found if its error is at most alpha lengths.
    pair: two positions in the list of points.
    names: of all points, for one share each; (): only over all points.
    title: of the result.

  Result: title (NaN where no point counts), title_points, and with `names`
  title/name per point.
  """

  def init() -> tuple[exact.Counts, exact.Counts]:
    shape = (max(len(names), 1),)
    return exact.zero_counts(shape), exact.zero_counts(shape)

  def update(state, pred, batch):
    pred, true, real = _inputs(pred, batch)
    if names and len(names) != true.shape[-2]:
      raise ValueError(
        f"{len(names)} names for {true.shape[-2]} keypoints: expected one each."
      )
    distance, seen = _distances(pred, true)
    if pair is None:
      scale = jnp.max(_box_sides(true), -1)
      known = scale > 0
    else:
      scale, known = _pair_distance(true, pair)
    seen = seen & (known & real)[..., None]
    found = seen & (distance <= alpha * scale[..., None])
    axes = (0, 1) if names else (0, 1, 2)
    return tuple(
      exact.add_counts(old, jnp.sum(x, axes, dtype=jnp.int32).reshape(-1))
      for old, x in zip(state, (found, seen))
    )

  def result(state) -> dict[str, float]:
    found, seen = (exact.read_counts(x) for x in state)
    out = {
      title: _ratio(found.sum(), seen.sum()),
      f"{title}_points": float(seen.sum()),
    }
    for name, f, s in zip(names, found, seen):
      out[f"{title}/{name}"] = _ratio(f, s)
    return out

  return types.Metric(init, update, result)


_Part = tuple[Array, Array]  # (b, n) values, (b, n) which count


def _mean_over_people(
  name: str, value: Callable[[Array, Array, types.Batch], _Part]
) -> types.Metric:
  def init() -> tuple[exact.Sums, exact.Counts]:
    return exact.zero_sums(()), exact.zero_counts(())

  def update(state, pred, batch):
    pred, true, real = _inputs(pred, batch)
    values, counts = value(pred, true, batch)
    counts = counts & real
    total = jnp.sum(jnp.where(counts, values, 0.0))
    number = jnp.sum(counts, dtype=jnp.int32)
    return exact.add_sums(state[0], total), exact.add_counts(state[1], number)

  def result(state) -> dict[str, float]:
    total, number = exact.read_sums(state[0]), exact.read_counts(state[1])
    return {name: _ratio(total, number), f"{name}_people": float(number)}

  return types.Metric(init, update, result)


def _inputs(
  pred: Mapping[str, Array], batch: types.Batch
) -> tuple[Array, Array, Array]:
  """Predicted and true points (b, n, k, 3), and (b, 1) real examples."""
  said, true = pred["keypoints"], batch["keypoints"]
  if said.shape != true.shape:
    raise ValueError(
      f"keypoints {true.shape} and prediction {said.shape} differ in shape;"
      " expected equal shapes (b, n, k, 3)."
    )
  real = jnp.ones(len(true), bool)
  if batch.get("_mask") is not None:
    real = batch["_mask"].astype(bool)
  return said.astype(jnp.float32), true.astype(jnp.float32), real[:, None]


def _distances(pred: Array, true: Array) -> _Part:
  """Pixels between points (..., k), 0 where not seen; and which are seen."""
  seen = true[..., 2] > 0
  step = jnp.where(seen[..., None], pred[..., :2] - true[..., :2], 0.0)
  return jnp.sqrt(jnp.sum(step**2, -1)), seen


def _pair_distance(true: Array, pair: Pair) -> _Part:
  """Pixels between two true points (...), and where both are seen."""
  a, b = true[..., pair[0], :], true[..., pair[1], :]
  length = jnp.sqrt(jnp.sum((a[..., :2] - b[..., :2]) ** 2, -1))
  return length, (a[..., 2] > 0) & (b[..., 2] > 0) & (length > 0)


def _box_sides(points: Array) -> Array:
  """(..., 2): width and height of the box about the seen points, or 0."""
  seen = points[..., 2:] > 0
  low = jnp.min(jnp.where(seen, points[..., :2], jnp.inf), -2)
  high = jnp.max(jnp.where(seen, points[..., :2], -jnp.inf), -2)
  return jnp.where(jnp.any(seen, -2), high - low, 0.0)


def _ratio(total: float, count: float) -> float:
  return float(total / count) if count else float(np.nan)
