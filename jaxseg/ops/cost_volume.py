"""How well each pixel fits other places: cost volumes of sub-vectors.

Of Fonder, Ernst, Van Droogenbroeck, "M4Depth" (2022, arXiv:2105.09847), from
its equations. A feature vector is cut into `cuts` sub-vectors of unit length,
which are compared on their own: a cost is the cosine of two of them, in
[-1, 1], 0 where there is nothing to compare with. Channels of a volume are
ordered by place first, then by cut.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxseg.ops import vectors, warp

Array = jax.Array


def unit_cuts(features: Array, cuts: int) -> Array:
  """(..., c) -> (..., c), each of the `cuts` parts of length 1, or 0."""
  parts = features.reshape(*features.shape[:-1], cuts, -1)
  return vectors.unit(parts.astype(jnp.float32)).reshape(features.shape)


def _cosines(a: Array, b: Array, cuts: int) -> Array:
  """Of unit sub-vectors (..., c) twice -> (..., cuts)."""
  product = a * b
  return jnp.sum(product.reshape(*product.shape[:-1], cuts, -1), -1)


def sweep(now: Array, previous: Array, places: Array, cuts: int) -> Array:
  """Costs of places in the previous frame: the parallax sweep.

  Args:
    now: (b, h, w, c) of unit sub-vectors, see `unit_cuts`.
    previous: (b, h', w', c), the same of the previous frame.
    places: (b, h, w, n, 2) x and y in pixels of the previous frame.
    cuts: sub-vectors per pixel.

  Returns:
    float32 (b, h, w, n * cuts); 0 outside of the previous frame. Between
    pixels the features are mixed, not their costs.
  """
  b, h, w, n, _ = places.shape
  there, _ = warp.sample(previous, places.reshape(b, h, w * n, 2))
  there = there.reshape(b, h, w, n, -1)  # (b, h, w, n, c)
  costs = _cosines(now[..., None, :], there, cuts)  # (b, h, w, n, cuts)
  return costs.reshape(b, h, w, n * cuts)


def self_similarity(features: Array, radius: int, cuts: int) -> Array:
  """Costs of the neighbours in the same frame: its spatial structure.

  Args:
    features: (b, h, w, c) of unit sub-vectors.
    radius: r; the (2 r + 1)^2 neighbours are taken row by row, the pixel
      itself among them.
    cuts: sub-vectors per pixel.

  Returns:
    float32 (b, h, w, (2 r + 1)^2 * cuts); 0 outside of the frame.
  """
  b, h, w, _ = features.shape
  side = range(2 * radius + 1)
  around = ((0, 0), (radius, radius), (radius, radius), (0, 0))
  padded = jnp.pad(features, around)
  # All rows at once, then column after column: a seventh of the operations
  # of place after place, which take the compiler minutes.
  rows = jnp.stack([padded[:, y : y + h] for y in side], 3)  # (b, h, W, n, c)
  here = features[:, :, :, None]
  columns = [_cosines(here, rows[:, :, x : x + w], cuts) for x in side]
  return jnp.stack(columns, 4).reshape(b, h, w, -1)  # (b, h, w, n, n, cuts)
