"""SLIC beside scikit-image's: how many superpixels, and how long it takes.

python -m benchmarks.superpixels IMAGE ... [--rounds=5]

For each picture, stretched to [0, 1], and each of 100, 200, 400 asked for: both
counts, and the medians of the times of both, in turns; compilation apart.
"""

from __future__ import annotations

import argparse
import statistics
import time

import cv2
import numpy as np
from skimage import segmentation

from jaxseg.classical import slic


def seconds(*calls, rounds: int) -> list[float]:
  """Median time of each, in turns, after one call of each."""
  spent = [[] for _ in calls]
  for i in range(rounds + 1):
    for call, times in zip(calls, spent):
      began = time.perf_counter()
      call()
      if i:
        times.append(time.perf_counter() - began)
  return [statistics.median(times) for times in spent]


def main() -> int:
  """Prints a line for each picture and number."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("images", nargs="+")
  parser.add_argument("--rounds", type=int, default=5)
  flags = parser.parse_args()
  cv2.setNumThreads(1)
  for path in flags.images:
    image = cv2.imread(path)
    if image is None:
      parser.error(f"{path} is not a picture; expected JPEG or PNG files.")
    image = image[..., ::-1].astype(np.float32)
    image = (image - image.min()) / max(float(np.ptp(image)), 1.0)
    for asked in (100, 200, 400):
      calls = [
        lambda x=image, n=asked: segmentation.slic(x, n, start_label=0),
        lambda x=image, n=asked: slic.slic(x, n),
      ]
      theirs, ours = (len(np.unique(call())) for call in calls)
      times = seconds(*calls, rounds=flags.rounds)
      print(
        f"{path} {image.shape[0]}x{image.shape[1]} {asked}: scikit-image"
        f" {theirs}, {times[0]:.3f} s; ours {ours}"
        f" ({100 * (ours / theirs - 1):+.1f}%), {times[1]:.3f} s",
        flush=True,
      )
  return 0


if __name__ == "__main__":
  raise SystemExit(main())
