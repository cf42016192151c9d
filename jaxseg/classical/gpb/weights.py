"""How the cues are weighed: logistic regressions on people's boundaries.

Learned on 25 pictures of BSDS500's train split, mPb on 17 of them, by `python
-m benchmarks.gpb_weights --every=8`: of the pixels on ridges of the strongest
orientation, 6,000 a picture, the truth is the share of people who drew a
boundary within two pixels; weights are at least 0. mPb is a sum of the twelve
local gradients, and the affinities are made of it.

Differs from the paper in gPb, which sums the gradients themselves and sPb.
Gradients of chi^2 are squares of distances; their roots tell more (of three
thirds, each held out in turn, the cross-entropy is .216 in place of .227 with
sPb and .238 without). sPb has a long tail, 30 where its median is .4, for which
a regression gives it no weight; its logarithm (`tamed`) has one of the largest.
On the 25 pictures, the weights learned on two thirds and judged on the third,
hierarchies have a boundary ODS of .726 (before they are smoothed); weights of
six pictures, of the gradients themselves and without sPb, have .686.

The weights that the paper publishes belong to gradients of another scale (mPb
of ours would not exceed 0.16 with them), and make eigenvectors that see little.
"""

from __future__ import annotations

import numpy as np

# In the order of cues.NAMES.
MPB = np.array(
  [
    [2.9619, 1.0660, 0.5887],  # brightness: 3, 5, 10 pixels
    [1.1529, 1.0719, 1.4939],  # a: 5, 10, 20
    [0.0936, 0.6715, 2.2383],  # b
    [0.6047, 0.6963, 1.6355],  # texture
  ],
  np.float32,
).ravel()
MPB_OFFSET = -5.035
# Of the roots, in the same order.
GPB = np.array(
  [
    [2.3453, 0.0766, 0.0],
    [1.0993, 0.2687, 0.0],
    [0.2991, 0.7222, 0.7118],
    [0.3441, 0.6815, 2.8184],
  ],
  np.float32,
).ravel()
SPECTRAL = 0.5327
OFFSET = -7.134
TAIL = 4.0


def roots(local: np.ndarray) -> np.ndarray:
  """Of gradients: float32, at least 0."""
  return np.sqrt(np.maximum(local, 0)).astype(np.float32)


def tamed(far: np.ndarray) -> np.ndarray:
  """log(1 + TAIL sPb), float32."""
  return np.log1p(np.float32(TAIL) * far)


def total(local: np.ndarray, far: np.ndarray) -> np.ndarray:
  """The weighted sum, without the offset: float32 (h, w, n).

  Args:
    local: (12, h, w, n), gradients in the order of cues.NAMES.
    far: (h, w, n), sPb.
  """
  return np.tensordot(GPB, roots(local), 1) + np.float32(SPECTRAL) * tamed(far)
