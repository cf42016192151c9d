"""The oriented watershed transform: arcs between basins, and how strong.

Arbelaez, Maire, Fowlkes, Malik, "Contour detection and hierarchical image
segmentation", PAMI 2011, section 4.1. Basins are those of the largest strength
over orientations; but an arc between two of them counts what the boundary map
says at the arc's own orientation, for at a strong contour a weak arc that ends
there would otherwise be strong as well.

Differs from the paper: basins cover the picture and an arc is made of the
sides of pixels (cracks) between two of them, a crack having the larger of its
two pixels' strengths; the orientation at a crack is the principal axis of the
cracks of its arc within `window` pixels, where the paper cuts arcs into line
segments.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import spatial

from jaxseg.classical import partition
from jaxseg.classical import watershed as basins

WINDOW = 4.0


class Arcs(NamedTuple):
  """Attributes:
  leaves: int32 (h, w), basins 0 .. n - 1.
  pairs: int64 (m, 2), the two basins i < j of each arc, sorted.
  length: int64 (m,), cracks of each.
  strength: float64 (m,), mean over its cracks.
  """

  leaves: np.ndarray
  pairs: np.ndarray
  length: np.ndarray
  strength: np.ndarray


def orientations(
  middle: np.ndarray,
  vertical: np.ndarray,
  arc: np.ndarray,
  window: float = WINDOW,
) -> np.ndarray:
  """float (m,): the angle of the arc at each crack, in [0, pi).

  From the x axis to the y axis, which points downwards.

  Args:
    middle: (m, 2), y and x of the cracks' middles.
    vertical: bool (m,): which of them are.
    arc: int (m,): which arc each is of.
    window: radius in which cracks of the same arc are seen.
  """
  near = spatial.cKDTree(middle).query_pairs(window, output_type="ndarray")
  near = near[arc[near[:, 0]] == arc[near[:, 1]]]
  me = np.arange(len(middle))
  i = np.concatenate([near[:, 0], near[:, 1], me])
  j = np.concatenate([near[:, 1], near[:, 0], me])
  n = np.bincount(i)

  def mean(values):
    return np.bincount(i, values) / n

  y, x = (middle[j] - middle[i]).T
  my, mx = mean(y), mean(x)
  # A crack is a segment of length 1: 1 / 12 is its own variance.
  along = np.where(vertical, 1.0, -1.0)[j] / 12
  yy_xx = mean(y * y - x * x + along) - (my * my - mx * mx)
  xy = mean(x * y) - mx * my
  return 0.5 * np.arctan2(2 * xy, -yy_xx) % np.pi


def transform(boundary: np.ndarray, window: float = WINDOW) -> Arcs:
  """The arcs of an oriented boundary map.

  Args:
    boundary: float (h, w, n), at least 0; orientation i is at the angle pi i /
      n, see `gpb.discs`.
    window: see `orientations`.
  """
  h, w, n = boundary.shape
  leaves = basins.watershed(boundary.max(-1)) - 1
  p, q = partition.neighbours((h, w))
  flat = leaves.ravel()
  cut = flat[p] != flat[q]
  p, q = p[cut], q[cut]
  ends = np.sort(np.stack([flat[p], flat[q]], -1), -1).astype(np.int64)
  pairs, arc, length = np.unique(
    ends, axis=0, return_inverse=True, return_counts=True
  )
  arc = arc.reshape(-1)
  if not len(pairs):
    return Arcs(leaves, pairs.reshape(0, 2), length, np.zeros(0))
  places = [np.stack(np.unravel_index(x, (h, w)), -1) for x in (p, q)]
  angle = orientations((places[0] + places[1]) / 2, q - p == 1, arc, window)
  which = np.round(angle * n / np.pi).astype(int) % n
  planes = boundary.reshape(-1, n)
  here = np.maximum(planes[p, which], planes[q, which])
  return Arcs(leaves, pairs, length, np.bincount(arc, here) / length)
