"""Weights that make a network learn the gaps between touching things.

Ronneberger, Fischer, Brox, "U-Net" (2015, arXiv 1505.04597), equation 2:
w(x) = w_c(x) + w0 exp(-(d1 + d2)^2 / (2 sigma^2)), with d1 and d2 the
distances to the nearest and to the second nearest cell.

The distances are to the nearest pixel of the cell. The second term is for
background pixels alone; the paper's formula would also weigh cells up, near
other cells.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxseg.ops import distance

Array = jax.Array


def separation(
  instance: Array, *, w0: float = 10.0, sigma: float = 5.0
) -> Array:
  """The second term: (..., h, w) int, 0 = background -> float32 >= 0.

  0 on the things, and everywhere where there are fewer than two.

  Args:
    instance: ids of the things.
    w0: weight of a pixel that both things would touch at no distance.
    sigma: in pixels, how fast it falls.
  """
  one, two, _, _ = distance.two_nearest(instance)
  weight = w0 * jnp.exp(-((one + two) ** 2) / (2 * sigma**2))
  return jnp.where(instance > 0, 0.0, weight)


def unet_weights(
  instance: Array,
  class_weights: tuple[float, float] = (1.0, 1.0),
  *,
  w0: float = 10.0,
  sigma: float = 5.0,
) -> Array:
  """The whole of equation 2: float32 (..., h, w).

  Args:
    instance: (..., h, w) int, 0 = background.
    class_weights: w_c of background and of cells.
    w0: see `separation`.
    sigma: see `separation`.
  """
  back, cell = class_weights
  base = jnp.where(instance > 0, jnp.float32(cell), jnp.float32(back))
  return base + separation(instance, w0=w0, sigma=sigma)
