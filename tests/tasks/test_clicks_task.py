"""Clicks on objects: who is chosen, what the network sees, the conversation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxseg import answer, build, inference
from jaxseg.tasks import Clicks, Multi, Semantic
from jaxseg.types import IGNORE, UserError
from tests import quick
from tests.test_configs import ROOT, load

SIZE = (24, 30)


def _instances():
  """Three images: two objects, one object and a speck, nothing."""
  y, x = np.mgrid[: SIZE[0], : SIZE[1]]
  out = np.zeros((3, *SIZE), np.int32)
  out[0][np.hypot(y - 8, x - 8) < 6] = 1
  out[0][(y > 14) & (x > 15)] = 2
  out[1][np.hypot(y - 12, x - 15) < 9] = 5
  out[1, 0, :3] = 1
  return out


def _batch():
  rng = np.random.default_rng(0)
  image = rng.random((3, *SIZE, 3)).astype(np.float32)
  return {
    "image": jnp.asarray(image),
    "instance": jnp.asarray(_instances()),
    "_id": jnp.arange(3),
  }


def test_an_object_is_chosen_at_random_and_clicked_on():
  task, batch = Clicks(), _batch()
  prepare = quick.jit(task.prepare)
  found = []
  for seed in range(12):
    out = prepare(batch, jax.random.key(seed))
    target = np.asarray(out["target"])
    assert (target[2] == IGNORE).all()
    np.testing.assert_array_equal(target[1], _instances()[1] == 5)
    ids = set(_instances()[0][target[0] == 1])
    assert len(ids) == 1
    np.testing.assert_array_equal(target[0], _instances()[0] == min(ids))
    found.append(min(ids))
    guided = np.asarray(out["guided"])
    np.testing.assert_array_equal(guided[..., :3], batch["image"])
    near = guided[:2, ..., 3] == 0  # where it was clicked
    assert (target[:2][near] == 1).all()
    assert near.any((1, 2)).all()
    beside = guided[:2, ..., 4] == 0
    assert (target[:2][beside] == 0).all()
    assert (guided[2, ..., 3:] == 1).all()  # no object, no click
  assert set(found) == {1, 2}


def test_small_objects_take_several_clicks_of_a_small_step():
  most = {}
  for step in (None, 3.0):
    prepare = quick.jit(Clicks(click_step=step).prepare)
    counts = []
    for seed in range(12):
      guided = prepare(_batch(), jax.random.key(seed))["guided"]
      at = np.argwhere(np.asarray(guided)[1, ..., 3] == 0)  # a disc of radius 9
      apart = np.hypot(*(at[:, None] - at).transpose(2, 0, 1))
      np.fill_diagonal(apart, np.inf)
      assert apart.min() >= (step or 10)
      counts.append(len(at))
    most[step] = max(counts)
  assert most[None] <= 2
  assert most[3.0] == 5


def test_an_example_gets_its_clicks_wherever_it_stands():
  task, batch = Clicks(), _batch()
  prepare = quick.jit(task.prepare)
  whole = prepare(batch, jax.random.key(3))
  order = np.array([1, 0, 2])
  mixed = {k: v[order] for k, v in batch.items()}
  other = prepare(mixed, jax.random.key(3))
  for key in ("target", "guided"):
    np.testing.assert_array_equal(whole[key][order], other[key])


def _brute(target, rounds):
  """IoU after each click, with an answer that is the nearest click's."""
  h, w = target.shape
  y, x = np.mgrid[:h, :w]
  made, label, ious = [], np.zeros((h, w), bool), []
  for _ in range(rounds):
    depth = np.stack(
      [
        ndimage.distance_transform_edt(np.pad(m, 1))[1:-1, 1:-1]
        for m in (target & ~label, label & ~target)
      ]
    )
    for row, column, _ in made:
      depth[:, row, column] = 0
    if depth.max() > 0:
      kind, row, column = np.unravel_index(depth.argmax(), depth.shape)
      made.append((row, column, 1 - 2 * kind))
    away = {s: np.full((h, w), 255.0) for s in (1, -1)}
    for row, column, sign in made:
      here = np.hypot(y - row, x - column)
      away[sign] = np.minimum(away[sign], here)
    # As the network sees it: in 255ths of the reach.
    label = np.rint(away[1]) < np.rint(away[-1])
    ious.append((label & target).sum() / (label | target).sum())
  return made, ious


def test_the_conversation_is_that_of_brute_force():
  task = Clicks(clicks=9)
  batch = quick.jit(lambda b: answer.prepared(task, b))(_batch())

  def ask(batch):  # the nearest click decides
    on, beside = batch["guided"][..., 3], batch["guided"][..., 4]
    return {"label": (on < beside).astype(jnp.int32)}

  got = quick.jit(lambda b: answer.answered(task, ask, b))(batch)
  for i in range(2):
    made, ious = _brute(np.asarray(batch["target"][i]) == 1, 9)
    np.testing.assert_array_equal(got["clicks"][i][: len(made)], made)
    np.testing.assert_allclose(got["iou"][i], ious, rtol=1e-6)
    assert ious[-1] > ious[0]
  assert (got["clicks"][2] == 0).all()  # no object: nobody clicks
  metric = task.metrics()["clicks"]
  result = metric.result(metric.update(metric.init(), got, batch))
  assert result["objects"] == 2
  assert 1 < result["noc85"] <= result["noc90"] <= 9


def test_evaluation_asks_once_where_a_task_does_not_converse():
  task = Semantic(("a", "b"), ((0, 0, 0), (1, 1, 1)))
  asked = []

  def ask(batch):
    asked.append(batch)
    return {"label": 7}

  assert answer.answered(task, ask, {"x": 1}) == {"label": 7}
  assert asked == [{"x": 1}]


def test_any_network_of_five_channels_answers(monkeypatch):
  """Windows and flips move the maps with the image."""
  config = load(ROOT / "configs/clicks_scenes.py")
  config.model.width, config.model.depth = 4, 1
  config.devices = 1
  built = build.experiment(config, with_data=False)
  variables = quick.jit(
    lambda *inputs: built.model.init(jax.random.key(0), *inputs, train=False)
  )(*built.init_inputs())
  assert variables["params"]["down0_conv1"]["conv"]["kernel"].shape[2] == 5
  image = jnp.asarray(np.random.default_rng(0).random((2, *SIZE, 5)))
  options = inference.InferenceOptions(mode="slide", window=(16, 16), flip=True)
  pred = quick.jit(inference.build(built.model, built.task, options))(
    variables, image
  )
  assert pred["label"].shape == (2, *SIZE)


def test_what_cannot_be():
  for options, says in (
    (
      {"click_map": "square"},
      "click_map = 'square': expected distance or disc",
    ),
    ({"click_reach": 0.0}, "click_reach = 0.0"),
    ({"click_step": -1.0}, "click_step = -1.0"),
    ({"clicks": 0}, "clicks = 0: expected at least 1"),
  ):
    with pytest.raises(UserError, match=says):
      Clicks(**options)
  with pytest.raises(UserError, match="clicks lets the network see another"):
    Multi((("clicks", Clicks()), ("semantic", None)))
