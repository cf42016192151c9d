"""Two segmentations of a picture compared, all from one table of counts.

table[i, j] is the number of pixels in region i of the first segmentation and
region j of the second. Ids mean nothing; regions that do not occur are empty
rows and columns, which change no measure.

- Variation of information: Meila, "Comparing clusterings", 2005; in bits.
- Rand index and its mean over annotators, PRI: Rand 1971; Unnikrishnan,
  Pantofaru, Hebert, PAMI 2007.
- Adapted Rand error: Arganda-Carreras et al., "Crowdsourcing the creation of
  image segmentation algorithms for connectomics", 2015 (the ISBI board): 1 - F
  of precision and recall over pairs of pixels; V_Rand and V_Info are its F
  with a pixel's pair with itself counted, and that of information.
- Covering: Arbelaez et al., PAMI 2011.
- Achievable segmentation accuracy: Liu et al., CVPR 2011.
- Undersegmentation error: Neubert and Protzel 2012, the min form.

Everything runs under jit, in float32 of shares of pixels (differences to
float64 of about 1e-6), for a batch by vmap. What an empty table says is NaN.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

Array = jax.Array


def contingency(
  first: Array,
  second: Array,
  rows: int,
  columns: int,
  valid: Array | None = None,
) -> Array:
  """float32 (rows, columns): pixels by region of the first and the second.

  Args:
    first: (h, w) int, ids 0 .. rows - 1; pixels of other ids do not count.
    second: (h, w) int, ids 0 .. columns - 1.
    rows: how many ids the first may have.
    columns: how many ids the second may have.
    valid: (h, w) bool, which pixels count.

  Raises:
    ValueError: the shapes differ.
  """
  if first.shape != second.shape:
    raise ValueError(
      f"segmentations of shapes {first.shape} and {second.shape} were given;"
      " expected two of one picture."
    )
  first, second = first.astype(jnp.int32), second.astype(jnp.int32)
  keep = (first >= 0) & (first < rows) & (second >= 0) & (second < columns)
  if valid is not None:
    keep &= valid.astype(bool)
  cells = rows * columns  # a cell that does not exist
  cell = jnp.where(keep, first * columns + second, cells)
  counts = jnp.zeros(cells, jnp.int32).at[cell.reshape(-1)].add(1, mode="drop")
  return counts.reshape(rows, columns).astype(jnp.float32)


def _ratio(a: Array, b: Array) -> Array:
  """a / b, NaN where b is 0."""
  return jnp.where(b > 0, a / jnp.where(b > 0, b, 1.0), jnp.nan)


def _shares(table: Array) -> tuple[Array, Array, Array]:
  """Table, row sums, column sums, as shares of all pixels."""
  p = _ratio(table, jnp.sum(table))
  return p, p.sum(1), p.sum(0)


def _entropy(p: Array) -> Array:
  """-sum p log2 p."""
  return -jnp.sum(jnp.where(p > 0, p * jnp.log2(jnp.where(p > 0, p, 1.0)), p))


def variation_of_information(table: Array) -> tuple[Array, Array]:
  """H(second | first) and H(first | second) in bits; their sum is VI.

  With the truth first: what is split too finely, what is merged.
  """
  p, first, second = _shares(table)
  both = _entropy(p)
  return both - _entropy(first), both - _entropy(second)


def _pairs(counts: Array, pixels: Array) -> Array:
  """sum n (n - 1) / (N (N - 1)): share of the pairs within one region."""
  return jnp.sum(_ratio(counts, pixels) * _ratio(counts - 1, pixels - 1))


def rand_index(table: Array) -> Array:
  """Share of the pairs of pixels on which the two agree, in [0, 1].

  PRI is its mean over the annotators of a picture. One pixel has no pairs: NaN.
  """
  n = jnp.sum(table)
  both = _pairs(table, n)
  return 1 + 2 * both - _pairs(table.sum(1), n) - _pairs(table.sum(0), n)


def adapted_rand(table: Array) -> dict[str, Array]:
  """'error' = 1 - F, 'precision' and 'recall' over pairs of two pixels.

  The first is the truth: precision is the share of the pairs within a region
  of the second that are within one of the first (scikit-image 0.26 returns the
  two exchanged). Where one has no pairs (every
  pixel its own region) nothing it says is wrong, nor is anything missed: 1.
  """
  n = jnp.sum(table)
  both = _pairs(table, n)
  true, said = _pairs(table.sum(1), n), _pairs(table.sum(0), n)
  precision = jnp.where(said == 0, 1.0, both / jnp.where(said == 0, 1, said))
  recall = jnp.where(true == 0, 1.0, both / jnp.where(true == 0, 1, true))
  f = jnp.where(
    true + said == 0,
    1.0,
    2 * both / jnp.where(true + said == 0, 1, true + said),
  )
  return {"error": 1 - f, "precision": precision, "recall": recall}


def isbi_scores(table: Array) -> dict[str, Array]:
  """'v_rand' and 'v_info' of the ISBI 2012 board, the first being the truth.

  With p the shares: v_rand = sum p_ij^2 / (mean of the sums of t_i^2 and s_j^2)
  and v_info = I(t; s) / (mean of H(t) and H(s)); two that are both one region
  agree: 1. Both are 1 for the same segmentation.
  """
  p, true, said = _shares(table)
  square = jnp.sum(p * p)
  rand = square / (0.5 * jnp.sum(true * true) + 0.5 * jnp.sum(said * said))
  h_true, h_said = _entropy(true), _entropy(said)
  mean = 0.5 * (h_true + h_said)
  shared = h_true + h_said - _entropy(p)
  info = jnp.where(mean == 0, 1.0, shared / jnp.where(mean == 0, 1.0, mean))
  return {"v_rand": rand, "v_info": info}


def covering(table: Array) -> Array:
  """Covering of the first by the second: mean over pixels of the best IoU.

  sum_i |R_i| max_j IoU(R_i, S_j) / N, in [0, 1]; the other way round for the
  transposed table.
  """
  rows, columns = table.sum(1), table.sum(0)
  union = rows[:, None] + columns[None] - table
  iou = jnp.where(table > 0, table / jnp.where(union > 0, union, 1.0), 0.0)
  return _ratio(jnp.sum(rows * iou.max(1)), jnp.sum(rows))


def achievable_accuracy(table: Array) -> Array:
  """ASA: accuracy of the best labelling of whole superpixels.

  The first is the truth, the second are the superpixels.
  """
  return _ratio(jnp.sum(table.max(0)), jnp.sum(table))


def undersegmentation_error(table: Array) -> Array:
  """UE: what superpixels leak over the truth, sum of min(inside, outside) / N.

  The first is the truth, the second are the superpixels. A superpixel that
  lies in one region leaks nothing.
  """
  outside = table.sum(0)[None] - table
  return _ratio(jnp.sum(jnp.minimum(table, outside)), jnp.sum(table))
