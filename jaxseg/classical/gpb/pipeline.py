"""gPb of a picture: local cues, eigenvectors, and their logistic regression.

Arbelaez, Maire, Fowlkes, Malik, PAMI 2011, section 3.3. See `cues`, `spectral`
and `weights` for what differs from the paper, and SMOOTH.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from jaxseg import types
from jaxseg.classical.gpb import cues, nms, spectral, weights

Array = jax.Array
LEAST = 8  # pixels a side
# Deviation in pixels of the Gaussian behind the regression, which the paper
# does not have: without it basins are many and arcs ragged. Boundary ODS of
# hierarchies on the 25 pictures of `weights`: 0 .726, .7 .733, 1 .737, 1.2
# .736, 1.6 .719.
SMOOTH = 1.0


def check(image: np.ndarray) -> np.ndarray:
  """A picture as float32 (h, w, 3) in [0, 1].

  Raises:
    UserError: another shape or kind, or too small for a disc.
  """
  image = np.asarray(image)
  if image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < LEAST:
    raise types.UserError(
      f"a picture of shape {image.shape} was given; expected (height, width,"
      f" 3), RGB, both sides at least {LEAST} pixels."
    )
  if image.dtype == np.uint8:
    return image.astype(np.float32) / 255
  if image.dtype.kind != "f" or not np.isfinite(image).all():
    raise types.UserError(
      f"a picture of {image.dtype} was given; expected bytes, or finite floats"
      " in [0, 1]."
    )
  return image.astype(np.float32)


def features(
  image: np.ndarray,
  *,
  shrink: bool = True,
  solve: spectral.Solver | None = None,
) -> tuple[np.ndarray, np.ndarray]:
  """The cues (12, h, w, 8) and sPb (h, w, 8) of a picture.

  A picture that is higher than wide is turned for it, and the answer turned
  back: nothing is compiled twice.

  Args:
    image: (h, w, 3) uint8, or float in [0, 1].
    shrink: eigenvectors at half the size.
    solve: see `spectral.spectral`.
  """
  image = check(image)
  upright = image.shape[0] > image.shape[1]
  if upright:
    image = np.ascontiguousarray(np.rot90(image))
  local = cues.gradients(image)
  thin = lines(cues.combine(local, weights.MPB))
  local = np.asarray(local)
  mpb = logistic(thin, weights.MPB_OFFSET)
  far = spectral.spectral(mpb, shrink=shrink, solve=solve)
  if upright:
    local, far = _back(local, 1), _back(far, 0)
  return local, far


def _back(values: np.ndarray, axis: int) -> np.ndarray:
  """Turned back by 90 degrees, (..., h, w, n) from `axis`; orientations too."""
  turned = np.rot90(values, -1, axes=(axis, axis + 1))
  n = values.shape[-1]
  return np.roll(turned, n // 2, axis=-1)


def gpb(
  image: np.ndarray,
  *,
  shrink: bool = True,
  solve: spectral.Solver | None = None,
) -> np.ndarray:
  """float32 (h, w, 8) in [0, 1]: the probability of a boundary.

  Args:
    image, shrink, solve: see `features`.
  """
  sums = weights.total(*features(image, shrink=shrink, solve=solve))
  p = logistic(sums, weights.OFFSET)
  return ndimage.gaussian_filter(p, (SMOOTH, SMOOTH, 0))


def logistic(sums: np.ndarray, offset: float) -> np.ndarray:
  """1 / (1 + exp(-(x + offset))), stretched so that x = 0 gives 0."""
  low = np.float32(1 / (1 + np.exp(-offset)))
  p = 1 / (1 + np.exp(-(sums + np.float32(offset))))
  return np.clip((p - low) / (1 - low), 0, 1).astype(np.float32)


@jax.jit
def _lines(boundary: Array) -> Array:
  return nms.suppress(jnp.asarray(boundary, jnp.float32))


def lines(boundary: np.ndarray) -> np.ndarray:
  """float32 (h, w): thin lines of (h, w, n); see `nms`."""
  return np.asarray(_lines(boundary))
