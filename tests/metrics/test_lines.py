"""Lines within a tolerance, against distances, and what thickness is worth."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from jaxseg.metrics import boundary, lines


def run(radius, percent, strength, mask=None):
  metric = lines(radius)
  batch = {"boundary": np.asarray(percent, np.int32)}
  if mask is not None:
    batch["_mask"] = mask
  state = jax.jit(metric.update)(
    metric.init(), {"boundary": np.asarray(strength, np.float32)}, batch
  )
  return metric.result(jax.device_get(state))


def direct(radius, percent, strength):
  """Counts by Euclidean distance transforms, one threshold at a time."""
  best = (-1.0,)
  for t in boundary.EVERY:
    found = true = right = said_n = 0
    for drawn, s in zip(percent, strength):
      known = drawn != 255
      drawn = np.where(known, drawn, 0)
      said = (s >= np.float32(t)) & known
      far = [
        ndimage.distance_transform_edt(~x) if x.any() else np.full(x.shape, 99)
        for x in (said, drawn > 0)
      ]
      found += drawn[far[0] <= radius].sum()
      true += drawn.sum()
      right += (said & (far[1] <= radius)).sum()
      said_n += said.sum()
    p, r = right / max(said_n, 1), found / true
    f = 2 * p * r / max(p + r, 1e-12)
    best = max(best, (f, -t, p, r))
  return best[0], -best[1], best[2], best[3]


@pytest.mark.parametrize("radius", [0, 1.5, 4.34])
def test_counts_of_distances(radius):
  rng = np.random.default_rng(0)
  percent = rng.choice([0, 20, 100], (3, 31, 26), p=[0.94, 0.04, 0.02])
  percent[1, :9] = 255
  percent[2] = 0  # a picture without lines: all that is said is wrong
  noise = ndimage.gaussian_filter(rng.random(percent.shape), (0, 1, 1))
  near = ndimage.gaussian_filter((percent == 100) * 4.0, (0, 1, 1))
  strength = np.clip(near + 0.4 * noise, 0, 1).astype(np.float32)
  got = run(radius, percent, strength)
  np.testing.assert_allclose(
    list(got.values()), direct(radius, percent, strength), rtol=1e-6
  )
  masked = run(
    radius,
    np.concatenate([percent, percent[:1]]),
    np.concatenate([strength, np.full_like(strength[:1], np.nan)]),
    np.array([True, True, True, False]),
  )
  assert masked == got


def test_by_hand():
  """Two people drew row 5, one of them row 12. Row 7 is said."""
  percent = np.zeros((1, 20, 10), int)
  percent[0, 5], percent[0, 12] = 100, 50
  said = np.zeros((1, 20, 10))
  said[0, 7] = 0.6
  got = run(2, percent, said)
  assert got["boundary_precision"] == 1
  assert got["boundary_recall"] == pytest.approx(2 / 3)
  assert got["boundary_f"] == pytest.approx(0.8)
  assert run(1, percent, said)["boundary_f"] == 0
  said[0, 17] = 0.9  # nobody drew that, and it is said the louder
  got = run(2, percent, said)
  assert got["boundary_precision"] == 0.5
  # It is no benchmark: five rows are as right as one, where matching finds
  # one.
  thick = np.zeros((1, 20, 10))
  thick[0, 3:8] = 0.6
  assert run(2, percent, thick)["boundary_precision"] == 1


def test_nothing_drawn_is_nan():
  got = run(1, np.full((1, 4, 5), 255), np.ones((1, 4, 5)))
  assert np.isnan(got["boundary_f"])


def test_shapes():
  with pytest.raises(ValueError, match="differ in shape"):
    run(1, np.zeros((1, 4, 5)), np.zeros((1, 4, 6)))
