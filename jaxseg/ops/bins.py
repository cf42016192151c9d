"""Depth as bins: where they lie, which one a depth is in, and back to metres.

Uniform bins are equally wide in metres; spacing-increasing discretization
(SID) makes them equally wide in the logarithm, t_i = exp(log a + i log(b / a)
/ K), for an error of a metre is large near by and small far away. Fu, Gong,
Wang, Batmanghelich, Tao, "DORN" (2018, arXiv:1806.02446).
Differs from the paper in that SID starts at the near end itself; the paper
shifts depth so that this end is 1.

Adaptive bins are an image's own: a network gives their widths. Bhat, Alhashim,
Wonka, "AdaBins" (2020, arXiv:2011.14141).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.types import UserError

Array = jax.Array
SPACINGS = ("sid", "uniform")
LEAST = 0.1  # AdaBins: so that no bin vanishes


def edges(low: float, high: float, bins: int, spacing: str) -> np.ndarray:
  """float64 (bins + 1,): `low` to `high` metres, increasing.

  Raises:
    UserError: fewer than two bins, no range, or an unknown spacing.
  """
  if spacing not in SPACINGS:
    raise UserError(
      f"spacing of depth bins = {spacing!r} is not known: expected one of "
      f"{', '.join(SPACINGS)}."
    )
  if bins < 2:
    raise UserError(f"{bins} depth bins: expected at least 2.")
  if not 0 < low < high:
    raise UserError(
      f"depth bins from {low} to {high} metres: expected 0 < low < high."
    )
  if spacing == "uniform":
    return np.linspace(low, high, bins + 1)
  return np.geomspace(low, high, bins + 1)


def adaptive_edges(widths: Array, low: float, high: float) -> Array:
  """(..., k) of any sign -> float32 (..., k + 1): `low` to `high` metres.

  Bins are as wide as the positive part of `widths` plus 0.1, all scaled to
  fill the range.
  """
  share = jax.nn.relu(widths.astype(jnp.float32)) + LEAST
  share = share / jnp.sum(share, -1, keepdims=True)
  ends = low + (high - low) * jnp.cumsum(share, -1)
  return jnp.concatenate([jnp.full_like(ends[..., :1], low), ends], -1)


def centres(edges: np.ndarray | Array) -> np.ndarray | Array:
  """(..., k + 1) -> (..., k): midway between the edges, in metres."""
  return 0.5 * (edges[..., :-1] + edges[..., 1:])


def index_of(depth: Array, edges: np.ndarray) -> Array:
  """Depth (...) metres -> bin int32 (...); -1 outside the edges or NaN.

  A bin holds its lower edge; the last one holds both.
  """
  edges = jnp.asarray(edges, jnp.float32)
  inside = (depth >= edges[0]) & (depth <= edges[-1])
  depth = jnp.where(inside, depth, edges[0])
  at = jnp.searchsorted(edges[1:-1], depth, side="right", method="sort")
  return jnp.where(inside, at.astype(jnp.int32), -1)


def from_argmax(logits: Array, centres: np.ndarray) -> Array:
  """(..., k) -> (...) metres: centre of the likeliest bin."""
  return jnp.asarray(centres, jnp.float32)[jnp.argmax(logits, -1)]


def from_expectation(logits: Array, centres: np.ndarray | Array) -> Array:
  """(..., k) -> (...) metres: sum of probability times centre (AdaBins).

  `centres` (k,), or (..., k) that broadcast against the logits.
  """
  share = jax.nn.softmax(logits.astype(jnp.float32), -1)
  return jnp.sum(share * jnp.asarray(centres, jnp.float32), -1)


def beyond_logits(pairs: Array) -> Array:
  """(..., 2 k) as DORN's network gives them -> (..., k).

  Channels 2 i and 2 i + 1 are the logits of "in bin i or nearer" and "beyond
  it"; their difference is the logit of the latter.
  """
  pairs = pairs.astype(jnp.float32)
  return pairs[..., 1::2] - pairs[..., 0::2]


def from_ordinal(beyond: Array, centres: np.ndarray) -> Array:
  """(..., k) logits -> (...) metres: the bins that it is beyond are counted.

  The count needs no monotone probabilities. Beyond all k is the last bin.
  """
  count = jnp.sum(beyond > 0, -1, dtype=jnp.int32)
  last = len(centres) - 1
  return jnp.asarray(centres, jnp.float32)[jnp.minimum(count, last)]
