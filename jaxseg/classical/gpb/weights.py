"""How the cues are weighed: logistic regressions on people's boundaries.

Learned on pictures of BSDS500's train split by `python -m
benchmarks.gpb_weights`: of the pixels on ridges of the strongest orientation,
6,000 a picture, the truth is the share of people who drew a boundary within two
pixels; weights are at least 0. The first regression, mPb, has the twelve local
gradients and is what the affinities are made of; gPb has sPb as well.

The weights that the paper publishes belong to gradients of another scale (mPb
of ours would not exceed 0.16 with them), and make eigenvectors that see little.
"""

from __future__ import annotations

import numpy as np

# In the order of cues.NAMES. Six pictures: every 25th of train, from the first.
MPB = np.array(
  [
    [2.5801, 0.0, 0.6214],  # brightness: 3, 5, 10 pixels
    [0.6628, 3.4406, 0.7013],  # a: 5, 10, 20
    [1.7169, 0.0, 0.6105],  # b
    [0.9296, 0.9759, 2.9004],  # texture
  ],
  np.float32,
).ravel()
MPB_OFFSET = -5.80
GPB = MPB
SPECTRAL = 0.2
OFFSET = -5.80
