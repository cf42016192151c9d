"""Learns the weights of gPb: python -m benchmarks.gpb_weights --data_dir=DATA.

On every `--every`-th picture of BSDS500's train split; prints what
jaxseg/classical/gpb/weights.py holds. What mPb has there makes the affinities:
after a change of MPB run it again for the rest.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import ndimage, optimize

from jaxseg.classical.gpb import cues, pipeline, weights
from jaxseg.data import several, sources
from jaxseg.data.datasets import DATASETS

LOCAL = len(cues.NAMES)
PIXELS = 6000  # of a picture
NEAR = 2.0  # pixels
DECAY = 1e-3  # of weights of features of deviation 1


def sample(example, rng):
  """Features (n, 25) and the share of people (n,) at pixels on ridges.

  The gradients, their roots, sPb tamed.
  """
  local, far = pipeline.features(example["image"])
  sums = np.tensordot(weights.MPB, local, 1)
  strongest = sums.max(-1)
  ridge = strongest >= 0.95 * ndimage.maximum_filter(strongest, 3)
  at = rng.permutation(np.flatnonzero(ridge))[:PIXELS]
  every = np.concatenate(
    [local, weights.roots(local), weights.tamed(far)[None]]
  )
  which = sums.argmax(-1)[None, ..., None]
  x = np.take_along_axis(every, which, -1)[..., 0].reshape(len(every), -1)
  away = [ndimage.distance_transform_edt(~one) for one in example["boundaries"]]
  y = (np.stack(away) <= NEAR).mean(0).ravel()
  return x[:, at].T, y[at]


def fit(x, y):
  """Weights of at least 0, offset, loss."""
  scale = x.std(0)
  z = x / scale

  def loss(w):
    sums = z @ w[:-1] + w[-1]
    p = 1 / (1 + np.exp(-sums))
    value = np.mean(np.logaddexp(0, sums) - y * sums)
    slope = (p - y) / len(y)
    return value + DECAY * np.sum(w[:-1] ** 2), np.append(
      z.T @ slope + 2 * DECAY * w[:-1], slope.sum()
    )

  found = optimize.minimize(
    loss,
    np.append(np.full(x.shape[1], 0.1), -2.0),
    jac=True,
    method="L-BFGS-B",
    bounds=[(0, None)] * x.shape[1] + [(None, None)],
  )
  return found.x[:-1] / scale, found.x[-1], found.fun


def report(name, x, y):
  """Prints a regression."""
  w, offset, loss = fit(x, y)
  print(f"{name}: offset {offset:.3f}, loss {loss:.5f}, {len(y)} pixels")
  for feature, value in zip((*cues.NAMES, "spectral"), w):
    print(f"  {feature:10s} {value:.4f}")


def main():
  """The command line."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--data_dir", default=None)
  parser.add_argument("--every", type=int, default=10)
  options = parser.parse_args()
  source = sources.open_source(
    DATASETS["bsds500"], "train", options.data_dir, several.KEYS
  )
  rng = np.random.default_rng(0)
  found = []
  for i in range(0, len(source), options.every):
    found.append(sample(several.decode(source[i], source.name_of(i)), rng))
    x, y = (np.concatenate(part) for part in zip(*found))
    print(f"{source.name_of(i)}, {len(found)} pictures", flush=True)
    if len(found) >= 4:
      report("mpb", x[:, :LOCAL], y)
      report("gpb, of roots", x[:, LOCAL:], y)


if __name__ == "__main__":
  main()
