"""Precision and recall of lines within a tolerance, fast enough for training.

A stand-in for the benchmark of `boundary` while a network learns: a pixel that
is said is right if some person drew a line within the tolerance, and a pixel
that a person drew is found if one is said within it. No pixel is used up by
another, and lines are not thinned: a thick line costs nothing up to the
tolerance, so numbers are higher than the benchmark's and rank networks of one
kind, not of several.

Runs under jit, for any batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxseg import types
from jaxseg.metrics import boundary, exact
from jaxseg.ops.dilate import dilate

Array = jax.Array
NAMES = (
  "boundary_f",
  "boundary_threshold",
  "boundary_precision",
  "boundary_recall",
)


def lines(radius: float) -> types.Metric:
  """pred['boundary'] float (b, h, w) in [0, 1] and batch['boundary'].

  The truth is the percent of people who drew a line there; what lies within
  IGNORE counts in nothing, and recall counts a pixel as often as people drew
  it. Pixels that are NaN are not said.

  Result: 'boundary_f', F at the best of the thresholds boundary.EVERY for the
  set, with 'boundary_threshold', 'boundary_precision' and 'boundary_recall';
  NaN where nothing was drawn.

  Args:
    radius: the tolerance, in pixels.
  """
  thresholds = jnp.asarray(boundary.EVERY, jnp.float32)

  def init() -> dict[str, exact.Counts]:
    # Found and true in percents of a pixel; pixels that are right, and said.
    return {
      "each": exact.zero_counts((len(boundary.EVERY), 3)),
      "true": exact.zero_counts(()),
    }

  def update(
    state: dict[str, exact.Counts],
    pred: Mapping[str, Array],
    batch: types.Batch,
  ) -> dict[str, Any]:
    drawn, strength = batch["boundary"].astype(jnp.int32), pred["boundary"]
    if drawn.shape != strength.shape:
      raise ValueError(
        f"boundary {drawn.shape} and prediction {strength.shape} differ in"
        " shape; expected equal shapes."
      )
    known = drawn != types.IGNORE
    if batch.get("_mask") is not None:
      known &= batch["_mask"].astype(bool)[:, None, None]
    drawn = jnp.where(known, drawn, 0)
    strength = jnp.where(known & (strength >= 0), strength, -1.0)
    near_true = dilate(drawn > 0, radius)
    # What is said within the radius at any threshold, all at once.
    near_said = dilate(strength, radius)

    def count(threshold):
      said = strength >= threshold
      sums = (
        jnp.where(near_said >= threshold, drawn, 0),
        said & near_true,
        said,
      )
      # Up to 42 million pixels that all drew, a batch.
      return jnp.stack([jnp.sum(x, dtype=jnp.uint32) for x in sums])

    return {
      "each": exact.add_counts(state["each"], lax.map(count, thresholds)),
      "true": exact.add_counts(state["true"], jnp.sum(drawn, dtype=jnp.uint32)),
    }

  def result(state: dict[str, exact.Counts]) -> dict[str, float]:
    found, right, said = exact.read_counts(state["each"]).T
    true = exact.read_counts(state["true"])
    if not true:
      return dict.fromkeys(NAMES, float("nan"))
    counts = boundary.Counts(found, np.full_like(found, true), right, said)
    precision, recall = boundary.precision_recall(counts)
    f = boundary.f_measure(precision, recall)
    best = int(np.argmax(f))
    values = (f[best], boundary.EVERY[best], precision[best], recall[best])
    return {name: float(value) for name, value in zip(NAMES, values)}

  return types.Metric(init, update, result)
