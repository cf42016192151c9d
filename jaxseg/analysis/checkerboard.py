"""How evenly a transposed convolution paints (Odena, Dumoulin, Olah 2016,
doi:10.23915/distill.00003)."""

from __future__ import annotations

import numpy as np


def coverage(n: int, kernel: int, stride: int) -> np.ndarray:
  """How many of n pixels reach each output pixel along one axis.

  Ones convolved with ones, no padding: int (n - 1) * stride + kernel. Inside
  it is uniform if and only if the stride divides the kernel.
  """
  out = np.zeros((n - 1) * stride + kernel, np.int64)
  for i in range(n):
    out[i * stride : i * stride + kernel] += 1
  return out


def period_energy(y: np.ndarray, period: int) -> float:
  """Share of the energy of a map that repeats with `period` along its rows.

  The power of the harmonics of 1 / period in the spectrum of (h, w), mean
  removed, over all power, over what white noise would have there: 1 for noise,
  much more for a checkerboard. The width has to be a multiple of `period`.
  """
  w = y.shape[-1]
  if w % period:
    raise ValueError(f"width {w} is not a multiple of the period {period}.")
  power = np.abs(np.fft.fft(y - y.mean(), axis=-1)) ** 2
  power = power.reshape(-1, w).sum(0)
  peaks = np.arange(1, period) * (w // period)
  return float(power[peaks].mean() / power[1:].mean())
