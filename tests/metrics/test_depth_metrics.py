"""Depth metrics: golden numbers, caps, averages and long sums."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import metrics
from jaxseg.metrics import exact
from jaxseg.metrics.depth import crop_mask, masked_median
from jaxseg.types import UserError

TRUE = np.asarray([[[1, 2], [4, 8]]], np.float32)
PRED = np.asarray([[[1.1, 1.5], [5, 8]]], np.float32)


def run(true, pred, *, parts=1, mask=None, **options):
  metric = metrics.depth(**options)
  update = jax.jit(metric.update)
  state = metric.init()
  for a, b in zip(np.array_split(true, parts), np.array_split(pred, parts)):
    batch = {"depth": a} if mask is None else {"depth": a, "_mask": mask}
    state = update(state, {"depth": b}, batch)
  return metric.result(state)


def test_golden():
  got = run(TRUE, PRED)
  # silog: 100 sqrt(mean d^2 - (mean d)^2), d = log 1.1, log .75, log 1.25, 0
  d = np.log([1.1, 0.75, 1.25, 1])
  want = {
    "abs_rel": 0.15,
    "sq_rel": 0.09625,
    "rmse": 0.561249,
    "rmse_log": 0.188174,
    "log10": 0.065810,
    "delta1": 0.5,  # the ratio 1.25 exactly fails
    "delta2": 1.0,
    "delta3": 1.0,
    "silog": 100 * d.std(),
    "pixels": 4,
  }
  assert set(got) == set(want)
  for name, number in want.items():
    assert got[name] == pytest.approx(number, rel=2e-5), name


def test_caps_clip_predictions_and_drop_truth():
  true = np.array([[[0.0, 5, 10, 20]]], np.float32)
  pred = np.array([[[3.0, 50, 1, 1]]], np.float32)
  got = run(true, pred, max_depth=10.0)
  assert got["pixels"] == 1  # 0 is invalid, 10 and 20 are not below the cap
  assert got["rmse"] == pytest.approx(5)  # 50 is clipped to 10


def test_average_over_images_or_pixels():
  true = np.full((2, 1, 4), 2, np.float32)
  true[1, 0, 1:] = 0  # one pixel counts in the second image
  pred = np.full((2, 1, 4), 2, np.float32)
  pred[1] = 3
  # Four pixels of error 0, one of error 1 on 2 metres.
  pixels = run(true, pred, parts=2)
  images = run(true, pred, parts=2, average="images")
  assert pixels["abs_rel"] == pytest.approx(0.5 / 5)
  assert images["abs_rel"] == pytest.approx(0.5 / 2)
  assert pixels["rmse"] == pytest.approx(np.sqrt(1 / 5))
  assert images["rmse"] == pytest.approx(1 / 2)
  true[1] = 0  # an image without a valid pixel is no image
  assert run(true, pred, average="images")["abs_rel"] == 0


def test_padding_garbage_and_nothing():
  true = np.concatenate([TRUE, TRUE])
  pred = np.concatenate([PRED, np.full_like(PRED, np.nan)])
  mask = np.array([True, False])
  assert run(true, pred, mask=mask) == run(TRUE, PRED)
  nothing = run(np.zeros_like(TRUE), PRED)
  assert nothing["pixels"] == 0
  assert all(np.isnan(v) for k, v in nothing.items() if k != "pixels")
  # A NaN where the truth is known is a wrong answer and must show.
  assert np.isnan(run(TRUE, np.full_like(PRED, np.nan))["abs_rel"])


def test_long_sums_keep_their_digits():
  """2^24 + 1 is no float32: a plain sum of ones would stand still."""
  step = jax.jit(exact.add_sums)
  state = exact.Sums(jnp.full((2,), 2.0**24), jnp.zeros((2,)))
  for _ in range(51):
    state = step(state, jnp.array([1.0, 0.25]))
  np.testing.assert_array_equal(
    exact.read_sums(state), [2**24 + 51, 2**24 + 12.75]
  )


def test_average_is_checked():
  with pytest.raises(ValueError, match="'pixels' or 'images'"):
    metrics.depth(average="set")


@pytest.mark.parametrize(
  ("crop", "size", "rows", "columns"),
  [
    ("garg", (375, 1242), slice(153, 371), slice(44, 1197)),
    ("eigen", (375, 1242), slice(124, 342), slice(44, 1197)),
    ("nyu", (480, 640), slice(45, 471), slice(41, 601)),
    ("nyu", (240, 320), slice(22, 235), slice(20, 300)),
    ("none", (7, 5), slice(0, 7), slice(0, 5)),
  ],
)
def test_crops(crop, size, rows, columns):
  want = np.zeros(size, bool)
  want[rows, columns] = True
  np.testing.assert_array_equal(crop_mask(crop, size), want)


def test_only_the_crop_counts():
  rng = np.random.default_rng(0)
  true = rng.uniform(1, 9, (2, 48, 64)).astype(np.float32)
  pred = true + 1
  inside = crop_mask("nyu", (48, 64))
  pred[:, ~inside] = 50
  got = run(true, pred, crop="nyu")
  assert got["rmse"] == pytest.approx(1, rel=1e-6)
  assert got["pixels"] == 2 * inside.sum()
  assert run(true, pred)["rmse"] > 5


@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_masked_median_is_numpy_s(n):
  rng = np.random.default_rng(n)
  values = rng.normal(size=(3, 5, 6)).astype(np.float32)
  valid = np.zeros((3, 30), bool)
  for row in valid[:2]:
    row[rng.permutation(30)[:n]] = True
  valid = valid.reshape(3, 5, 6)
  got = jax.jit(masked_median)(np.where(valid, values, np.nan), valid)
  want = [np.median(v[m]) for v, m in zip(values[:2], valid[:2])]
  np.testing.assert_allclose(got, [*want, 0], rtol=1e-6)


def test_median_scaling_forgives_a_scale_of_each_image():
  rng = np.random.default_rng(1)
  true = rng.uniform(1, 9, (3, 6, 7)).astype(np.float32)
  true[0, 0], true[2] = 0, 0  # holes, and an image without truth
  pred = true * np.float32([3, 0.25, 2])[:, None, None]
  pred[0, 0] = 77  # must not move the median
  pred[2] = 5
  got = run(true, pred, median_scaling=True)
  assert got["abs_rel"] == pytest.approx(0, abs=1e-6)
  assert run(true, pred)["abs_rel"] > 0.5
  # By hand: predicted median 2 of (1, 2, 30), true 4 of (2, 4, 8): twice.
  true = np.float32([[[2, 4, 8]]])
  got = run(true, np.float32([[[1, 2, 30]]]), median_scaling=True, max_depth=20)
  assert got["abs_rel"] == pytest.approx(((20 - 8) / 8) / 3)  # 60, clipped


@pytest.mark.parametrize(
  ("options", "says"),
  [
    ({"crop": "kitti"}, "'kitti' is not known: expected none, garg, eigen"),
    ({"min_depth": 9.0, "max_depth": 3.0}, "from 9.0 to 3.0 metres is no"),
  ],
)
def test_protocols_that_cannot_be(options, says):
  with pytest.raises(UserError, match=says):
    metrics.depth(**options)
