"""Where windows lie along an axis of an image, and what a pixel takes of each.

NumPy only: a program that serves an artifact lays its windows by this too, so
that it predicts what evaluation predicted.
"""

from __future__ import annotations

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Axis:
  """The windows along one axis of an image of n pixels.

  Attributes:
    n: pixels of the image.
    starts: (k,) int; first pixel of each window's answer, ascending; what lies
      outside [0, n) is mirrored.
    weights: (k, window) float32; at a pixel those of its windows sum to one.
    margin: pixels that a window reads beyond its answer, at either end.
  """

  n: int
  starts: np.ndarray
  weights: np.ndarray
  margin: int = 0

  @property
  def window(self) -> int:
    """Pixels that a window answers for."""
    return self.weights.shape[1]

  def reads(self, k: int) -> np.ndarray:
    """(window + 2 margin,) pixels of the image that window k looks at."""
    first = int(self.starts[k]) - self.margin
    return mirrored(first + np.arange(self.window + 2 * self.margin), self.n)

  def final(self, k: int) -> tuple[int, int]:
    """Pixels [from, to) of the image of which window k is the last."""
    more = k + 1 < len(self.starts)
    start = max(int(self.starts[k]), 0)
    return start, int(self.starts[k + 1]) if more else self.n


def blended(n: int, window: int, overlap: float) -> Axis:
  """Windows whose answers fade into each other; see `windows.sliding_window`.

  An image smaller than a window lies in its middle and is mirrored around.
  """
  starts, weights = window_plan(max(n, window), window, overlap)
  return Axis(n, starts - max(window - n, 0) // 2, weights)


def side_by_side(n: int, tile: int, margin: int, stride: int = 1) -> Axis:
  """Tiles that read a margin more than they answer; see `overlap_tile`.

  They lie a multiple of `stride` apart, and where two answer, the later does.
  """
  step = tile // stride * stride
  count = -(-max(n - tile, 0) // step) + 1
  weights = np.zeros((count, tile), np.float32)
  weights[:, :step] = 1
  weights[-1] = 1
  return Axis(n, np.arange(count) * step, weights, margin)


def window_plan(
  n: int, window: int, overlap: float
) -> tuple[np.ndarray, np.ndarray]:
  """Starts (k,) int32 and weights (k, window) float32 along one axis.

  At each of the n >= window pixels the weights of the windows over it sum to
  one.
  """
  step = max(1, round(window * (1 - overlap)))
  count = -(-(n - window) // step) + 1
  starts = np.minimum(np.arange(count) * step, n - window)
  ramp = np.arange(window)
  tent = np.minimum(ramp + 1, window - ramp).astype(np.float64)
  total = np.zeros(n)
  for start in starts:
    total[start : start + window] += tent
  at = starts[:, None] + ramp
  return starts.astype(np.int32), (tent / total[at]).astype(np.float32)


def mirrored(index: np.ndarray, n: int) -> np.ndarray:
  """Any integers to [0, n), mirrored at the centre of the border pixels.

  As NumPy's pad 'reflect', which for one pixel repeats it.
  """
  period = max(2 * (n - 1), 1)
  index = np.asarray(index) % period
  return np.minimum(index, period - index) if n > 1 else index * 0
