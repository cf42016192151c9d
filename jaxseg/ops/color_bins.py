"""Colours as classes: the (a, b) plane in bins, and back from scores.

Zhang, Isola, Efros, "Colorful Image Colorization" (2016, arXiv:1603.08511),
section 2. A table of bins is data, (Q, 2) float32 in units of Lab; everything
here takes any table.

Differs from the paper in the table that `gamut_bins` makes: the published one
has Q = 313 bins and does not follow from a rule of this kind.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxseg.ops import color

Array = jax.Array


@functools.cache
def gamut_bins(grid: float = 10.0) -> np.ndarray:
  """Centres (Q, 2) of the cells that sRGB reaches; Q = 261 at grid 10.

  Made by counting: the colours of a cube of 86 levels per channel (every third
  of 256) are rounded in (a, b) to the nearest multiple of `grid`, and every
  multiple that occurs is a bin. Some centres are themselves no colour of a
  screen. Sorted by a, then b. Weights that were trained with the published
  table of 313 bins need that table.
  """
  level = np.arange(0, 256, 3) / 255
  above = level > color.SRGB_KNEE
  line = level / 12.92
  level = np.where(above, ((level + 0.055) / 1.055) ** 2.4, line)
  rgb = np.stack(np.meshgrid(level, level, level), -1).reshape(-1, 3)
  t = rgb @ color.MATRIX.T / color.WHITE
  f = np.where(t > color.XYZ_KNEE, np.cbrt(t), color.SLOPE * t + color.OFFSET)
  ab = np.stack([500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], -1)
  cells = np.unique(np.rint(ab / grid), axis=0)
  return (cells * grid + 0.0).astype(np.float32)  # + 0: no -0


def soft_encode(
  ab: Array, bins: np.ndarray, neighbours: int = 5, sigma: float = 5.0
) -> tuple[Array, Array]:
  """The nearest bins of each colour, and how much of it each one gets.

  Args:
    ab: (..., 2).
    bins: (Q, 2).
    neighbours: how many; 5 in the paper, 10 in its code.
    sigma: of the Gaussian of the distance, in units of Lab.

  Returns:
    int32 (..., k), nearest first, and float32 (..., k) that sum to 1.
  """
  table = jnp.asarray(bins, jnp.float32)
  ab = ab.astype(jnp.float32)
  square = sum(
    (ab[..., i, None] - table[:, i]) ** 2 for i in range(2)
  )  # (..., Q)
  far, index = lax.top_k(-square, neighbours)
  # Relative to the nearest: a colour far from all bins is not 0 / 0.
  weight = jnp.exp((far - far[..., :1]) / (2 * sigma**2))
  return index, weight / jnp.sum(weight, -1, keepdims=True)


def annealed_mean(
  logits: Array, bins: np.ndarray, temperature: float = 0.38
) -> Array:
  """(..., Q) scores -> (..., 2): the mean of the sharpened distribution.

  softmax(logits / T); T = 1 is the mean, T towards 0 the most likely bin.
  """
  share = jax.nn.softmax(logits.astype(jnp.float32) / temperature, -1)
  table = jnp.asarray(bins, jnp.float32)
  return jnp.matmul(share, table, precision=lax.Precision.HIGHEST)


def smooth_prior(
  counts: np.ndarray, bins: np.ndarray, sigma: float = 5.0
) -> np.ndarray:
  """Frequencies (Q,) of the bins, smoothed by a Gaussian in (a, b).

  Args:
    counts: (Q,) pixels whose nearest bin it is.
    bins: (Q, 2).
    sigma: of the Gaussian, in units of Lab.
  """
  bins = np.asarray(bins, np.float64)
  square = ((bins[:, None] - bins) ** 2).sum(-1)
  spread = np.exp(-square / (2 * sigma**2))
  spread /= spread.sum(0)  # each bin gives away what it has, no more
  prior = spread @ np.asarray(counts, np.float64)
  return prior / prior.sum()


def rebalancing(prior: np.ndarray, uniform: float = 0.5) -> np.ndarray:
  """Weights (Q,) of the bins, so that rare colours are learnt too.

  1 / ((1 - uniform) prior + uniform / Q), scaled so that their mean under the
  prior is 1.

  Args:
    prior: (Q,), sums to 1.
    uniform: share of the uniform distribution, the paper's lambda.
  """
  prior = np.asarray(prior, np.float64)
  weight = 1 / ((1 - uniform) * prior + uniform / len(prior))
  return weight / (prior @ weight)
