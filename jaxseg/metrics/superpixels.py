"""What superpixels are worth that a table of overlaps does not tell.

Boundary recall: Martin, Fowlkes, Malik, PAMI 2004. Compactness: Schick,
Fischer, Stiefelhagen, "Measuring and evaluating the compactness of
superpixels", ICPR 2012. Explained variation: Moore et al., "Superpixel
lattices", CVPR 2008.

A pixel is on a boundary if one of its four neighbours is in another region, so
that boundaries are two pixels wide. Distances are Euclidean, where others take
a square window; a perimeter is the number of pixel edges, the picture's border
included: the compactness of a square is pi / 4, of no region more.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxseg.ops import distance

Array = jax.Array


def boundaries(labels: Array, valid: Array | None = None) -> Array:
  """(..., h, w) int -> bool: pixels beside another region.

  Args:
    labels: ids of the regions.
    valid: bool of the same shape; what is not valid borders on nothing.
  """
  edge = jnp.zeros(labels.shape, bool)
  for axis in (labels.ndim - 2, labels.ndim - 1):
    n = labels.shape[axis]

    def part(x, start, axis=axis, n=n):
      return jax.lax.slice_in_dim(x, start, n - 1 + start, axis=axis)

    step = part(labels, 0) != part(labels, 1)
    if valid is not None:
      step &= part(valid, 0) & part(valid, 1)
    pads = [[(0, 0)] * labels.ndim for _ in range(2)]
    pads[0][axis], pads[1][axis] = (0, 1), (1, 0)
    edge |= jnp.pad(step, pads[0]) | jnp.pad(step, pads[1])
  return edge


def boundary_recall(
  truth: Array,
  segments: Array,
  *,
  radius: float = 0.0,
  valid: Array | None = None,
) -> tuple[Array, Array]:
  """True boundary pixels that have one of the segments' within `radius`.

  Returns:
    float32 found and float32 all true boundary pixels, (...): not divided, so
    that they can be added over a set.

  Args:
    truth: (..., h, w) int.
    segments: (..., h, w) int.
    radius: in pixels; usual is 0.0025 times the diagonal.
    valid: (..., h, w) bool, where the truth is known.
  """
  true = boundaries(truth, valid)
  square, _ = distance.squared_distance(boundaries(segments))
  found = true & (square <= radius**2)
  return (
    jnp.sum(found, (-2, -1), dtype=jnp.float32),
    jnp.sum(true, (-2, -1), dtype=jnp.float32),
  )


def _areas(segments: Array, count: int) -> Array:
  """float32 (count,): pixels of each segment."""
  return jnp.bincount(segments.reshape(-1), length=count).astype(jnp.float32)


def compactness(segments: Array, count: int) -> Array:
  """sum over segments of |S| / N times 4 pi |S| / perimeter^2, at most pi / 4.

  Args:
    segments: (h, w) int, ids 0 .. count - 1.
    count: how many ids there may be.
  """
  wide = jnp.pad(segments, 1, constant_values=-1)
  centre = wide[1:-1, 1:-1]
  edges = jnp.zeros(segments.shape, jnp.float32)
  for other in (
    wide[:-2, 1:-1],
    wide[2:, 1:-1],
    wide[1:-1, :-2],
    wide[1:-1, 2:],
  ):
    edges += centre != other
  area = _areas(segments, count)
  length = jnp.zeros(count).at[segments.reshape(-1)].add(edges.reshape(-1))
  quotient = 4 * jnp.pi * area / jnp.where(length > 0, length, 1.0) ** 2
  return jnp.sum(area * quotient) / segments.size


def explained_variation(image: Array, segments: Array, count: int) -> Array:
  """Share of the variance of the colours that the segments' means explain.

  In [0, 1]; a picture of one colour has nothing to explain: 1.

  Args:
    image: (h, w, c) float.
    segments: (h, w) int, ids 0 .. count - 1.
    count: how many ids there may be.
  """
  values = image.reshape(-1, image.shape[-1]).astype(jnp.float32)
  values = values - values.mean(0)
  area = _areas(segments, count)[:, None]
  total = jnp.zeros((count, values.shape[-1]))
  total = total.at[segments.reshape(-1)].add(values)
  between = jnp.sum(total**2 / jnp.where(area > 0, area, 1.0))
  variance = jnp.sum(values**2)
  return jnp.where(
    variance > 0, between / jnp.where(variance > 0, variance, 1.0), 1.0
  )
