"""Metrics of normals: the golden, the median's resolution, garbage."""

import jax
import numpy as np
import pytest

from jaxseg import metrics
from jaxseg.metrics.normals import WIDTH


def at(degrees):
  """Unit vectors (1, 1, n, 3) at these angles from the viewer's."""
  a = np.deg2rad(degrees)
  v = np.stack([np.sin(a), np.zeros_like(a), -np.cos(a)], -1)
  return v.astype(np.float32)[None, None]


def run(true, pred, mask=None, parts=1):
  metric = metrics.normals()
  update = jax.jit(metric.update)
  state = metric.init()
  for a, b in zip(
    np.array_split(true, parts, 2), np.array_split(pred, parts, 2)
  ):
    batch = {"normal": a} if mask is None else {"normal": a, "_mask": mask}
    state = update(state, {"normal": b}, batch)
  return metric.result(jax.device_get(state))


def test_golden():
  got = run(at([0, 0, 0]), at([0, 10, 40]))
  want = {
    "mean_deg": 50 / 3,
    "median_deg": 10.0,
    "rmse_deg": np.sqrt(1700 / 3),
    "within_11.25": 2 / 3,
    "within_22.5": 2 / 3,
    "within_30": 2 / 3,
    "pixels": 3,
  }
  assert set(got) == set(want)
  for name, number in want.items():
    slack = 0.51 * WIDTH if name == "median_deg" else 1e-5 * number
    assert got[name] == pytest.approx(number, abs=slack), name


def test_many_angles_against_numpy():
  rng = np.random.default_rng(0)
  for n in (1001, 1000):  # with one middle, and with two
    angles = rng.gamma(1.5, 12, n)
    got = run(at(np.zeros(n)), 3 * at(angles), parts=7)
    assert got["mean_deg"] == pytest.approx(angles.mean(), rel=1e-5)
    assert got["median_deg"] == pytest.approx(
      np.median(angles), abs=0.51 * WIDTH
    )
    assert got["rmse_deg"] == pytest.approx(
      np.sqrt((angles**2).mean()), rel=1e-5
    )
    for limit in (11.25, 22.5, 30):
      assert got[f"within_{limit:g}"] == (angles < limit).mean()


def test_two_middles_far_apart():
  assert run(at([0, 0]), at([10, 40]))["median_deg"] == pytest.approx(
    25, abs=WIDTH
  )


def test_what_has_no_truth_does_not_count():
  true = np.concatenate([at([0, 0, 0]), np.zeros((1, 1, 3, 3), np.float32)])
  pred = np.concatenate([at([0, 10, 40]), np.full((1, 1, 3, 3), np.nan)])
  pred = pred.astype(np.float32)
  assert run(true, pred) == run(true[:1], pred[:1])
  both = np.concatenate([true[:1], true[:1]])
  assert run(both, pred, np.array([True, False])) == run(true[:1], pred[:1])
  nothing = run(np.zeros_like(true), pred)
  assert nothing["pixels"] == 0
  assert all(np.isnan(v) for k, v in nothing.items() if k != "pixels")


def test_no_answer_is_no_good_answer():
  zero, nan = np.zeros((2, 1, 1, 1, 3), np.float32)
  nan = nan + np.float32(np.nan)
  assert run(at([0]), zero)["mean_deg"] == pytest.approx(90)
  wrong = run(at([0]), nan)
  assert np.isnan(wrong["mean_deg"])
  assert wrong["within_30"] == 0
  assert wrong["median_deg"] > 179


def test_the_opposite_is_the_worst():
  assert run(at([0]), at([180]))["mean_deg"] == pytest.approx(180)


def test_no_silent_broadcasting():
  with pytest.raises(ValueError, match="differ in shape"):
    run(at([0, 0]), at([0]))
