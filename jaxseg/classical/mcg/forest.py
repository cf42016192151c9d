"""A random forest that says how well a proposal fits an object.

Breiman, "Random forests", 2001: the mean of many regression trees. Trees are
grown by scikit-learn (`pip install jaxseg[proposals]`), for that is a craft of
its own; what was grown is a few arrays and is read by NumPy alone.
"""

from __future__ import annotations

import functools
import os
import pathlib
from typing import NamedTuple

import numpy as np

from jaxseg import types

SHIPPED = pathlib.Path(__file__).with_name("forest.npz")


class Forest(NamedTuple):
  """Trees one behind another; a node is a row.

  Attributes:
    roots: int32 (trees,).
    feature: int16 (nodes,), what is asked; -1 at the end of a branch.
    threshold: float64 (nodes,): to the left where the feature is at most this.
    left, right: int32 (nodes,), where to go.
    value: float32 (nodes,), the answer at the end.
  """

  roots: np.ndarray
  feature: np.ndarray
  threshold: np.ndarray
  left: np.ndarray
  right: np.ndarray
  value: np.ndarray


def predict(forest: Forest, x: np.ndarray) -> np.ndarray:
  """float32 (count,): the mean of the trees' answers.

  Args:
    forest: as it was fitted.
    x: (count, features), seen as float32.
  """
  x = np.asarray(x, np.float32)
  at = np.repeat(forest.roots[None], len(x), 0)  # (count, trees)
  row = np.arange(len(x))[:, None]
  while True:
    feature = forest.feature[at]
    if (feature < 0).all():
      return forest.value[at].mean(1, dtype=np.float64).astype(np.float32)
    left = x[row, np.maximum(feature, 0)] <= forest.threshold[at]
    there = np.where(left, forest.left[at], forest.right[at])
    at = np.where(feature < 0, at, there)


def fit(
  x: np.ndarray,
  y: np.ndarray,
  *,
  trees: int = 32,
  leaves: int = 128,
  smallest: int = 20,
  seed: int = 0,
) -> Forest:
  """Grown on features (count, f) and overlaps (count,).

  Args:
    x: features.
    y: what they are to say.
    trees: how many.
    leaves: ends of a tree, at most.
    smallest: examples at an end, at least.
    seed: of the examples and features that each tree sees.

  Raises:
    UserError: scikit-learn is not installed.
  """
  try:
    from sklearn import ensemble
  except ImportError as e:
    raise types.UserError(
      "growing a forest needs scikit-learn, which is not installed: pip install"
      " jaxseg[proposals]; the forest that is shipped is used without it."
    ) from e
  grown = ensemble.RandomForestRegressor(
    trees,
    max_leaf_nodes=leaves,
    min_samples_leaf=smallest,
    max_features=1 / 3,
    random_state=seed,
  ).fit(np.asarray(x, np.float32), y)
  parts = [tree.tree_ for tree in grown.estimators_]
  roots = np.cumsum([0, *(p.node_count for p in parts[:-1])])
  inner = [p.children_left >= 0 for p in parts]

  def joined(field, kind, ends=0):
    values = [
      np.where(m, getattr(p, field).reshape(-1), ends)
      for m, p in zip(inner, parts)
    ]
    return np.concatenate(values).astype(kind)

  shift = np.repeat(roots, [p.node_count for p in parts])
  return Forest(
    roots.astype(np.int32),
    joined("feature", np.int16, -1),
    joined("threshold", np.float64),
    (joined("children_left", np.int32) + shift).astype(np.int32),
    (joined("children_right", np.int32) + shift).astype(np.int32),
    np.concatenate([p.value.reshape(-1) for p in parts]).astype(np.float32),
  )


def save(forest: Forest, path: str | os.PathLike) -> None:
  """Writes a .npz file."""
  np.savez_compressed(path, **forest._asdict())


def load(path: str | os.PathLike) -> Forest:
  """Reads what `save` wrote.

  Raises:
    UserError: no such file, or another one.
  """
  try:
    with np.load(path, allow_pickle=False) as found:
      return Forest(*(found[name] for name in Forest._fields))
  except (OSError, ValueError, KeyError) as e:
    raise types.UserError(
      f"{path} cannot be read as a forest ({e}); expected a file that"
      " `python -m benchmarks.mcg_fit` wrote."
    ) from e


@functools.cache
def shipped() -> Forest:
  """The forest that comes with the library."""
  return load(SHIPPED)
