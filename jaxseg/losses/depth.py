"""Losses of depth beyond regression: gradients, order, sets of bin centres."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxseg import types
from jaxseg.losses import masking
from jaxseg.losses.regression import silog

Array = jax.Array


def eigen(
  pred: Array,
  target: Array,
  *,
  valid: Array | None = None,
  mask: Array | None = None,
  lam: float = 0.5,
) -> types.Mean:
  """Scale-invariant and gradient loss (Eigen, Fergus 2015, arXiv:1411.4734).

  With d = log pred - log target over the n valid pixels of an image: mean d^2
  - lam (mean d)^2 + (1 / n) sum of the squared differences of d between
  neighbours, right and down, that are both valid.

  pred and target (b, h, w), positive, as for `silog`; the count is the number
  of images with a valid pixel.
  """
  value = silog(pred, target, valid=valid, mask=mask, lam=lam)
  keep = masking.counting(target, valid, mask)
  d = jnp.log(jnp.maximum(masking.keep(pred, keep, 1.0), 1e-6))
  d = d - jnp.log(masking.keep(target, keep, 1.0))
  steps = []
  for axis in (1, 2):
    ahead, behind = (
      lambda x, a=axis: jnp.take(x, jnp.arange(1, x.shape[a]), a),
      lambda x, a=axis: jnp.take(x, jnp.arange(x.shape[a] - 1), a),
    )
    both = ahead(keep) & behind(keep)
    step = jnp.where(both, ahead(d) - behind(d), 0.0)
    steps.append(jnp.sum(step**2, (1, 2)))
  n = jnp.sum(keep, (1, 2), dtype=jnp.float32)
  return types.Mean(
    value.total + jnp.sum((steps[0] + steps[1]) / jnp.maximum(n, 1.0)),
    value.count,
  )


def ordinal(
  beyond: Array, label: Array, *, mask: Array | None = None
) -> types.Mean:
  """Ordinal regression of DORN (Fu et al. 2018, arXiv:1806.02446).

  With P_i the probability that the depth lies beyond bin i, and l the true
  bin: - sum over i < l of log P_i - sum over i >= l of log(1 - P_i), a mean
  over pixels. The same as k binary cross-entropies against i < l.

  Args:
    beyond: (b, h, w, k) logits of P.
    label: (b, h, w) int, the true bin; outside 0 .. k - 1 does not count.
    mask: (b,) bool, real examples.
  """
  masking.check_logits(beyond, label)
  k = beyond.shape[-1]
  valid = masking.valid_labels(label, k, None, mask)
  logits = masking.keep(beyond, valid[..., None])
  farther = jnp.arange(k) < label.astype(jnp.int32)[..., None]
  # log(1 - P) = log P - logit
  terms = jax.nn.log_sigmoid(jnp.where(farther, logits, -logits))
  return masking.mean(-jnp.sum(terms, -1), valid)


def _nearest(places: Array, among: Array, count: Array) -> Array:
  """For (n,) the nearest of the first `count` of the sorted (m,)."""
  at = jnp.searchsorted(among, places, method="sort")
  last = jnp.maximum(count - 1, 0)
  above = among[jnp.minimum(at, last)]
  below = among[jnp.clip(at - 1, 0, last)]
  nearer = jnp.abs(places - below) <= jnp.abs(places - above)
  return jnp.where(nearer, below, above)


def chamfer(
  centres: Array,
  target: Array,
  *,
  valid: Array | None = None,
  mask: Array | None = None,
) -> types.Mean:
  """Bi-directional Chamfer distance of AdaBins (2020, arXiv:2011.14141).

  Per image: mean over the valid depths of the squared distance to the nearest
  bin centre, plus mean over the centres of the squared distance to the
  nearest valid depth. By sorting: no table of centres times pixels.

  Args:
    centres: (b, k) metres, in any order.
    target: (b, h, w) metres.
    valid: (b, h, w) bool; None is target > 0.
    mask: (b,) bool, real examples.

  Returns:
    The count is the number of images with a valid pixel.
  """
  valid = (target > 0) & jnp.isfinite(target) if valid is None else valid
  keep = masking.counting(target, valid, mask)
  keep = keep.reshape(len(keep), -1)
  n = jnp.sum(keep, -1)  # (b,)
  seen = n > 0
  depth = jnp.where(keep, target.reshape(keep.shape), jnp.inf)
  ordered = jnp.sort(depth.astype(jnp.float32), -1)
  ordered = jnp.where(jnp.isfinite(ordered), ordered, 0.0)  # behind the first n
  k = centres.shape[-1]
  bins = jnp.sort(masking.keep(centres, seen[:, None]), -1)

  def one(bins, ordered, n):
    real = jnp.arange(len(ordered)) < n
    # Searched among the first n: what follows is as far as it gets.
    among = jnp.where(real, ordered, jnp.inf)
    to_bin = jnp.where(real, ordered - _nearest(ordered, bins, k), 0.0)
    to_depth = bins - _nearest(bins, among, n)
    to_depth = jnp.where(n > 0, to_depth, 0.0)
    forth = jnp.sum(to_bin**2) / jnp.maximum(n, 1)
    return forth + jnp.mean(to_depth**2)

  return masking.mean(jax.vmap(one)(bins, ordered, n), seen)
