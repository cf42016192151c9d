"""How many clicks an object takes: NoC@85, NoC@90, and IoU after each.

NoC@q, the number of clicks, is the first after which the IoU of an object is
at least q / 100; an object that is never cut out so well counts as the most
clicks that are made, 20 as a rule (Xu et al. 2016, arXiv 1603.04042, and the
evaluations since). Means over the objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import types
from jaxseg.metrics import exact

Array = jax.Array
QUALITIES = (85, 90)


class State(NamedTuple):
  """Counts (qualities, 2): clicks, failures; sums of IoU; and objects."""

  counts: exact.Counts
  iou: exact.Sums
  objects: exact.Counts


def iou(pred: Array, target: Array) -> Array:
  """float32 (...): IoU of (..., h, w) int masks, 1 = object; 255 is ignored.

  1 where both are empty.
  """
  known = target != types.IGNORE
  a, b = (pred == 1) & known, (target == 1) & known
  both = jnp.sum(a & b, (-2, -1))
  either = jnp.sum(a | b, (-2, -1))
  return jnp.where(either == 0, 1.0, both / jnp.maximum(either, 1))


def needed(ious: Array, quality: float, most: int) -> tuple[Array, Array]:
  """int32 (b,) clicks to reach a quality, and bool (b,): never did.

  Args:
    ious: (b, n) after each click.
    quality: IoU in [0, 1].
    most: what an object counts that never reaches it.
  """
  good = ious >= quality
  first = jnp.argmax(good, 1) + 1
  return jnp.where(good.any(1), first, most).astype(jnp.int32), ~good.any(1)


def number_of_clicks(most: int) -> types.Metric:
  """pred['iou'] (b, n) after each click, and batch['target'] (b, h, w).

  Without 'iou' the IoU of pred['label'] is that of a single click. Examples
  whose target is ignored everywhere have no object and do not count.

  Result: 'noc85', 'noc90': mean number of clicks; 'failed85', 'failed90': share
  of the objects that never get there; 'iou_1' ... 'iou_N': mean IoU after that
  many clicks, of some; 'objects': how many. NaN where there are none.

  Args:
    most: clicks that are made, and that a failure counts.
  """
  shown = [n for n in (1, 2, 3, 5, 10, 20, most) if n <= most]
  shown = list(dict.fromkeys(shown))

  def init() -> State:
    return State(
      exact.zero_counts((len(QUALITIES), 2)),
      exact.zero_sums((len(shown),)),
      exact.zero_counts(()),
    )

  def update(
    state: State, pred: Mapping[str, Array], batch: types.Batch
  ) -> State:
    target = batch["target"]
    ious = pred.get("iou")
    if ious is None:
      ious = iou(pred["label"], target)[:, None]
    counts = (target != types.IGNORE).any((1, 2))
    if "_mask" in batch:
      counts &= batch["_mask"].astype(bool)
    rows = []
    for quality in QUALITIES:
      number, failed = needed(ious, quality / 100, most)
      both = jnp.stack([number, failed.astype(jnp.int32)], -1)
      rows.append(jnp.sum(jnp.where(counts[:, None], both, 0), 0))
    after = jnp.minimum(jnp.asarray(shown), ious.shape[1]) - 1
    sums = jnp.where(counts[:, None], ious[:, after], 0).sum(0)
    return State(
      exact.add_counts(state.counts, jnp.stack(rows)),
      exact.add_sums(state.iou, sums),
      exact.add_counts(state.objects, jnp.sum(counts)),
    )

  def result(state: State) -> dict[str, float]:
    total = float(exact.read_counts(state.objects))
    counts = exact.read_counts(state.counts) / (total or np.nan)
    means = exact.read_sums(state.iou) / (total or np.nan)
    out = {}
    for name, column in (("noc", 0), ("failed", 1)):
      for quality, row in zip(QUALITIES, counts):
        out[f"{name}{quality}"] = float(row[column])
    out |= {f"iou_{n}": float(v) for n, v in zip(shown, means)}
    return out | {"objects": total}

  return types.Metric(init, update, result)
