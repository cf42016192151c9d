"""Methods that go on from what a trained network says.

Lines and hierarchies of regions: a network of the task 'boundaries' in the
place of gPb. Its map gets orientations (`classical.orient`), and then it is
thinned, or goes through the same oriented watershed. So a network is judged as
gPb is, by the benchmark's one-to-one matching.

Superpixels: those of a network of the task 'superpixels', each in one piece, in
the place of SLIC's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxseg import types
from jaxseg.classical import connect, orient
from jaxseg.methods import contours, superpixels

# Deviations of Gaussians in pixels: of derivatives, and of strength.
SIGMA, BLUR = 2.0, 1.0
_oriented = jax.jit(functools.partial(orient.oriented, sigma=SIGMA, blur=BLUR))


class Network(NamedTuple):
  """A network that is trained.

  Attributes:
    predict: picture uint8 (h, w, 3) -> what its task answers, at that size.
    step: how long it was trained.
  """

  predict: Callable[[np.ndarray], Mapping[str, Any]]
  step: int = 0

  def strength(self, image: np.ndarray) -> np.ndarray:
    """float32 (h, w, 8): its boundaries, oriented."""
    return np.asarray(_oriented(self.predict(image)["boundary"]))


def learned_lines(
  *, network: Network, thresholds: int = 33, level: float = 0.1
) -> contours.Lines:
  """Thin lines of a network's boundaries.

  Args:
    network: not an option; who builds the method gives it.
    thresholds, level: see `contours.Lines`.
  """
  return contours.Lines(
    strength=network.strength, thresholds=thresholds, level=level
  )


def learned_ucm(
  *, network: Network, thresholds: int = 33, level: float = 0.5
) -> contours.Regions:
  """A hierarchy of regions of a network's boundaries.

  Args:
    network: not an option; who builds the method gives it.
    thresholds, level: see `contours.Hierarchy`.
  """
  return contours.Regions(
    strength=network.strength, thresholds=thresholds, level=level
  )


def learned_slic(
  *, network: Network, smallest: float = 0.5
) -> superpixels.Superpixels:
  """A network's superpixels, connected.

  Args:
    network: not an option; who builds the method gives it.
    smallest: pieces below this share of the mean size join a neighbour.
  """

  if not 0 <= smallest <= 1:
    raise types.UserError(
      f"config.method.smallest = {smallest}: expected a share of the mean size "
      "of a superpixel, from 0 to 1."
    )

  def segments(image: np.ndarray) -> np.ndarray:
    said = np.asarray(network.predict(image)["segments"])
    least = smallest * said.size / len(np.unique(said))
    return connect.connect(said, least)

  return superpixels.Superpixels(segments=segments)
