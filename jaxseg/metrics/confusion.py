"""Everything that one confusion matrix over the whole set tells.

Rows are the truth, columns the prediction. The matrix has one row and one
column more than there are classes. The column collects predictions outside the
classes: errors of the true class, false alarms of none. The row collects
labels that are neither a class nor the ignored id: a mistake in the data that
`result` reports, since a compiled update cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import types
from jaxseg.metrics import exact

Array = jax.Array


def count_pairs(
  label: Array,
  pred: Array,
  classes: int,
  *,
  ignore: int | None = types.IGNORE,
  mask: Array | None = None,
) -> Array:
  """uint32 (classes + 1, classes + 1): pixels by truth (row) and prediction.

  Args:
    label: (b, h, w) int.
    pred: (b, h, w) int.
    classes: K; the last row and column hold the ids outside 0 .. K - 1.
    ignore: label that is not counted.
    mask: (b,) bool, real examples.

  Raises:
    ValueError: label and prediction differ in shape.
  """
  if label.shape != pred.shape:
    raise ValueError(
      f"label {label.shape} and prediction {pred.shape} differ in shape;"
      " expected equal shapes."
    )
  label, pred = label.astype(jnp.int32), pred.astype(jnp.int32)

  def inside(ids: Array) -> Array:
    return jnp.where((ids >= 0) & (ids < classes), ids, classes)

  cell = inside(label) * (classes + 1) + inside(pred)
  cells = (classes + 1) ** 2
  if ignore is not None:
    cell = jnp.where(label == ignore, cells, cell)
  if mask is not None:
    real = mask.astype(bool).reshape((-1,) + (1,) * (label.ndim - 1))
    cell = jnp.where(real, cell, cells)
  # Cell number `cells` does not exist: what does not count is dropped there.
  counts = jnp.zeros(cells, jnp.uint32).at[cell.reshape(-1)].add(1, mode="drop")
  return counts.reshape(classes + 1, classes + 1)


def scores(matrix: np.ndarray, names: Sequence[str]) -> dict[str, float]:
  """Scores of a (K, K + 1) matrix of exact counts; see `confusion`."""
  k = len(names)
  matrix = np.asarray(matrix, np.float64)
  hit = np.diagonal(matrix[:, :k])
  true = matrix.sum(1)
  said = matrix[:, :k].sum(0)
  union = true + said - hit

  def ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.full(k, np.nan), where=b > 0)

  def mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float("nan")

  iou, acc = ratio(hit, union), ratio(hit, true)
  dice = ratio(2 * hit, true + said)
  pixels = true.sum()
  nan = float("nan")
  out = {
    "miou": mean(iou),
    "pixel_accuracy": float(hit.sum() / pixels) if pixels else nan,
    "mean_accuracy": mean(acc),
    "fw_iou": float(np.nansum(true * iou) / pixels) if pixels else nan,
    "dice": mean(dice),
  }
  for i, name in enumerate(names):
    out[f"iou/{name}"] = float(iou[i])
    out[f"acc/{name}"] = float(acc[i])
    out[f"dice/{name}"] = float(dice[i])
    out[f"pixels/{name}"] = float(true[i])
  return out


def confusion(
  num_classes: int,
  class_names: Sequence[str] | None = None,
  ignore: int | None = types.IGNORE,
) -> types.Metric:
  """Scores of label maps: pred['label'] against batch['label'], (b, h, w).

  The state is an additive pytree of whole numbers, exact up to 2^48 pixels a
  cell. batch['_mask'] (b,) says which examples are real; without it all are.

  Result: 'miou', 'pixel_accuracy', 'mean_accuracy', 'fw_iou' (frequency
  weighted), 'dice' (mean), and per class 'iou/NAME', 'acc/NAME' (recall),
  'dice/NAME' and 'pixels/NAME' (true pixels). A class in neither truth nor
  prediction is NaN and left out of the means; one that is only predicted has
  IoU and Dice 0. With no counted pixel at all every score is NaN.

  Raises:
    ValueError: the number of names is not the number of classes.
    UserError: (result) labels held ids that are no class and not ignored.
  """
  names = list(class_names or [str(i) for i in range(num_classes)])
  if len(names) != num_classes:
    raise ValueError(
      f"{len(names)} class names for {num_classes} classes; expected one each."
    )

  def init() -> exact.Counts:
    return exact.zero_counts((num_classes + 1, num_classes + 1))

  def update(
    state: exact.Counts, pred: Mapping[str, Array], batch: types.Batch
  ) -> exact.Counts:
    counts = count_pairs(
      batch["label"],
      pred["label"],
      num_classes,
      ignore=ignore,
      mask=batch.get("_mask"),
    )
    return exact.add_counts(state, counts)

  def result(state: exact.Counts) -> dict[str, float]:
    matrix = exact.read_counts(state)
    unknown = int(matrix[-1].sum())
    if unknown:
      raise types.UserError(
        f"{unknown} pixels of the labels have an id that is neither one of the"
        f" {num_classes} classes (0 to {num_classes - 1}) nor the ignored"
        f" {ignore}; mend the labels or the label table of the data set."
      )
    return scores(matrix[:-1], names)

  return types.Metric(init, update, result)
