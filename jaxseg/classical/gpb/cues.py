"""Brightness, colour and texture, as soft histograms; and mPb of them.

Arbelaez, Maire, Fowlkes, Malik, PAMI 2011, section 3.1. Lab channels in 25
bins, smoothed by Gaussians of 0.1 (brightness) and 0.05 (colour) of the range;
texture in 64 textons, which k-means finds in the picture among the responses
of oriented filters, even and odd, and of a centre-surround one, of two sizes.
Three discs for each: 3, 5, 10 pixels for brightness and 5, 10, 20 for the rest.

Differs from the paper: discs of 10 and more at half the size, see `discs`.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.classical.gpb import discs
from jaxseg.ops import color

Array = jax.Array
BINS = 25
TEXTONS = 64
ROUNDS = 15  # of k-means
SAMPLE = 8000  # pixels that it sees
RADII = ((3, 5, 10), (5, 10, 20), (5, 10, 20), (5, 10, 20))
NAMES = tuple(
  f"{channel}{radius}"
  for channel, radii in zip(("l", "a", "b", "texture"), RADII)
  for radius in radii
)
SHRINK = 10  # discs from this radius on are measured at half the size
SIZES = (2.0, 2.0 * np.sqrt(2))


def soft_bins(values: Array, deviation: float, bins: int = BINS) -> Array:
  """(h, w) in [0, 1] -> (h, w, bins), shares that add up to 1.

  Args:
    values: of the pixels; bin i is at (i + 1/2) / bins.
    deviation: of the Gaussian, in units of the range.
    bins: how many.
  """
  middle = (jnp.arange(bins) + 0.5) / bins
  z = (values[..., None] - middle) / deviation
  return jax.nn.softmax(-0.5 * z * z, -1)


def unit_lab(image: Array) -> Array:
  """RGB (h, w, 3) -> L, a, b in [0, 1]: L of 0 to 100, a and b of -73 to 95."""
  lab = color.rgb_to_lab(image)
  low, high = jnp.array([0.0, -73, -73]), jnp.array([100.0, 95, 95])
  return jnp.clip((lab - low) / (high - low), 0, 1)


@functools.cache
def filters(size: float, orientations: int = discs.ORIENTATIONS) -> np.ndarray:
  """float32 (k, k, 2 n + 1): the bank at one size.

  Even filters are second derivatives of a Gaussian across the line, twice as
  long along it; odd ones first derivatives; the last is the difference to a
  Gaussian of sqrt(2) the size. Each has mean 0 and sum of magnitudes 1.
  """
  reach = int(np.ceil(2 * 2.5 * size))
  y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
  bank = []
  for kind in ("even", "odd"):
    for i in range(orientations):
      angle = np.pi * i / orientations
      u = x * np.cos(angle) + y * np.sin(angle)
      v = (y * np.cos(angle) - x * np.sin(angle)) / size
      g = np.exp(-0.5 * (v * v + (u / (2 * size)) ** 2))
      bank.append(g * (v * v - 1) if kind == "even" else g * v)
  square = (x * x + y * y) / size**2
  bank.append(np.exp(-0.5 * square) - 0.5 * np.exp(-0.25 * square))
  planes = np.stack(bank, -1)
  planes -= planes.mean((0, 1))
  return (planes / np.abs(planes).sum((0, 1))).astype(np.float32)


def textons(grey: Array, seed: int = 0, count: int = TEXTONS) -> Array:
  """int32 (h, w): the nearest of the picture's own textons.

  Args:
    grey: (h, w) in [0, 1].
    seed: of the pixels that k-means starts from.
    count: of textons.
  """
  responses = jnp.concatenate(
    [discs._conv(grey[..., None], filters(s)[:, :, None]) for s in SIZES],
    -1,
  )
  flat = responses.reshape(-1, responses.shape[-1])
  first, sample = jax.random.split(jax.random.key(seed))
  few = flat[jax.random.randint(sample, (SAMPLE,), 0, len(flat))]
  centres = few[jax.random.permutation(first, SAMPLE)[:count]]

  def nearest(points, centres):
    d = jnp.sum(centres**2, -1) - 2 * jnp.matmul(
      points, centres.T, precision=jax.lax.Precision.HIGHEST
    )
    return jnp.argmin(d, -1)

  def step(centres, _):
    one = jax.nn.one_hot(nearest(few, centres), count)
    n = one.sum(0)[:, None]
    mean = (one.T @ few) / jnp.where(n > 0, n, 1)
    return jnp.where(n > 0, mean, centres), None

  centres, _ = jax.lax.scan(step, centres, None, ROUNDS)
  return nearest(flat, centres).reshape(grey.shape).astype(jnp.int32)


@jax.jit
def gradients(image: Array) -> Array:
  """The twelve gradients, in the order of NAMES: float32 (12, h, w, 8).

  Args:
    image: (h, w, 3) RGB in [0, 1].
  """
  lab = unit_lab(image)
  channels = [
    soft_bins(lab[..., 0], 0.1),
    soft_bins(lab[..., 1], 0.05),
    soft_bins(lab[..., 2], 0.05),
    jax.nn.one_hot(textons(color.grey(image)[..., 0]), TEXTONS),
  ]
  out = []
  for bins, radii in zip(channels, RADII):
    for radius in radii:
      out.append(discs.gradient(bins, radius, shrink=radius >= SHRINK))
  return jnp.stack(out)


def combine(cues: Array, weights: np.ndarray) -> Array:
  """Sum of (n, h, w, o) by weights (n,): (h, w, o)."""
  return jnp.tensordot(jnp.asarray(weights, jnp.float32), cues, 1)
