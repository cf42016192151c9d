"""One contract, every task."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import answer
from jaxseg.tasks import TASKS, Depth
from jaxseg.types import Task
from tests import quick
from tests.contracts.tasks import CASES

IDEAL = {"psnr": 100.0, "noc85": 1.0}  # of what has no best value of 0 or 1


def test_every_task_has_a_case():
  assert {name.partition(",")[0] for name in CASES} == set(TASKS)


@functools.cache
def preparing(task):
  """What evaluation does before the network, compiled once for all tests."""
  return quick.jit(functools.partial(answer.prepared, task))


@pytest.fixture(params=sorted(CASES))
def case(request):
  rng = np.random.default_rng(0)
  image = jnp.asarray(rng.integers(0, 256, (4, 6, 7, 3)) / 255, jnp.float32)
  task, batch, unused, perfect = CASES[request.param](rng, image)
  if not isinstance(unused, dict):
    unused = dict.fromkeys(perfect, unused)
  assert (
    task.outputs.items()
    <= {head: x.shape[-1] for head, x in perfect.items()}.items()
  )
  batch = {"image": image, **batch, "_mask": jnp.ones(4, bool)}
  batch = preparing(task)(batch)
  out = {
    head: jnp.asarray(rng.normal(size=x.shape), jnp.float32)
    for head, x in perfect.items()
  }
  return task, batch, unused, perfect, out


def total(task, out, batch):
  return sum(mean.compute() for mean in task.loss(out, batch).values())


def test_it_follows_the_protocol(case):
  assert isinstance(case[0], Task)


def test_what_does_not_count_changes_nothing_and_has_no_gradient(case):
  task, batch, unused, _, out = case
  grad = jax.jit(jax.value_and_grad(lambda o: total(task, o, batch)))
  value, g = grad(out)
  spoilt = {k: jnp.where(unused[k], 1e4, v) for k, v in out.items()}
  value2, g2 = grad(spoilt)
  assert value == value2  # to the bit
  for key in out:
    skipped = np.broadcast_to(unused[key], out[key].shape)
    assert (np.asarray(g[key])[skipped] == 0).all()
    assert (np.asarray(g2[key])[skipped] == 0).all()
    assert (np.asarray(g[key])[~skipped] != 0).any()


def test_padded_examples_change_nothing(case):
  task, batch, _, _, out = case
  half = {k: v[:2] for k, v in batch.items()}
  masked = {**batch, "_mask": jnp.array([True, True, False, False])}
  loss = losing(task)
  a = loss({k: v[:2] for k, v in out.items()}, half)
  b = loss(out, masked)
  np.testing.assert_allclose(a, b, rtol=2e-6)
  spoilt = {k: v.at[2:].set(jnp.nan) for k, v in out.items()}
  assert loss(spoilt, masked) == b


@functools.cache
def predicting(task):
  """(out, batch) -> the answer, as evaluation makes it; compiled once."""
  return quick.jit(
    lambda out, batch: answer.compose(
      task, task.predict(out), task.inputs(batch)[0]
    )
  )


@functools.cache
def losing(task):
  """(out, batch) -> the loss; compiled once."""
  return quick.jit(functools.partial(total, task))


@functools.cache
def measuring(task):
  """[(metric, its compiled update)]."""
  return [(m, quick.jit(m.update)) for m in task.metrics().values()]


def score(task, parts):
  """The metric that decides which checkpoint is best, of [(out, batch)]."""
  result = {}
  for metric, update in measuring(task):
    state = metric.init()
    for out, batch in parts:
      state = update(state, predicting(task)(out, batch), batch)
    result |= metric.result(jax.device_get(state))
  return result[task.best[0]]


def test_the_perfect_prediction_scores_best(case):
  task, batch, _, perfect, out = case
  name, mode = task.best
  best, other = (score(task, [(o, batch)]) for o in (perfect, out))
  ideal = IDEAL.get(name, 1.0 if mode == "max" else 0.0)
  assert best == pytest.approx(ideal, abs=1e-5), name
  assert best > other if mode == "max" else best < other
  assert losing(task)(perfect, batch) < losing(task)(out, batch)


def test_metrics_do_not_depend_on_how_the_set_is_cut(case):
  task, batch, _, _, out = case
  whole = score(task, [(out, batch)])
  rows = [
    tuple({k: v[i : i + 1] for k, v in x.items()} for x in (out, batch))
    for i in range(4)
  ]
  assert score(task, rows) == pytest.approx(whole, rel=1e-6)


def test_views_are_averaged_where_an_average_means_something(case):
  """to_mean and from_mean undo each other, as far as predict can see."""
  task, _, _, _, out = case
  back = task.from_mean(task.to_mean(out))
  before, after = task.predict(out), task.predict(back)
  for key in before:
    # Colours in Lab reach 100 and pass through 0.
    near = 1e-4 if task.name == "colorization" else 0
    np.testing.assert_allclose(before[key], after[key], rtol=1e-5, atol=near)


def test_flip_commutes_with_predict(case):
  task, _, _, _, out = case
  a, b = task.predict(task.flip(out)), task.predict(out)
  for key in a:
    if key == "keypoints":
      mirrored = np.asarray(b[key])[:, :, [1, 0, 2, 4, 3]]  # sides swap
      mirrored = mirrored * [-1, 1, 1] + [7, 0, 0]
      np.testing.assert_allclose(a[key], mirrored, atol=1e-5)
      continue
    mirrored = jnp.flip(b[key], axis=-1 if key == "depth" else 2)
    if key == "normal":  # what pointed right points left
      mirrored = mirrored * jnp.array([-1.0, 1.0, 1.0])
    np.testing.assert_array_equal(a[key], mirrored)


def test_pictures_have_the_height_of_the_image(case):
  task, batch, _, perfect, out = case
  host = {k: np.asarray(v) for k, v in batch.items()}
  host["image"] = np.rint(host["image"] * 255).astype(np.uint8)
  pred = predicting(task)(perfect, batch)
  pred = {k: np.asarray(v) for k, v in pred.items()}
  pictures = task.render(host, pred)
  pairs = [t for t in pictures if t.endswith("truth")]
  assert pairs
  for picture in pictures.values():
    assert picture.dtype == np.uint8
    assert picture.shape[:2] == (4, 6)
    assert picture.shape[2] >= 7  # a scale may lie beside it
    assert picture.shape[3] == 3
  # The perfect prediction looks like the truth, where there is a truth.
  for title in pairs:
    guess = pictures[title.replace("truth", "prediction")]
    assert (pictures[title] == guess).all(-1)[2:].all()
  worse = predicting(task)(out, batch)
  worse = task.render(host, {k: np.asarray(v) for k, v in worse.items()})
  for title in pairs:
    error = title.replace("truth", "error")
    assert (pictures[error] != worse[error]).any()


def test_untrained_depth_is_in_the_middle_of_the_range():
  task = Depth(1.0, 16.0)
  pred = task.predict({"depth": jnp.zeros((1, 2, 2, 1))})["depth"]
  np.testing.assert_allclose(pred, 4.0, rtol=1e-6)  # geometric mean
  far = task.predict({"depth": jnp.full((1, 2, 2, 1), 99.0)})["depth"]
  np.testing.assert_allclose(far, 16.0, rtol=1e-6)


def test_the_states_of_metrics_may_be_given_away(case):
  """Evaluation donates them: no two leaves are one array."""
  for metric in case[0].metrics().values():
    leaves = jax.tree.leaves(metric.init())
    assert len({id(leaf) for leaf in leaves}) == len(leaves)
