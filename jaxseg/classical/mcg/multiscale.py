"""One hierarchy out of those of several scales.

Arbelaez, Pont-Tuset, Barron, Marques, Malik, CVPR 2014, section 4: the
hierarchies share the leaves of the finest scale, a boundary between two leaves
has one height from each, and their weighted mean is merged anew.

Differs from the paper: the finest leaves are at the picture's own size, and the
about `align.LEAVES` strongest of them; see `weights` for how the scales are
weighed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxseg import types
from jaxseg.classical import owt, partition, ucm
from jaxseg.classical.mcg import align, pyramid, weights


class Multiscale(NamedTuple):
  """Hierarchies of a picture that share their leaves and pairs.

  Attributes:
    scales: of each scale, the finest first.
    tree: of all of them.
  """

  scales: tuple[ucm.Hierarchy, ...]
  tree: ucm.Hierarchy

  @property
  def every(self) -> tuple[ucm.Hierarchy, ...]:
    """Those of the scales and, if these are several, that of all."""
    return self.scales if len(self.scales) == 1 else (*self.scales, self.tree)


def combine(
  trees: Sequence[ucm.Hierarchy], shape: tuple[int, int], mix: Sequence[float]
) -> Multiscale:
  """Hierarchies of the scales, aligned and combined.

  Args:
    trees: the finest first, each at its own size.
    shape: h, w of the picture.
    mix: weight of each, at least 0; they are made to add up to 1.

  Raises:
    UserError: weights that are none.
  """
  mix = np.asarray(mix, np.float64)
  if (
    mix.shape != (len(trees),) or (mix < 0).any() or not 0 < mix.sum() < np.inf
  ):
    raise types.UserError(
      f"weights {mix.tolist()} were given for {len(trees)} scales; expected one"
      " number of at least 0 for each, not all of them 0."
    )
  leaves = align.finest(trees[0], shape)
  pairs, length = partition.adjacency(leaves)
  scales = tuple(align.align(tree, leaves, pairs) for tree in trees)
  heights = np.stack([tree.heights for tree in scales])
  mean = mix / mix.sum() @ heights
  if len(trees) == 1:
    return Multiscale(scales, scales[0])
  tree = ucm.merge(owt.Arcs(leaves, pairs, length, mean))
  return Multiscale(scales, tree)


def multiscale(
  image: np.ndarray,
  scales: tuple[float, ...] = pyramid.SCALES,
  *,
  shrink: bool = True,
) -> Multiscale:
  """Hierarchies of a picture: MCG, or with scales (1.0,) SCG.

  Args:
    image: (h, w, 3) uint8, or float in [0, 1].
    scales: of its size, the finest first.
    shrink: eigenvectors at half the size of each scale.

  Raises:
    UserError: no picture, or one that is too small at the coarsest scale; no
      list of scales.
  """
  pyramid.check_scales(scales)
  trees = [pyramid.hierarchy(image, s, shrink=shrink) for s in scales]
  return combine(trees, image.shape[:2], weights.mix(scales))
