"""Labels judged near boundaries: F of boundaries in a band, IoU in a trimap.

Csurka, Larlus, Perronnin, "What is a good evaluation measure for semantic
segmentation?", BMVC 2013 (BF: a boundary pixel is right if the other map has
one of the same class within a radius); Kohli, Ladicky, Torr, "Robust higher
order potentials for enforcing label consistency", IJCV 2009 (trimap: only
pixels within a width of the true boundary count). Not one to one: that is
`boundary`. Distances are Euclidean; the boundary of a class is those of its
pixels that have one of four neighbours outside it, the picture's border not
counted.

Runs under jit, for any batch.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxseg import types
from jaxseg.metrics import superpixels
from jaxseg.ops import distance

Array = jax.Array


def _edges(label: Array, index: int, valid: Array) -> Array:
  """bool (..., h, w): pixels of a class beside another, where both count."""
  inside = label == index
  return superpixels.boundaries(inside.astype(jnp.int32), valid) & inside


def boundary_f(
  said: Array, label: Array, classes: int, radius: float
) -> tuple[types.Mean, types.Mean]:
  """Precision and recall of boundaries of classes, as sums and counts.

  Args:
    said: int (b, h, w).
    label: int (b, h, w); pixels of IGNORE count in neither.
    classes: how many.
    radius: in pixels; usual is 0.0075 times the diagonal.

  Returns:
    two Means of float32 (classes,): boundary pixels of the prediction that
    the truth confirms, and of the truth that were found.
  """
  known = label != types.IGNORE
  found = []
  for i in range(classes):
    mine, theirs = _edges(said, i, known), _edges(label, i, known)
    near = [
      distance.squared_distance(x)[0] <= radius**2 for x in (theirs, mine)
    ]
    found.append(
      [
        jnp.sum(x, dtype=jnp.float32)
        for x in (mine & near[0], mine, theirs & near[1], theirs)
      ]
    )
  right, said_n, hit, true_n = jnp.stack([jnp.stack(x) for x in found], 1)
  return types.Mean(right, said_n), types.Mean(hit, true_n)


def trimap(label: Array, width: float) -> Array:
  """The truth within `width` pixels of its boundaries; elsewhere IGNORE.

  Any measure of labels is then one of the trimap. A boundary is two pixels
  wide, and both are at distance 0; those to IGNORE do not count.

  Args:
    label: int (..., h, w).
    width: in pixels, at least 0.
  """
  known = label != types.IGNORE
  square, _ = distance.squared_distance(superpixels.boundaries(label, known))
  return jnp.where(square <= width**2, label, types.IGNORE)
