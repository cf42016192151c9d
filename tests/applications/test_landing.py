"""The rules of landing, and how safe what they choose is counted to be."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.applications import landing
from jaxseg.tasks import Depth, Semantic
from jaxseg.types import IGNORE, UserError
from tests import quick

CLASSES = ("grass", "roof", "person", "road")
PALETTE = ((0, 99, 0), (99, 0, 0), (0, 0, 99), (9, 9, 9))


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
  monkeypatch.setattr(landing.compiling, "jit", quick.jit)
  monkeypatch.setattr(landing, "BUCKET", 32)
  landing._chooser.cache_clear()


def rules(**options):
  given = {"safe": ("grass", "road"), "metres_per_pixel": 0.5, **options}
  return landing.Landing(CLASSES, **given)


def brute(label, margins, scale, safe=(0, 3)):
  """Room by measuring to every pixel that is not safe, and the border."""
  h, w = label.shape
  free = np.zeros((h, w))
  for y, x in np.ndindex(h, w):
    room = min(y + 1, x + 1, h - y, w - x) * scale
    for oy, ox in np.argwhere(~np.isin(label, safe)):
      keep = margins.get(int(label[oy, ox]), 0.0)
      room = min(room, math.hypot(y - oy, x - ox) * scale - keep)
    free[y, x] = room
  return free


@pytest.mark.parametrize("seed", range(6))
def test_the_best_disc_is_that_of_brute_force(seed):
  """Two margins, an unknown pixel, a picture that is no bucket."""
  rng = np.random.default_rng(seed)
  h, w = rng.integers(9, 20, 2)
  label = rng.choice(4, (h, w), p=[0.6, 0.03, 0.02, 0.35])
  label[rng.integers(h), rng.integers(w)] = IGNORE
  margins = (("person", 1.0), ("roof", 0.25))
  one = rules(margins=margins, min_radius_m=0.4)
  found = one.find(label)
  free = brute(label, {1: 0.25, 2: 1.0}, 0.5)
  if free.max() < 0.4:
    assert found["discs"] == []
    assert found["answer"] == "no safe spot of at least 0.4 m"
    return
  best = found["discs"][0]
  assert best["radius_m"] == pytest.approx(free.max(), abs=1e-4)
  assert best["radius_px"] == pytest.approx(2 * free.max(), abs=0.01)
  assert free[best["row"], best["column"]] == pytest.approx(free.max())
  centres = np.argwhere(free > free.max() - 1e-9)
  off = np.hypot(*(centres - [(h - 1) / 2, (w - 1) / 2]).T)
  mine = math.hypot(best["row"] - (h - 1) / 2, best["column"] - (w - 1) / 2)
  assert mine == pytest.approx(off.min())
  radii = [d["radius_m"] for d in found["discs"]]
  assert radii == sorted(radii, reverse=True)
  assert [d["rank"] for d in found["discs"]] == list(range(1, len(radii) + 1))


def test_a_margin_is_kept_and_an_unsafe_pixel_never_helps():
  label = np.zeros((31, 41), int)
  label[15, 5] = 2
  near = rules(count=1).find(label)["discs"][0]
  away = rules(count=1, margins=(("person", 4.0),)).find(label)["discs"][0]
  person = np.array([15, 5])
  for disc, keep in ((near, 0), (away, 4)):
    far = 0.5 * np.hypot(*(np.array([disc["row"], disc["column"]]) - person))
    assert far - keep >= disc["radius_m"] - 1e-4
  assert away["radius_m"] <= near["radius_m"]


def test_a_risk_that_is_too_high_is_an_obstacle():
  """Labels that say grass are not believed where 0.2 says person."""
  p = np.zeros((21, 21, 4), np.float32)
  p[..., 0] = 1
  p[10, 10] = 0.8, 0, 0.2, 0
  one = rules(max_risk=0.1, count=1)
  best = one.find(probabilities=p)["discs"][0]
  assert math.hypot(best["row"] - 10, best["column"] - 10) * 0.5 >= (
    best["radius_m"] - 1e-4
  )
  bold = rules(max_risk=0.3, count=1).find(probabilities=p)["discs"][0]
  assert (bold["row"], bold["column"], bold["radius_m"]) == (10, 10, 5.5)
  # 0.06 of roof and 0.06 of person are 0.12 of something, but no person.
  p[10, 10] = 0.88, 0.06, 0.06, 0
  keep = {"margins": (("person", 3.0),), "count": 1}
  both = rules(max_risk=0.1, **keep).find(probabilities=p)["discs"][0]
  assert both["radius_m"] == best["radius_m"]
  p[10, 10] = 0.8, 0, 0.2, 0
  kept = rules(max_risk=0.1, **keep).find(probabilities=p)["discs"][0]
  assert kept["radius_m"] < best["radius_m"]


def test_the_task_tells_the_risks_that_are_asked_for():
  task = Semantic(CLASSES, PALETTE)
  one = rules(max_risk=0.1, margins=(("person", 3.0),))
  logits = jnp.asarray(np.random.default_rng(0).normal(size=(2, 5, 6, 4)))
  pred = one.of(task).predict({"logits": logits})
  p = jax.nn.softmax(logits, -1)
  want = np.stack([p[..., 1] + p[..., 2], p[..., 2]], -1)
  np.testing.assert_allclose(pred["probability"], want, rtol=1e-5)
  np.testing.assert_array_equal(pred["label"], logits.argmax(-1))
  assert rules().of(task) is task
  answer = one.answer({k: np.asarray(v[0]) for k, v in pred.items()})
  assert answer.keys() == {"label", "discs"}
  assert answer["discs"] == one.find(probabilities=np.asarray(p[0]))
  with pytest.raises(UserError, match="'depth' has none"):
    one.of(Depth(1.0, 2.0))


def test_what_cannot_be_is_one_sentence():
  for options, says in (
    ({"safe": ("sand",)}, r"safe names 'sand': the classes are grass, roof"),
    ({"safe": ()}, "safe is empty"),
    ({"margins": (("grass", 1.0),)}, "names 'grass': expected a class that"),
    ({"margins": (("tree", 1.0),)}, "names 'tree'"),
    ({"margins": (("roof", -1.0),)}, "-1.0 m from 'roof'"),
    ({"min_radius_m": 0.0}, "min_radius_m = 0.0"),
    ({"count": 0}, "count = 0"),
    ({"max_risk": 1.5}, r"max_risk = 1.5: expected a probability"),
    ({"metres_per_pixel": 0.0}, "metres_per_pixel = 0.0"),
    ({"altitude_m": 3.0}, "expected the first two, or the last alone"),
    (
      {"metres_per_pixel": None, "altitude_m": -5.0, "focal_px": 1e3},
      r"altitude_m = -5.0: expected a number above 0, such as 20",
    ),
    ({"metres_per_pixel": None}, "altitude_m = None"),
  ):
    with pytest.raises(UserError, match=says) as e:
      rules(**options)
    assert "\n" not in str(e.value)
  view = rules(metres_per_pixel=None, altitude_m=30.0, focal_px=1200.0)
  assert view.metres_per_pixel == 0.025
  label = np.zeros((4, 5), int)
  label[1, 2] = 7
  with pytest.raises(UserError, match=r"1 pixels have class ids .* as 7"):
    rules().find(label)
  with pytest.raises(UserError, match=r"float64 \(4, 5\).*whole numbers"):
    rules().find(label / 2)
  p = np.full((4, 5, 4), 0.25)
  with pytest.raises(UserError, match=r"\(4, 5, 3\): expected \(h, w, 4\)"):
    rules(max_risk=0.1).find(probabilities=p[..., :3])
  p[2, 3, 1] = np.nan
  with pytest.raises(UserError, match="probabilities of 1 pixels are NaN"):
    rules(max_risk=0.1).find(probabilities=p)


def judged(one, label, pred, mask=None):
  """(result, result of one example at a time) of the metric."""
  metric = one.metrics()["landing"]
  update = quick.jit(metric.update)
  batch = {"label": jnp.asarray(label)}
  if mask is not None:
    batch["_mask"] = jnp.asarray(mask)
  whole = update(metric.init(), {"label": jnp.asarray(pred)}, batch)
  state = metric.init()
  for i in range(len(label)):
    rows = {k: v[i : i + 1] for k, v in batch.items()}
    state = update(state, {"label": jnp.asarray(pred[i : i + 1])}, rows)
  return metric.result(whole), metric.result(state)


def test_safety_is_counted_over_the_whole_set():
  rng = np.random.default_rng(1)
  label = rng.choice(4, (5, 24, 30), p=[0.6, 0.01, 0.01, 0.38])
  label[4] = 1  # nowhere to land, and the network knows
  pred = np.where(rng.random(label.shape) < 0.01, 0, label)
  pred[3] = 0  # sees nothing
  label[:, :, 25:] = IGNORE
  label[2] = IGNORE  # nothing is known: no disc
  one = rules(min_radius_m=1.0, count=3)
  got, split = judged(one, label, pred)
  want = dict.fromkeys(
    ("discs", "safe", "found", "best", "unsafe", "missed"), 0
  )
  for true, said in zip(label, pred):
    found = one.find(np.where(true == IGNORE, IGNORE, said))["discs"]
    y, x = np.mgrid[:24, :30]
    unsafe = np.isin(true, (1, 2))
    good = [
      not unsafe[
        0.5 * np.hypot(y - d["row"], x - d["column"]) < d["radius_m"] - 1e-3
      ].any()
      for d in found
    ]
    want["discs"] += len(found)
    want["safe"] += sum(good)
    want["found"] += bool(found)
    want["best"] += bool(found) and good[0]
    want["unsafe"] += unsafe.sum()
    want["missed"] += (unsafe & np.isin(said, (0, 3))).sum()
  assert 0 < want["safe"] < want["discs"]
  assert got == split
  assert got == pytest.approx(
    {
      "discs_safe": want["safe"] / want["discs"],
      "best_safe": want["best"] / want["found"],
      "images_found": want["found"] / 5,
      "unsafe_missed": want["missed"] / want["unsafe"],
      "landing_discs": want["discs"],
      "landing_images": 5,
    }
  )


def test_padded_examples_do_not_count_and_truth_is_safe():
  label = np.random.default_rng(2).choice(
    4, (3, 20, 20), p=[0.7, 0.1, 0.1, 0.1]
  )
  one = rules(min_radius_m=0.6)
  got, _ = judged(one, label, label)
  assert got["discs_safe"] == got["best_safe"] == 1
  assert got["unsafe_missed"] == 0
  assert got["landing_discs"] > 3
  spoilt = label.copy()
  spoilt[1:] = 0
  masked, _ = judged(one, label, spoilt, [True, False, False])
  alone, _ = judged(one, label[:1], label[:1])
  assert masked == alone
  nothing, _ = judged(one, label, label, [False] * 3)
  assert math.isnan(nothing["discs_safe"])
  assert nothing["landing_images"] == 0
