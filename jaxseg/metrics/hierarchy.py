"""How good the regions of a hierarchy are, at one scale for all or its own.

Arbelaez, Maire, Fowlkes, Malik, "Contour detection and hierarchical image
segmentation", PAMI 2011: covering, probabilistic Rand index (PRI) and variation
of information (VI) against several people, at the scale that is best for the
set (ODS) and at that of each picture (OIS); 'best' covers every region of the
truth by the best region of any scale. Measures as in `contingency`; VI is in
bits, where the paper has nats.

A scale of a hierarchy merges its leaves, so that one table of leaves is counted
per person and its columns are added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import types
from jaxseg.metrics import contingency as tables

Array = jax.Array


class Scales(NamedTuple):
  """Of one picture, float (t,) at each scale: means over people, and float
  `best`, the covering by regions of all scales."""

  covering: np.ndarray
  rand: np.ndarray
  vi: np.ndarray
  best: float


@jax.jit
def _measure(leaves: Array, region_of: Array):
  """(t,) covering, rand, vi and (rows,) the best IoU over all scales.

  Args:
    leaves: (rows, n) truth by leaf.
    region_of: int (t, n), the region of each leaf.
  """

  def one(best, region):
    table = jnp.zeros_like(leaves).at[:, region].add(leaves)
    rows, columns = table.sum(1), table.sum(0)
    union = rows[:, None] + columns[None] - table
    iou = jnp.where(union > 0, table / jnp.where(union > 0, union, 1.0), 0.0)
    split, merge = tables.variation_of_information(table)
    measured = tables.covering(table), tables.rand_index(table), split + merge
    return jnp.maximum(best, iou.max(1)), measured

  return jax.lax.scan(one, jnp.zeros(len(leaves)), region_of)


def _up(n: int, step: int) -> int:
  return -(-n // step) * step


def measure(
  truths: np.ndarray, leaves: np.ndarray, region_of: np.ndarray
) -> Scales:
  """The scales of one picture's hierarchy.

  Args:
    truths: int (a, h, w), each person's regions, ids from 0 on.
    leaves: int (h, w), ids 0 .. n - 1.
    region_of: int (t, n), in [0, n): which region a leaf is in, by scale.

  Raises:
    UserError: shapes that do not fit.
  """
  if truths.ndim != 3 or truths.shape[1:] != leaves.shape:
    raise types.UserError(
      f"people's regions of shape {truths.shape} and leaves of shape"
      f" {leaves.shape} were given; expected (people, h, w) and (h, w)."
    )
  n = region_of.shape[1]
  # Few shapes, few compilations: empty rows and columns change nothing.
  wide = _up(n, 512)
  region_of = np.pad(region_of, ((0, 0), (0, wide - n)))
  found = []
  best = 0.0
  for truth in truths:
    rows = _up(int(truth.max()) + 1, 64)
    cell = truth.astype(np.int64) * wide + leaves
    table = np.bincount(cell.ravel(), minlength=rows * wide)
    table = table.reshape(rows, wide).astype(np.float32)
    iou, measured = _measure(table, region_of)
    found.append(np.stack(measured))
    best += float((iou * table.sum(1)).sum()) / truth.size
  covering, rand, vi = np.mean(found, 0)
  return Scales(covering, rand, vi, best / len(truths))


def scores(
  pictures: Sequence[Scales], thresholds: Sequence[float]
) -> dict[str, float]:
  """Means over pictures at the set's best scale (_ods) and their own (_ois).

  Returns:
    'covering_ods', 'covering_ois', 'covering_best', 'pri_ods', 'pri_ois',
    'vi_ods', 'vi_ois', and 'covering_threshold'.
  """
  if not pictures:
    raise types.UserError("no picture was measured; expected at least one.")
  out = {}
  for name, field, pick in (
    ("covering", "covering", np.max),
    ("pri", "rand", np.max),
    ("vi", "vi", np.min),
  ):
    every = np.stack([getattr(x, field) for x in pictures])  # (n, t)
    out[f"{name}_ods"] = float(pick(every.mean(0)))
    out[f"{name}_ois"] = float(pick(every, axis=1).mean())
    if name == "covering":
      best = int(np.argmax(every.mean(0)))
      out["covering_threshold"] = float(thresholds[best])
      out["covering_best"] = float(np.mean([x.best for x in pictures]))
  return out
