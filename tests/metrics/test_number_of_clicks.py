"""NoC by hand, and IoU by counting."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.metrics.number_of_clicks import iou, number_of_clicks
from jaxseg.types import IGNORE


def test_number_of_clicks_by_hand():
  ious = np.array(
    [
      [0.2, 0.86, 0.91, 0.95],  # 2 and 3
      [0.9, 0.1, 0.2, 0.3],  # 1 and 1: the first time counts
      [0.1, 0.2, 0.86, 0.89],  # 3, and never: 4
      [0.1, 0.1, 0.1, 0.1],  # never: 4 and 4
      [1.0, 1.0, 1.0, 1.0],  # no object
      [1.0, 1.0, 1.0, 1.0],  # no example
    ],
    np.float32,
  )
  target = np.zeros((6, 2, 2), np.int32)
  target[4] = IGNORE
  mask = np.array([1, 1, 1, 1, 1, 0], bool)
  metric = number_of_clicks(4)
  update = jax.jit(metric.update)
  batch = {"target": jnp.asarray(target), "_mask": jnp.asarray(mask)}
  result = metric.result(update(metric.init(), {"iou": ious}, batch))
  assert result == pytest.approx(
    {
      "noc85": 10 / 4,
      "noc90": 12 / 4,
      "failed85": 1 / 4,
      "failed90": 2 / 4,
      "iou_1": 1.3 / 4,
      "iou_2": 1.26 / 4,
      "iou_3": 2.07 / 4,
      "iou_4": 2.24 / 4,
      "objects": 4,
    }
  )
  state = metric.init()
  for i in range(6):
    rows = {k: v[i : i + 1] for k, v in batch.items()}
    state = update(state, {"iou": ious[i : i + 1]}, rows)
  assert metric.result(state) == pytest.approx(result, rel=1e-6)
  nothing = metric.result(metric.init())
  assert np.isnan(nothing["noc85"])
  assert nothing["objects"] == 0


def test_iou_counts_pixels_and_leaves_ignored_ones_out():
  rng = np.random.default_rng(0)
  target = rng.choice([0, 1, IGNORE], (5, 6, 7))
  pred = rng.integers(0, 2, (5, 6, 7))
  target[3], pred[3] = 0, 0
  got = iou(jnp.asarray(pred), jnp.asarray(target))
  for i in range(5):
    pairs = [
      (p == 1, t == 1)
      for p, t in zip(pred[i].flat, target[i].flat)
      if t != IGNORE
    ]
    both = sum(p and t for p, t in pairs)
    either = sum(p or t for p, t in pairs)
    assert got[i] == pytest.approx(both / either if either else 1.0)
