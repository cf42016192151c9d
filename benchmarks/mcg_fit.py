"""Learns what MCG has to know: python -m benchmarks.mcg_fit --data_dir=DATA.

On every `--every`-th picture of BSDS500's train split, in three steps, for MCG
and for SCG: the weights of the scales, by which a boundary between two leaves
says how many people drew it (least squares, none below 0); the lengths of the
lists, from the Pareto front of the number of proposals and the mean best
overlap with the regions that people drew; and one forest for both, which says a
proposal's best overlap from its features. Prints what
jaxseg/classical/mcg/weights.py holds and writes the forest beside it.

gPb takes a minute a picture: --cache=DIR keeps it. Wants scikit-learn.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
from scipy import ndimage, optimize

from jaxseg.classical import owt, partition, ucm
from jaxseg.classical.mcg import (
  features,
  forest,
  grouping,
  multiscale,
  pareto,
  proposals,
  pyramid,
)
from jaxseg.data import several, sources
from jaxseg.data.datasets import DATASETS
from jaxseg.metrics import proposals as metric

NEAR = 2.0  # pixels, of a person's boundary
SMALLEST = 100  # pixels of a region that is to be found
LENGTHS = (25, 50, 100, 200, 400, 800, 1600)
VARIANTS = (pyramid.SCALES, (1.0,))


def trees_of(image, name, cache):
  """{scale: hierarchy}, of boundary maps that may have been kept."""
  out = {}
  for scale in pyramid.SCALES:
    path = cache and pathlib.Path(cache, f"{name}_{scale}.npy")
    if path and path.exists():
      found = np.load(path)
    else:
      found = pyramid.boundary(image, scale)
      if path:
        np.save(path, found)
    out[scale] = ucm.merge(owt.transform(found))
  return out


def drawn(tree, boundaries):
  """Of each pair of leaves: the share of people who drew a line there, and its
  length."""
  away = [ndimage.distance_transform_edt(~one) for one in boundaries]
  share = (np.stack(away) <= NEAR).mean(0).ravel()
  p, q = partition.neighbours(tree.leaves.shape)
  a, b = tree.leaves.ravel()[p], tree.leaves.ravel()[q]
  p, a, b = p[a != b], a[a != b], b[a != b]
  key = np.minimum(a, b) * np.int64(tree.count) + np.maximum(a, b)
  _, which, length = np.unique(key, return_inverse=True, return_counts=True)
  return np.bincount(which, share[p]) / length, length


def mix_of(pictures, scales):
  """Weights of the scales, adding up to 1."""
  x, y = [], []
  for trees, example in pictures:
    made = multiscale.combine(
      [trees[s] for s in scales], example["image"].shape[:2], [1] * len(scales)
    )
    share, length = drawn(made.scales[0], example["boundaries"])
    heights = np.stack([tree.heights for tree in made.scales], -1)
    x.append(heights * np.sqrt(length)[:, None])
    y.append(share * np.sqrt(length))
  found = optimize.nnls(np.concatenate(x), np.concatenate(y))[0]
  return tuple((found / found.sum()).round(3).tolist())


def mixed(pictures, scales, mix):
  """(hierarchies, pixels of people's regions by leaf) of each picture."""
  for trees, example in pictures:
    shape = example["image"].shape[:2]
    made = multiscale.combine([trees[s] for s in scales], shape, mix)
    leaves = made.tree.leaves
    yield made, metric.by_leaf(example["regions"], leaves, SMALLEST)


def counts_of(pictures, scales, mix, count):
  """Lengths of the lists, of each hierarchy; prints some of the front."""
  bests = None
  for made, table in mixed(pictures, scales, mix):
    area = grouping.areas(made.tree.leaves)
    found = []
    for tree in made.every:
      longest = (LENGTHS[-1],) * grouping.MOST
      for nodes in grouping.tuples(tree, tree.pairs, longest):
        rows = grouping.members(tree, nodes)
        overlap = metric.jaccard_by_leaf(table, area, rows)
        classes = np.zeros(len(table))
        found.append(metric.bests_of(overlap, classes, LENGTHS).overlap)
    bests = (
      found if bests is None else list(map(np.concatenate, zip(bests, found)))
    )
  front = pareto.choose(bests, [LENGTHS] * len(bests))
  for choice in front[:: max(len(front) // 8, 1)]:
    print(f"  {choice.count} proposals: {choice.quality:.3f}")
  at = np.abs(np.array([c.count for c in front]) - count).argmin()
  print(f"  taken: {front[at].count}, {front[at].quality:.3f}")
  lengths = np.array(front[at].lengths).reshape(-1, grouping.MOST)
  return tuple(map(tuple, lengths.tolist()))


def examples_of(pictures, scales, mix, counts):
  """Features and best overlaps of all candidates."""
  x, y = [], []
  for made, table in mixed(pictures, scales, mix):
    rows = proposals.candidates(made, counts)
    x.append(features.features(rows, made.tree))
    area = grouping.areas(made.tree.leaves)
    y.append(metric.jaccard_by_leaf(table, area, rows).max(0))
  return np.concatenate(x), np.concatenate(y)


def main():
  """The command line."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--data_dir", default=None)
  parser.add_argument("--every", type=int, default=20)
  parser.add_argument("--cache", default=None)
  parser.add_argument("--proposals", type=int, default=3000)
  parser.add_argument("--out", default=str(forest.SHIPPED))
  options = parser.parse_args()
  source = sources.open_source(
    DATASETS["bsds500"], "train", options.data_dir, several.KEYS
  )
  pictures = []
  for i in range(0, len(source), options.every):
    example = several.decode(source[i], source.name_of(i))
    trees = trees_of(example["image"], f"train_{i}", options.cache)
    pictures.append((trees, example))
    print(source.name_of(i), flush=True)
  x, y = [], []
  for scales in VARIANTS:
    mix = mix_of(pictures, scales)
    print(f"{scales}: MIX {mix}", flush=True)
    counts = counts_of(pictures, scales, mix, options.proposals)
    print(f"{scales}: COUNTS {counts}", flush=True)
    for whole, part in zip((x, y), examples_of(pictures, scales, mix, counts)):
      whole.append(part)
  x, y = np.concatenate(x), np.concatenate(y)
  made = forest.fit(x, y)
  print(f"{len(y)} proposals; overlap {y.mean():.3f}, deviation {y.std():.3f}")
  forest.save(made, options.out)


if __name__ == "__main__":
  main()
