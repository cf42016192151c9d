"""F of the boundaries of classes at a tolerance, inside a compiled step.

The BF of Csurka, Larlus, Perronnin, "What is a good evaluation measure for
semantic segmentation?", BMVC 2013: a boundary pixel is right if the other map
has one of the same class within a radius. Not one to one: that is `boundary`.
Distances are Euclidean; the boundary of a class is those of its pixels that
have one of four neighbours outside it, the picture's border not counted.
Differs from the paper in adding pixels over the set, where it averages the F of
images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import types
from jaxseg.metrics import exact, superpixels
from jaxseg.ops import dilate

Array = jax.Array
WORD = 32  # classes that a pixel of bits holds


def _near(edges: Array, label: Array, of: Array, radius: float, classes: int):
  """bool (b, h, w): an edge pixel of class `of` lies within the radius."""
  found = jnp.zeros(label.shape, bool)
  for first in range(0, classes, WORD):

    def bit(ids, first=first):
      here = (ids >= first) & (ids < first + WORD)
      return here, jnp.where(here, ids - first, 0).astype(jnp.uint32)

    here, place = bit(label)
    bits = jnp.where(edges & here, jnp.uint32(1) << place, jnp.uint32(0))
    here, place = bit(of)
    near = dilate.dilate(bits, radius, jnp.bitwise_or)
    found |= here & ((near >> place) & 1).astype(bool)
  return found


def count(
  said: Array,
  label: Array,
  classes: int,
  radius: float,
  *,
  ignore: int | None = types.IGNORE,
  mask: Array | None = None,
) -> Array:
  """uint32 (classes, 4): boundary pixels that the prediction has, those of
  them that are right, those that the truth has, those of them that are found.

  Args:
    said: int (b, h, w).
    label: int (b, h, w).
    classes: how many.
    radius: in pixels.
    ignore: label of pixels that belong to no class and border on nothing.
    mask: (b,) bool, real examples.
  """
  known = jnp.ones(label.shape, bool) if ignore is None else label != ignore
  mine = superpixels.boundaries(said, known) & known
  theirs = superpixels.boundaries(label, known) & known
  right = mine & _near(theirs, label, said, radius, classes)
  found = theirs & _near(mine, said, label, radius, classes)
  real = True if mask is None else mask.astype(bool)[:, None, None]
  rows = []
  for ids, flags in ((said, (mine, right)), (label, (theirs, found))):
    inside = ids == jnp.arange(classes).reshape(-1, 1, 1, 1)  # (k, b, h, w)
    for flag in flags:
      rows.append(jnp.sum(inside & flag & real, (1, 2, 3), dtype=jnp.uint32))
  return jnp.stack(rows, -1)


def contours(
  names: Sequence[str], radius: float, ignore: int | None = types.IGNORE
) -> types.Metric:
  """pred['label'] against batch['label'], (b, h, w) class ids.

  Result: 'boundary_f/NAME', 2 P R / (P + R) with P and R of all boundary
  pixels of the set, NaN for a class that neither side has; 'boundary_f', the
  mean of those that are not NaN; 'boundary_precision', 'boundary_recall' of
  all classes together.

  Args:
    names: of the classes.
    radius: in pixels; usual is 0.0075 times the diagonal.
    ignore: label that is not counted.
  """

  def init() -> exact.Counts:
    return exact.zero_counts((len(names), 4))

  def update(
    state: exact.Counts, pred: Mapping[str, Array], batch: types.Batch
  ) -> exact.Counts:
    counts = count(
      pred["label"],
      batch["label"],
      len(names),
      radius,
      ignore=ignore,
      mask=batch.get("_mask"),
    )
    return exact.add_counts(state, counts)

  def result(state: exact.Counts) -> dict[str, float]:
    counts = exact.read_counts(state).astype(np.float64)
    said, right, true, found = counts.T
    f = _f(said, right, true, found)
    some = f[~np.isnan(f)]
    every = counts.sum(0)
    return {
      "boundary_f": float(some.mean()) if some.size else float("nan"),
      "boundary_precision": float(_ratio(every[1], every[0])),
      "boundary_recall": float(_ratio(every[3], every[2])),
      **{f"boundary_f/{n}": float(x) for n, x in zip(names, f)},
    }

  return types.Metric(init, update, result)


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  out = np.full(np.shape(b), np.nan)
  return np.divide(a, b, out=out, where=b > 0)


def _f(said, right, true, found) -> np.ndarray:
  """0 where one side has no boundary, NaN where neither has."""
  p, r = (np.nan_to_num(_ratio(*x)) for x in ((right, said), (found, true)))
  f = np.nan_to_num(_ratio(2 * p * r, p + r))
  return np.where(said + true > 0, f, np.nan)
