"""How often a data set has each colour: the prior of colorization.

Zhang, Isola, Efros 2016 (arXiv:1603.08511), section 2.2. Writes a text file of
one frequency a line, in the order of ops.color_bins.gamut_bins, smoothed:

  python -m jaxseg.data.colors --dataset=scenes --data_dir=DIR --out=prior.txt

and --config.task.prior=prior.txt reads it.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Iterable

import numpy as np

from jaxseg import compiling
from jaxseg.data import decode, sources
from jaxseg.data.datasets import DATASETS
from jaxseg.ops import color, color_bins
from jaxseg.types import UserError

STEP = 4  # pixels between those that are counted, in both directions


def count(images: Iterable[np.ndarray], bins: np.ndarray) -> np.ndarray:
  """(Q,) pixels by their nearest bin, of every fourth row and column.

  Args:
    images: uint8 (h, w, 3).
    bins: (Q, 2).
  """

  @compiling.jit
  def nearest(pixels):
    ab = color.rgb_to_lab(pixels / np.float32(255))[..., 1:]
    return color_bins.soft_encode(ab, bins, 1)[0]

  counts = np.zeros(len(bins), np.int64)
  for image in images:
    index = np.asarray(nearest(image[::STEP, ::STEP])).reshape(-1)
    counts += np.bincount(index, minlength=len(bins))
  return counts


def prior(dataset: str, data_dir: str | None, grid: float = 10.0) -> np.ndarray:
  """(Q,) smoothed frequencies of the colours of a training split.

  Raises:
    UserError: the data set is not known or not there.
  """
  if dataset not in DATASETS:
    raise UserError(
      f"--dataset={dataset} is not known: expected one of "
      f"{', '.join(DATASETS)}."
    )
  spec = DATASETS[dataset]
  source = sources.open_source(spec, "train", data_dir, ("image",))
  decoder = decode.decoder_of(spec)

  def image(index):
    return decoder(source[index], lambda: source.name_of(index))["image"]

  bins = color_bins.gamut_bins(grid)
  counts = count((image(i) for i in range(len(source))), bins)
  return color_bins.smooth_prior(counts, bins)


def read_prior(path: str, key: str) -> tuple[float, ...]:
  """What `main` wrote: a number a line; `key` names it in the UserError."""
  try:
    with open(path) as f:
      return tuple(float(line) for line in f.read().split())
  except (OSError, ValueError) as e:
    raise UserError(
      f"{key} = {path!r} cannot be read ({e}): expected a text file with one "
      "number a line."
    ) from e


def main(argv: list[str]) -> int:
  """The command line; returns the exit status."""
  parser = argparse.ArgumentParser(
    prog="python -m jaxseg.data.colors", description=__doc__.split("\n")[0]
  )
  parser.add_argument("--dataset", required=True)
  parser.add_argument("--data_dir", default=None)
  parser.add_argument("--grid", type=float, default=10.0)
  parser.add_argument("--out", required=True)
  options = parser.parse_args(argv)
  try:
    values = prior(options.dataset, options.data_dir, options.grid)
    pathlib.Path(options.out).write_text("".join(f"{p:.9g}\n" for p in values))
  except OSError as e:
    print(
      f"error: --out={options.out} cannot be written ({e.strerror}): choose "
      "another.",
      file=sys.stderr,
    )
    return 2
  except UserError as e:
    print(f"error: {e}", file=sys.stderr)
    return 2
  print(f"{options.out}: {len(values)} bins")
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
