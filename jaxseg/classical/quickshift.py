"""Quick shift: Vedaldi and Soatto, "Quick shift and kernel methods for mode
seeking", ECCV 2008. Each pixel points to the nearest one of higher density; the
pointers longer than a limit are cut; what hangs together is a region.

A pixel is a point (x, y, r L, r a, r b); its density is the sum of Gaussian
kernels of all pixels up to three kernel sizes away in x and in y. Pixels of
equal density count as higher in reading order, where others add noise: a
picture of one colour, within the limit, is few regions and always the same.

Runs under jit, a scan over the offsets of the window; float32.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from jaxseg.classical import partition, pictures
from jaxseg.ops import color

Array = jax.Array


def _window(reach: int, height: int, width: int) -> np.ndarray:
  """int32 (n, 2): offsets in reading order, none that leaves every picture."""
  rows, columns = min(reach, height - 1), min(reach, width - 1)
  y, x = np.mgrid[-rows : rows + 1, -columns : columns + 1]
  return np.stack([y.ravel(), x.ravel()], -1).astype(np.int32)


def _shifted(values: Array, offsets: np.ndarray, fill: float):
  """fn(offset) -> the values (h, w, c) that lie at the offset."""
  h, w = values.shape[:2]
  ry, rx = (int(r) for r in np.abs(offsets).max(0))
  wide = jnp.pad(values, ((ry, ry), (rx, rx), (0, 0)), constant_values=fill)

  def at(offset):
    start = (offset[0] + ry, offset[1] + rx, 0)
    return jax.lax.dynamic_slice(wide, start, (h, w, values.shape[-1]))

  return at


def density(values: Array, kernel: float) -> Array:
  """float32 (h, w): sum over the window of exp(-distance^2 / (2 kernel^2)).

  Args:
    values: (h, w, c) colours, in units of pixels.
    kernel: in pixels; the window reaches ceil(3 kernel) each way.
  """
  offsets = _window(math.ceil(3 * kernel), *values.shape[:2])
  at = _shifted(values, offsets, jnp.inf)  # outside: infinitely far

  def one(total, offset):
    square = jnp.sum((at(offset) - values) ** 2, -1) + jnp.sum(offset**2)
    return total + jnp.exp(square / (-2 * kernel**2)), None

  return jax.lax.scan(one, jnp.zeros(values.shape[:2]), offsets)[0]


def parents(
  values: Array, height: Array, farthest: float
) -> tuple[Array, Array]:
  """The nearest pixel of higher density, up to `farthest` away.

  Args:
    values: (h, w, c).
    height: (h, w) density.
    farthest: in pixels.

  Returns:
    int32 (h, w) flat indices, a pixel's own where there is none; float32
    (h, w) distance, infinite there.
  """
  h, w = height.shape
  reach = int(min(math.floor(farthest), max(h, w)))
  offsets = _window(reach, h, w)
  joint = jnp.concatenate([height[..., None], values], -1)
  at = _shifted(joint, offsets, -jnp.inf)  # outside: never higher
  own = jnp.arange(h * w, dtype=jnp.int32).reshape(h, w)

  def one(best, offset):
    there = at(offset)
    square = jnp.sum((there[..., 1:] - values) ** 2, -1) + jnp.sum(offset**2)
    step = offset[0] * w + offset[1]
    equal = (there[..., 0] == height) & (step < 0)
    closer = ((there[..., 0] > height) | equal) & (square < best[1])
    new = (own + step, square)
    return jax.tree.map(lambda a, b: jnp.where(closer, a, b), new, best), None

  first = (own, jnp.full((h, w), jnp.inf))
  (index, square), _ = jax.lax.scan(one, first, offsets)
  near = square <= farthest**2
  return jnp.where(near, index, own), jnp.where(near, square, jnp.inf) ** 0.5


@functools.partial(jax.jit, static_argnums=(1, 2))
def _tree(values, kernel, farthest):
  return parents(values, density(values, kernel), farthest)[0]


@jax.jit
def _lab(images):
  return color.rgb_to_lab(images)


def quickshift(
  images: np.ndarray,
  *,
  kernel: float = 5.0,
  farthest: float = 10.0,
  ratio: float = 1.0,
  sigma: float = 0.0,
) -> np.ndarray:
  """Regions of pictures: int32 (b, h, w), ids 0 .. n - 1 in each.

  A region is a tree of pointers, and need not be connected by neighbours.

  Args:
    images: (b, h, w, c) float, or one picture; three channels are RGB in
      [0, 1] and become Lab, others are taken as they are.
    kernel: size of the Gaussian, in pixels.
    farthest: pointers are no longer than this, in pixels and colour.
    ratio: weight of colour beside place, in pixels per unit of Lab.
    sigma: of a blur before, in pixels; 0: none.

  Raises:
    UserError: another shape, values or settings that are not finite.
  """
  pictures.above(kernel=kernel, farthest=farthest)
  pictures.at_least(ratio=ratio, sigma=sigma)

  def one(image):
    values = np.asarray(_lab(image)) if image.shape[-1] == 3 else image
    if sigma:
      values = ndimage.gaussian_filter(values, (sigma, sigma, 0))
    tree = _tree(values * np.float32(ratio), float(kernel), float(farthest))
    root = np.asarray(tree).ravel()
    while (root != root[root]).any():
      root = root[root]
    return partition.relabel(root.reshape(image.shape[:2]))

  return pictures.each(one, images)
