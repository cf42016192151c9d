"""Two halves of a disc compared, at every pixel and orientation.

Martin, Fowlkes, Malik, PAMI 2004; Arbelaez, Maire, Fowlkes, Malik, PAMI 2011,
section 3.1: a line through a pixel cuts a disc in two, each half has a
histogram, and the gradient is 1/2 sum (g - h)^2 / (g + h) of the two, in
[0, 1]. Then a parabola is fitted across the line in an ellipse along it (a
second-order Savitzky-Golay filter).

One convolution of a bin gives its counts in all half-discs. Bins are soft: a
pixel gives a share to several, which is the same as smoothing histograms. Large
discs see the picture at half its size (`shrink`), where the paper has all
pixels.

Orientation i of n is at angle pi i / n from the x axis to the y axis, which
points downwards: 0 is a horizontal line, n / 2 a vertical one. The border is
mirrored, so that it is no boundary.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array
ORIENTATIONS = 8
FINE = 10  # samples a side of a pixel, of which a slice has its share


@functools.cache
def slices(radius: float, orientations: int = ORIENTATIONS) -> np.ndarray:
  """float32 (k, k, 2 n): the share of each pixel in each slice of a disc.

  Slice j lies between the angles pi j / n and pi (j + 1) / n.
  """
  reach = int(np.ceil(radius))
  k = 2 * reach + 1
  at = (np.arange(k * FINE) + 0.5) / FINE - k / 2
  y, x = np.meshgrid(at, at, indexing="ij")
  angle = np.arctan2(y, x) % (2 * np.pi)
  inside = y * y + x * x <= radius * radius
  every = np.arange(2 * orientations)
  out = 0.0
  for nudge in (-1e-9, 1e-9):  # a sample on a cut is half on either side
    which = np.floor(angle * orientations / np.pi + nudge).astype(int)
    which %= 2 * orientations
    one = (which[..., None] == every) & inside[..., None]
    out += 0.5 * one.reshape(k, FINE, k, FINE, -1).mean((1, 3))
  return out.astype(np.float32)


def _conv(image: Array, kernel: np.ndarray) -> Array:
  """(h, w, a) with (k, k, a, b): (h, w, b), the border mirrored."""
  pad = kernel.shape[0] // 2
  wide = jnp.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="symmetric")
  return lax.conv_general_dilated(
    wide[None],
    jnp.asarray(kernel),
    (1, 1),
    "VALID",
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    precision=lax.Precision.HIGHEST,
  )[0]


def difference(
  bins: Array, radius: float, orientations: int = ORIENTATIONS
) -> Array:
  """chi^2 of the two half-discs: float32 (h, w, n) in [0, 1].

  Args:
    bins: (h, w, m): the share of a pixel in each bin; they add up to 1.
    radius: of the disc, in pixels.
    orientations: n, even.
  """
  parts = slices(radius, orientations)
  # Half j is the slices j .. j + n - 1; half j + n is the other one.
  kernel = np.stack(
    [
      np.roll(parts, -j, -1)[..., :orientations].sum(-1)
      for j in range(2 * orientations)
    ],
    -1,
  )
  kernel = (kernel / kernel[..., 0].sum())[:, :, None]

  def one(total, plane):
    half = _conv(plane[..., None], kernel)  # (h, w, 2 n)
    a, b = half[..., :orientations], half[..., orientations:]
    both = a + b
    square = (a - b) ** 2 / jnp.where(both > 1e-7, both, 1.0)
    return total + 0.5 * jnp.where(both > 1e-7, square, 0.0), None

  shape = (*bins.shape[:2], orientations)
  return lax.scan(one, jnp.zeros(shape), jnp.moveaxis(bins, -1, 0))[0]


@functools.cache
def parabola(
  radius: float, orientations: int = ORIENTATIONS, across: float = 0.25
) -> np.ndarray:
  """float32 (n, k, k): weights of the value at 0 of a fitted parabola.

  In an ellipse with half-axes `radius` along the line and `across` times that
  across it, at least 1.5; along the line the fit is constant.
  """
  reach = int(np.ceil(radius))
  y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
  out = []
  for i in range(orientations):
    angle = np.pi * i / orientations
    u = x * np.cos(angle) + y * np.sin(angle)
    v = y * np.cos(angle) - x * np.sin(angle)
    short = max(across * radius, 1.5)
    inside = (u / radius) ** 2 + (v / short) ** 2 <= 1 + 1e-9
    terms = np.stack([np.ones_like(v), v, v * v], -1)[inside]
    weights = np.linalg.pinv(terms)[0]
    plane = np.zeros(v.shape)
    plane[inside] = weights
    out.append(plane)
  return np.stack(out).astype(np.float32)


def smooth(gradient: Array, radius: float, across: float = 0.25) -> Array:
  """(h, w, n) -> (h, w, n): `parabola` at each orientation, at least 0."""
  kernels = parabola(radius, gradient.shape[-1], across)
  planes = [
    _conv(gradient[..., i : i + 1], kernel[..., None, None])
    for i, kernel in enumerate(kernels)
  ]
  return jnp.maximum(jnp.concatenate(planes, -1), 0.0)


def halve(values: Array) -> Array:
  """(h, w, c) -> (ceil(h / 2), ceil(w / 2), c): means of 2 x 2 pixels."""
  h, w, c = values.shape
  even = jnp.pad(values, ((0, h % 2), (0, w % 2), (0, 0)), mode="edge")
  h, w = even.shape[:2]
  return even.reshape(h // 2, 2, w // 2, 2, c).mean((1, 3))


def double(values: Array, shape: tuple[int, int]) -> Array:
  """Back from `halve`, bilinear: (h, w, c) of that shape."""
  h, w, c = values.shape
  big = jax.image.resize(values, (2 * h, 2 * w, c), "bilinear")
  return big[: shape[0], : shape[1]]


def gradient(
  bins: Array,
  radius: float,
  *,
  shrink: bool,
  orientations: int = ORIENTATIONS,
) -> Array:
  """The smoothed gradient of a channel: float32 (h, w, n), at least 0.

  Args:
    bins: (h, w, m), as in `difference`.
    radius: of the disc, in pixels.
    shrink: measured at half the size.
    orientations: n.
  """
  if not shrink:
    return smooth(difference(bins, radius, orientations), radius)
  small = difference(halve(bins), radius / 2, orientations)
  return double(smooth(small, radius / 2), bins.shape[:2])
