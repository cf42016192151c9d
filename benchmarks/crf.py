"""The fully connected CRF on a photograph: time, and distance to all pairs.

python -m benchmarks.crf [--rounds=5] [--out=FILE]

Time: 5 iterations on 375x500 pixels with 21 labels, the lattice built anew,
compilation apart. Distance: Q by the lattice and by all pairs of pixels, on
the photograph at 80x120. Wants scikit-learn, which carries the photograph.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import statistics
import sys
import time

import cv2
import jax
import numpy as np
from sklearn import datasets

from benchmarks import report
from jaxseg.classical.crf import dense

LABELS = 21


def photograph(height: int, width: int) -> np.ndarray:
  """float32 (1, height, width, 3) in [0, 1]."""
  image = datasets.load_sample_image("china.jpg")
  image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
  return (image / 255).astype(np.float32)[None]


def scores(height: int, width: int) -> np.ndarray:
  """Noise in blocks and in pixels, float32 (1, height, width, LABELS)."""
  rng = np.random.default_rng(0)
  blocks = rng.normal(size=(1, -(-height // 8), -(-width // 8), LABELS))
  blocks = blocks.repeat(8, 1).repeat(8, 2)[:, :height, :width]
  return (blocks + rng.normal(size=blocks.shape)).astype(np.float32)


def run(options: dense.DenseOptions, height: int, width: int, rounds: int):
  """Seconds to compile, seconds of each round, Q."""
  inputs = scores(height, width), photograph(height, width)
  began = time.perf_counter()
  call = jax.jit(lambda x, i: dense.refine(x, i, options))
  compiled = call.lower(*inputs).compile()
  compiling, seconds = time.perf_counter() - began, []
  for _ in range(rounds + 1):  # the first touches fresh memory
    began = time.perf_counter()
    q = jax.block_until_ready(compiled(*inputs))
    seconds.append(time.perf_counter() - began)
  return compiling, seconds[1:], np.asarray(q)


def main() -> int:
  """Prints two lines and writes JSON."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--out", default="")
  flags = parser.parse_args()
  options = dense.DenseOptions()
  load = os.getloadavg()[0]
  compiling, seconds, _ = run(options, 375, 500, flags.rounds)
  near = run(options, 80, 120, 1)[2]
  exact = run(dataclasses.replace(options, filter="exact"), 80, 120, 1)[2]
  found = {
    "load_before": load,
    "options": dataclasses.asdict(options),
    "labels": LABELS,
    "compile_seconds": compiling,
    "seconds": seconds,
    "median_seconds": statistics.median(seconds),
    "mean_difference_of_q": float(np.abs(near - exact).mean()),
    "same_label": float((near.argmax(-1) == exact.argmax(-1)).mean()),
  }
  print(
    f"{options.iterations} iterations, 375x500, {LABELS} labels: median "
    f"{found['median_seconds']:.2f} s, compiled in {compiling:.1f} s"
  )
  print(
    f"lattice against all pairs: |dQ| {found['mean_difference_of_q']:.4f}, "
    f"{found['same_label']:.1%} of the labels"
  )
  report.write(flags.out, "crf", **found)
  return 0


if __name__ == "__main__":
  sys.exit(main())
