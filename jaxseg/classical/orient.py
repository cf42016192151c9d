"""Oriented strength out of a plain boundary map, as the OWT reads it.

Dollar, Zitnick, "Fast edge detection using structured forests" (2015, arXiv
1406.5549), section 4: the orientation at a pixel is that of the ridge, from
second derivatives of the smoothed map; non-maximum suppression looks across it.
With the Hessian H of the map, a ridge runs along the eigenvector of the larger
eigenvalue: across it the map falls to both sides.

Differs from the paper in that derivatives are of Gaussians, and in what is
made of it: strengths at several orientations, the map times cos^2 of the angle
between the two, stretched so that the largest of them is the map itself.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.classical.gpb.discs import ORIENTATIONS

Array = jax.Array


def _kernels(sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """A Gaussian of sum 1, its first and its second derivative."""
  reach = math.ceil(4 * sigma)
  t = np.arange(-reach, reach + 1) / sigma
  g = np.exp(-t * t / 2)
  g /= g.sum()
  second = (t * t - 1) * g
  return g, -t * g / sigma, (second - g * second.sum()) / sigma**2


def _along(x: Array, kernel: np.ndarray, axis: int) -> Array:
  """x convolved with an odd kernel along an axis, the border mirrored."""
  reach = len(kernel) // 2
  pads = [(0, 0)] * x.ndim
  pads[axis] = (reach, reach)
  wide = jnp.pad(x, pads, mode="symmetric")
  n = x.shape[axis]
  parts = (
    float(k) * jax.lax.slice_in_dim(wide, i, i + n, axis=axis)
    for i, k in enumerate(kernel[::-1])
  )
  return sum(parts)


def smooth(boundary: Array, sigma: float) -> Array:
  """(h, w) under a Gaussian of deviation `sigma`, in pixels; 0: as it is."""
  if not sigma:
    return boundary
  g = _kernels(sigma)[0]
  return _along(_along(boundary, g, 0), g, 1)


def angle(boundary: Array, sigma: float = 2.0) -> Array:
  """float32 (h, w): where the ridge at each pixel runs to, in [0, pi).

  From the x axis to the y axis, which points downwards. 0 where the map is
  flat; off the ridge, where it no longer bends down, it means nothing.

  Args:
    boundary: (h, w).
    sigma: deviation of the Gaussians, in pixels.
  """
  g, first, second = _kernels(sigma)
  xx = _along(_along(boundary, g, 0), second, 1)
  yy = _along(_along(boundary, second, 0), g, 1)
  xy = _along(_along(boundary, first, 0), first, 1)
  turned = jnp.where((xy == 0) & (xx == yy), 0.0, jnp.arctan2(2 * xy, xx - yy))
  return jnp.mod(turned / 2, jnp.pi)


def oriented(
  boundary: Array,
  *,
  sigma: float = 2.0,
  blur: float = 0.0,
  orientations: int = ORIENTATIONS,
) -> Array:
  """float32 (h, w, n): strength at angle pi i / n; the largest is the map's.

  Args:
    boundary: (h, w), at least 0.
    sigma: of the Gaussians that tell orientations, in pixels.
    blur: of a Gaussian that the strength goes through first; 0: none.
    orientations: n.
  """
  boundary = boundary.astype(jnp.float32)
  every = jnp.arange(orientations) * (jnp.pi / orientations)
  tuned = jnp.cos(angle(boundary, sigma)[..., None] - every) ** 2
  tuned /= tuned.max(-1, keepdims=True)
  return smooth(boundary, blur)[..., None] * tuned
