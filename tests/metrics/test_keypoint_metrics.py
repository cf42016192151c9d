"""OKS, PCK and NME: a golden value, loops, and sums over the set."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.metrics import keypoints

PAIR = (2, 5)


def run(metric, batches):
  """Result of a metric over (pred, true, mask, extra) batches, jitted."""
  state = metric.init()
  update = jax.jit(metric.update)
  for pred, true, mask, extra in batches:
    batch = {"keypoints": true, "_mask": mask, **extra}
    state = update(state, {"keypoints": pred}, batch)
  return metric.result(jax.device_get(state))


def people(seed=0, b=6, n=2, k=7):
  rng = np.random.default_rng(seed)
  true = rng.uniform(0, 90, (b, n, k, 3)).astype(np.float32)
  true[..., 2] = rng.integers(0, 3, (b, n, k))
  pred = true + rng.normal(0, 6, true.shape).astype(np.float32)
  mask = np.ones(b, bool)
  mask[-1] = False
  true[-1], pred[-1] = np.nan, np.nan
  pred[true[..., 2] == 0] = np.nan  # nobody asked
  return pred, true, mask


def rows(pred, true, mask):
  """(pred, true) of the real people, as float64."""
  for b in np.flatnonzero(mask):
    yield from zip(pred[b].astype(float), true[b].astype(float))


def hypot(p, t):
  return math.hypot(p[0] - t[0], p[1] - t[1])


def test_oks_golden():
  """17 points that are off by 10 pixels, area 96^2."""
  rng = np.random.default_rng(0)
  angle = rng.uniform(0, 2 * np.pi, 17)
  true = np.full((1, 1, 17, 3), 2, np.float32)
  true[..., :2] = rng.uniform(20, 80, (17, 2))
  pred = true.copy()
  pred[..., 0] += 10 * np.cos(angle)
  pred[..., 1] += 10 * np.sin(angle)
  area = np.full((1, 1), 96.0**2, np.float32)
  got = run(keypoints.oks(), [(pred, true, np.ones(1, bool), {"area": area})])
  assert got["oks"] == pytest.approx(0.630102, abs=2e-6)
  assert len(keypoints.COCO_SIGMAS) == 17


def loop_oks(pred, true, mask, sigmas):
  values = []
  for p, t in rows(pred, true, mask):
    seen = t[:, 2] > 0
    if not seen.any():
      continue
    sides = np.ptp(t[seen, :2], 0)
    area = max(sides.prod(), 1)
    values.append(
      np.mean(
        [
          math.exp(-(hypot(p[i], t[i]) ** 2) / (2 * area * (2 * s) ** 2))
          for i, s in enumerate(sigmas)
          if seen[i]
        ]
      )
    )
  return values


def loop_nme(pred, true, mask):
  values = []
  for p, t in rows(pred, true, mask):
    seen = np.flatnonzero(t[:, 2] > 0)
    if t[PAIR[0], 2] and t[PAIR[1], 2]:
      errors = [hypot(p[i], t[i]) for i in seen]
      values.append(np.mean(errors) / hypot(t[PAIR[0]], t[PAIR[1]]))
  return values


def loop_pck(pred, true, mask, alpha, pair):
  """(found, seen) per point."""
  found, count = np.zeros(7), np.zeros(7)
  for p, t in rows(pred, true, mask):
    seen = np.flatnonzero(t[:, 2] > 0)
    if pair is None:
      length = np.ptp(t[seen, :2], 0).max() if len(seen) else 0
    else:
      known = t[pair[0], 2] and t[pair[1], 2]
      length = hypot(t[pair[0]], t[pair[1]]) if known else 0
    if not length:
      continue
    for i in seen:
      count[i] += 1
      found[i] += hypot(p[i], t[i]) <= alpha * length
  return found, count


def test_oks_and_nme_against_loops():
  args = people()
  sigmas = np.linspace(0.05, 0.2, 7)
  got = run(keypoints.oks(sigmas), [(*args, {})])
  want = loop_oks(*args, sigmas)
  assert got["oks"] == pytest.approx(np.mean(want), rel=1e-5)
  assert got["oks_people"] == len(want)
  got = run(keypoints.nme(PAIR), [(*args, {})])
  want = loop_nme(*args)
  assert got["nme"] == pytest.approx(np.mean(want), rel=1e-5)
  assert 0 < len(want) == got["nme_people"] < 10  # some lack one of the pair


@pytest.mark.parametrize("pair", [None, PAIR])
def test_pck_against_a_loop(pair):
  args = people(1)
  found, count = loop_pck(*args, 0.1, pair)
  names = tuple("abcdefg")
  got = run(keypoints.pck(0.1, pair, names), [(*args, {})])
  assert got["pck_points"] == count.sum()
  assert got["pck"] == pytest.approx(found.sum() / count.sum())
  assert 0 < got["pck"] < 1
  for i, name in enumerate(names):
    assert got[f"pck/{name}"] == pytest.approx(found[i] / count[i])
  plain = run(keypoints.pck(0.1, pair, title="pckh"), [(*args, {})])
  assert plain == {"pckh": got["pck"], "pckh_points": got["pck_points"]}


def test_pck_counts_a_point_at_exactly_the_distance():
  true = np.array([[[[0, 0, 2], [10, 0, 2], [30, 40, 1]]]], np.float32)
  pred = true.copy()
  pred[0, 0, 2, 0] += 5  # alpha 0.5 of the pair's 10
  ones = np.ones(1, bool)
  assert run(keypoints.pck(0.5, (0, 1)), [(pred, true, ones, {})])["pck"] == 1
  pred[0, 0, 2, 0] += 0.01
  got = run(keypoints.pck(0.5, (0, 1)), [(pred, true, ones, {})])
  assert got["pck"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
  "metric",
  [keypoints.oks((0.1,) * 7), keypoints.nme(PAIR), keypoints.pck(0.1)],
  ids=["oks", "nme", "pck"],
)
def test_it_is_a_sum_over_the_set(metric):
  """Cut anyhow, and with padding, it is one number; not a mean of means."""
  pred, true, mask = people(2)
  whole = run(metric, [(pred, true, mask, {})])
  parts = [
    (pred[i:j], true[i:j], mask[i:j], {}) for i, j in ((0, 1), (1, 4), (4, 6))
  ]
  cut = run(metric, parts)
  for key, value in whole.items():
    assert cut[key] == pytest.approx(value, rel=1e-6), key
  real = run(metric, [(pred[:-1], true[:-1], np.ones(5, bool), {})])
  assert real == whole  # the padded example changes nothing, to the bit
  name = next(iter(whole))
  nobody = run(metric, [(pred, true, np.zeros(6, bool), {})])
  assert math.isnan(nobody[name])


def test_wrong_shapes_are_named():
  pred, true, _ = people()
  for metric, says in (
    (keypoints.oks((0.1,) * 6), "6 sigmas for 7"),
    (keypoints.pck(0.1, None, tuple("abc")), "3 names for 7"),
  ):
    with pytest.raises(ValueError, match=says):
      metric.update(
        metric.init(), {"keypoints": jnp.array(pred)}, {"keypoints": true}
      )
  metric = keypoints.nme(PAIR)
  with pytest.raises(ValueError, match="differ in shape"):
    metric.update(
      metric.init(), {"keypoints": pred[:, :1]}, {"keypoints": true}
    )
