"""gPb-owt-ucm of a picture at several sizes.

Arbelaez, Pont-Tuset, Barron, Marques, Malik, CVPR 2014, sections 3 and 4.1:
twice the size sees fine contours, half the size sees past texture. Each scale
has eigenvectors by `dncuts`.
"""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import types
from jaxseg.classical import owt, ucm
from jaxseg.classical.gpb import pipeline
from jaxseg.classical.mcg import dncuts

SCALES = (2.0, 1.0, 0.5)


def check_scales(scales: tuple[float, ...]) -> None:
  """Refuses scales that are none, or not from fine to coarse.

  Raises:
    UserError: says what a list of scales is.
  """
  good = len(scales) > 0 and all(
    isinstance(s, (int, float)) and 0 < s < np.inf for s in scales
  )
  if not good or any(a <= b for a, b in itertools.pairwise(scales)):
    raise types.UserError(
      f"scales {tuple(scales)} were given; expected numbers above 0, the finest"
      " first, each once, such as (2.0, 1.0, 0.5); (1.0,) is SCG."
    )


def resize(image: np.ndarray, scale: float) -> np.ndarray:
  """(h, w, 3) in [0, 1] at `scale` times its size, cubic, sides rounded."""
  if scale == 1:
    return image
  h, w, c = image.shape
  shape = (max(round(h * scale), 1), max(round(w * scale), 1), c)
  return np.clip(jax.image.resize(jnp.asarray(image), shape, "cubic"), 0, 1)


def boundary(
  image: np.ndarray, scale: float, *, shrink: bool = True
) -> np.ndarray:
  """gPb at one scale: float32 (scale h, scale w, 8).

  Args:
    image: (h, w, 3) uint8, or float in [0, 1].
    scale: of its size.
    shrink: eigenvectors at half of that.
  """
  image = pipeline.check(image)
  resized = resize(image, scale)
  if min(resized.shape[:2]) < pipeline.LEAST:
    raise types.UserError(
      f"a picture of {image.shape[1]}x{image.shape[0]} (width x height) is too"
      f" small at scale {scale:g}: expected at least {pipeline.LEAST} pixels a"
      " side there; leave the scale out."
    )
  image = np.asarray(resized)
  return pipeline.gpb(image, shrink=shrink, solve=dncuts.eigenvectors)


def hierarchy(
  image: np.ndarray, scale: float, *, shrink: bool = True
) -> ucm.Hierarchy:
  """gPb-owt-ucm at one scale; see `boundary`."""
  return ucm.merge(owt.transform(boundary(image, scale, shrink=shrink)))
