"""How the cues are weighed: logistic regressions on people's boundaries.

Learned on pictures of BSDS500's train split by `python -m
benchmarks.gpb_weights --every=25`, after six of them: of the pixels on ridges
of the strongest orientation, 6,000 a picture, the truth is the share of people
who drew a boundary within two pixels; weights are at least 0. mPb has the
twelve local gradients, and the affinities are made of it. gPb has the same
weights and sPb's: the regression gives sPb none (why is not known: its tail is
heavy), and yet hierarchies are better with it, so that SPECTRAL is set by hand.

The weights that the paper publishes belong to gradients of another scale (mPb
of ours would not exceed 0.16 with them), and make eigenvectors that see little.
"""

from __future__ import annotations

import numpy as np

# In the order of cues.NAMES.
MPB = np.array(
  [
    [2.7774, 0.0, 0.8539],  # brightness: 3, 5, 10 pixels
    [2.6101, 1.7955, 0.7802],  # a: 5, 10, 20
    [2.4894, 0.0, 0.0899],  # b
    [0.9067, 0.0285, 3.5835],  # texture
  ],
  np.float32,
).ravel()
MPB_OFFSET = -5.724
GPB = MPB
# By hand, of 0, 0.15 and 0.4, on two pictures of val (19021, 42049): boundary
# ODS of the hierarchies 0.746, 0.797, 0.759.
SPECTRAL = 0.15
OFFSET = MPB_OFFSET
