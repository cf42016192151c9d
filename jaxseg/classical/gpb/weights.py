"""How the cues are weighed."""

from __future__ import annotations

import numpy as np

# mPb, for the affinities: published with the paper's code, brightness, a, b and
# texture, three discs each.
MPB = np.array(
  [
    [0.0146, 0.0145, 0.0163],
    [0.0210, 0.0243, 0.0287],
    [0.0166, 0.0185, 0.0204],
    [0.0101, 0.0111, 0.0141],
  ],
  np.float32,
).ravel()
MPB_SCALE = 1.2
LOCAL = 20 * MPB
SPECTRAL = 0.2
OFFSET = -3.0
