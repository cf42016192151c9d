"""Distances between the surfaces of two masks: Hausdorff, HD95, ASD, ASSD.

Huttenlocher, Klanderman, Rucklidge, "Comparing images using the Hausdorff
distance", PAMI 1993; the others as medpy 0.5 has them. In two or three
dimensions, in the units of `spacing`.

The surface of a mask is its pixels that have one of the four (six) neighbours
outside the mask; beyond the picture is outside. Distances are from centre to
centre of surface pixels.
- hausdorff: the largest distance from a surface pixel of either mask to the
  other's surface.
- hd95: the 95th percentile of the distances of both directions together,
  between two of which it is interpolated. (Others take the larger of the two
  directions' percentiles.)
- asd: mean distance from the prediction's surface to the truth's.
- assd: mean distance of all surface pixels of both masks to the other's. (Not
  the mean of asd and its counterpart, which weighs the two surfaces alike.)

Empty masks. Neither there: NaN, nothing to measure, and it does not count.
One of them there: inf. Over a set the means are over the cases in which both
are there; the others are counted beside, since a mean with inf in it tells
nothing, and one without says nothing of what was missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import types
from jaxseg.metrics import exact
from jaxseg.ops import distance

Array = jax.Array
NAMES = ("hausdorff", "hd95", "asd", "assd")


def surface(mask: Array, axes: int = 2) -> Array:
  """(..., h, w) bool -> bool: pixels of the mask that touch what is not."""
  wide = jnp.pad(mask, [(0, 0)] * (mask.ndim - axes) + [(1, 1)] * axes)
  inner = mask
  for axis in range(mask.ndim - axes, mask.ndim):
    for start in (0, 2):
      part = wide
      for other in range(mask.ndim - axes, mask.ndim):
        n = mask.shape[other]
        at = start if other == axis else 1
        part = jax.lax.slice_in_dim(part, at, at + n, axis=other)
      inner &= part
  return mask & ~inner


def _percentile(values: Array, keep: Array, q: float) -> Array:
  """numpy.percentile of the kept values along the last axis, interpolated."""
  count = jnp.sum(keep, -1, keepdims=True)
  rank = jnp.sort(jnp.where(keep, values, jnp.inf), -1)
  place = jnp.maximum(count - 1, 0) * (q / 100)
  low = jnp.floor(place).astype(jnp.int32)
  high = jnp.minimum(low + 1, jnp.maximum(count - 1, 0))
  a = jnp.take_along_axis(rank, low, -1)
  b = jnp.take_along_axis(rank, high, -1)
  share = place - low
  return (jnp.where(share > 0, (1 - share) * a + share * b, a))[..., 0]


def surface_distances(
  pred: Array,
  truth: Array,
  spacing: Sequence[float] | None = None,
  *,
  axes: int = 2,
) -> dict[str, Array]:
  """The four distances of pairs of masks; runs under jit.

  Args:
    pred: (..., h, w) bool, or with `axes` = 3 (..., d, h, w).
    truth: the same shape.
    spacing: size of a pixel along each axis, such as millimetres; None: 1.
    axes: 2 or 3.

  Returns:
    'hausdorff', 'hd95', 'asd', 'assd': float32 (...); NaN where both masks are
    empty, inf where one is.

  Raises:
    ValueError: the shapes differ, or the spacing does not fit.
  """
  if pred.shape != truth.shape:
    raise ValueError(
      f"masks of shapes {pred.shape} and {truth.shape} were given; expected"
      " equal shapes."
    )
  pred, truth = pred.astype(bool), truth.astype(bool)
  lead = pred.shape[: pred.ndim - axes]
  said, true = surface(pred, axes), surface(truth, axes)
  both = distance.distance(jnp.stack([true, said]), spacing, axes=axes)

  def flat(x: Array) -> Array:
    return x.reshape(*lead, -1)

  # From the prediction to the truth, and back.
  there, back = flat(both[0]), flat(both[1])
  said, true = flat(said), flat(true)

  def mean(values: Array, keep: Array) -> Array:
    count = jnp.sum(keep, -1)
    total = jnp.sum(jnp.where(keep, values, 0.0), -1)
    return total / jnp.maximum(count, 1)

  all_distances = jnp.concatenate([there, back], -1)
  all_surface = jnp.concatenate([said, true], -1)
  far = jnp.max(
    jnp.maximum(jnp.where(said, there, 0), jnp.where(true, back, 0)), -1
  )
  out = {
    "hausdorff": far,
    "hd95": _percentile(all_distances, all_surface, 95),
    "asd": mean(there, said),
    "assd": mean(all_distances, all_surface),
  }
  some_said, some_true = said.any(-1), true.any(-1)
  none, one = ~some_said & ~some_true, some_said ^ some_true
  return {
    name: jnp.where(none, jnp.nan, jnp.where(one, jnp.inf, x))
    for name, x in out.items()
  }


class State(NamedTuple):
  """Per class: sums of the four distances, and cases by what was there."""

  total: exact.Sums  # (classes, 4)
  cases: exact.Counts  # (classes, 3): both, only the truth, only the prediction


def surfaces(
  classes: Mapping[int, str],
  spacing: Sequence[float] | None = None,
  *,
  axes: int = 2,
  ignore: int | None = types.IGNORE,
) -> types.Metric:
  """pred['label'] against batch['label'], (b, h, w) or (b, d, h, w) class ids.

  Result, for each class: 'hausdorff/NAME', 'hd95/NAME', 'asd/NAME' and
  'assd/NAME', means over the examples that have it in both (NaN if none has);
  'cases/NAME', how many those are; 'missed/NAME' and 'invented/NAME', examples
  that have it in the truth alone and in the prediction alone.

  Args:
    classes: id -> name of the classes to measure, without the background.
    spacing: size of a pixel along each axis; None: 1.
    axes: 2 or 3.
    ignore: pixels of this true id belong to no mask, true or predicted.
  """
  count = len(classes)

  def init() -> State:
    return State(exact.zero_sums((count, 4)), exact.zero_counts((count, 3)))

  def update(
    state: State, pred: Mapping[str, Array], batch: types.Batch
  ) -> State:
    label, said = batch["label"], pred["label"]
    known = jnp.ones(label.shape, bool) if ignore is None else label != ignore
    ids = jnp.asarray(list(classes), jnp.int32)
    ids = ids.reshape(-1, *([1] * label.ndim))
    true, mine = (label == ids) & known, (said == ids) & known
    values = surface_distances(mine, true, spacing, axes=axes)  # (k, b)
    inside = tuple(range(2, true.ndim))
    has, got = jnp.any(true, inside), jnp.any(mine, inside)
    real = batch.get("_mask")
    real = jnp.ones(len(label), bool) if real is None else real.astype(bool)
    cases = jnp.stack([has & got, has & ~got, ~has & got], -1) & real[:, None]
    keep = (has & got & real)[..., None]
    total = jnp.stack([values[name] for name in NAMES], -1)
    return State(
      exact.add_sums(state.total, jnp.where(keep, total, 0).sum(1)),
      exact.add_counts(state.cases, jnp.sum(cases, 1, dtype=jnp.uint32)),
    )

  def result(state: State) -> dict[str, float]:
    total = exact.read_sums(state.total)
    cases = exact.read_counts(state.cases)
    means = np.full_like(total, np.nan)
    both = cases[:, :1]
    np.divide(total, both, out=means, where=both > 0)
    out = {}
    for i, name in enumerate(classes.values()):
      for word, x in zip(NAMES, means[i]):
        out[f"{word}/{name}"] = float(x)
      for word, n in zip(("cases", "missed", "invented"), cases[i]):
        out[f"{word}/{name}"] = float(n)
    return out

  return types.Metric(init, update, result)
