"""Several tasks on one network: the sum, its weights, truth that is lacking."""

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseg import assignment, defaults, networks, optim, state, step
from jaxseg.data import missing
from jaxseg.data.datasets import DATASETS
from jaxseg.tasks import Denoising, Depth, DepthBins, Multi, Normals, Semantic
from jaxseg.types import IGNORE, UserError
from tests import probe, quick

SEMANTIC = Semantic(("a", "b", "c"), ((9, 0, 0), (0, 9, 0), (0, 0, 9)))
PARTS = (
  ("semantic", SEMANTIC),
  ("depth", Depth(0.5, 60.0)),
  ("normals", Normals()),
)


@pytest.fixture
def example():
  """Random outputs and a batch of four."""
  rng = np.random.default_rng(0)
  normal = rng.normal(size=(4, 6, 7, 3))
  normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
  batch = {
    "image": jnp.asarray(rng.uniform(size=(4, 6, 7, 3)), jnp.float32),
    "label": jnp.asarray(rng.integers(0, 3, (4, 6, 7)), jnp.int32),
    "depth": jnp.asarray(rng.uniform(1, 50, (4, 6, 7)), jnp.float32),
    "normal": jnp.asarray(normal, jnp.float32),
    "_mask": jnp.ones(4, bool),
  }
  out = {
    head: jnp.asarray(rng.normal(size=(4, 6, 7, n)), jnp.float32)
    for head, n in Multi(PARTS).outputs.items()
  }
  return out, batch


def total(task, out, batch):
  return sum(mean.compute() for mean in task.loss(out, batch).values())


def test_the_loss_is_the_weighted_sum_of_the_tasks_own(example):
  out, batch = example
  weights = (1.0, 0.25, 3.0)
  alone = [
    total(part, {k: out[k] for k in part.outputs}, batch) for _, part in PARTS
  ]
  expected = sum(w * a for w, a in zip(weights, alone))
  task = Multi(PARTS, weights)
  np.testing.assert_allclose(total(task, out, batch), expected, rtol=1e-6)
  assert set(task.loss(out, batch)) == {
    "semantic/cross_entropy",
    "depth/l1",
    "normals/cosine",
  }


def test_learned_weights_are_those_of_kendall(example):
  """Values and derivatives by hand: classes once, regression half."""
  out, batch = example
  task = Multi(PARTS, weighting="learned")
  losses = np.array(
    [total(p, {k: out[k] for k in p.outputs}, batch) for _, p in PARTS]
  )
  half = np.array([1.0, 0.5, 0.5])
  s = np.array([0.3, -1.1, 0.8], np.float32)
  value, grad = jax.value_and_grad(
    lambda s: total(task, {**out, "log_variance": s}, batch)
  )(jnp.asarray(s))
  expected = (half * np.exp(-s) * losses + s / 2).sum()
  np.testing.assert_allclose(value, expected, rtol=1e-6)
  np.testing.assert_allclose(
    grad, 0.5 - half * np.exp(-s) * losses, rtol=1e-5, atol=1e-6
  )
  # Where the derivative is zero sigma^2 is the loss, or twice it.
  best = np.log(2 * half * losses)
  _, at_best = jax.value_and_grad(
    lambda s: total(task, {**out, "log_variance": s}, batch)
  )(jnp.asarray(best))
  np.testing.assert_allclose(at_best, 0, atol=1e-6)


def test_an_example_without_a_truth_speaks_in_the_other_tasks_alone(example):
  out, batch = example
  has = jnp.array([True, False, True, False])
  lacking = {
    **batch,
    "depth": jnp.where(has[:, None, None], batch["depth"], 7.0),
    "_has_depth": has,
  }
  task = Multi(PARTS)
  grad = quick.jit(jax.grad(lambda o: total(task, o, lacking)))(out)
  assert (grad["depth"][~has] == 0).all()
  assert (grad["depth"][has] != 0).any()
  for head in ("logits", "normal"):
    assert (np.abs(grad[head]).sum((1, 2, 3)) > 0).all()

  # Metrics: depth is that of the examples that have it, classes of all.
  def judged(batch, rows=slice(None)):
    result = {}
    rows_of = jax.tree.map(lambda x: x[rows], (out, batch))
    pred = task.predict(rows_of[0])
    for metric in task.metrics().values():
      new = quick.jit(metric.update)(metric.init(), pred, rows_of[1])
      result |= metric.result(jax.device_get(new))
    return result

  some, half, whole = judged(lacking), judged(batch, has), judged(batch)
  assert some["abs_rel"] == half["abs_rel"] != whole["abs_rel"]
  assert some["miou"] == whole["miou"] != half["miou"]


def test_a_task_without_any_truth_leaves_its_weight_alone(example):
  out, batch = example
  task = Multi(PARTS, weighting="learned")
  nothing = {**batch, "_has_depth": jnp.zeros(4, bool)}
  grad = jax.grad(lambda s: total(task, {**out, "log_variance": s}, nothing))(
    jnp.array([0.1, 0.2, 0.3])
  )
  assert grad[1] == 0
  assert grad[0] != 0
  assert grad[2] != 0


def test_auxiliary_heads_go_to_the_task_of_their_head(example):
  out, batch = example
  task = Multi(PARTS)
  aux = {"aux": 2 * out["logits"], "aux_depth": out["depth"]}
  terms = task.loss({**out, **aux}, batch)
  alone = SEMANTIC.loss({"logits": out["logits"], "aux": aux["aux"]}, batch)
  assert set(terms) == {
    "semantic/cross_entropy",
    "semantic/aux/cross_entropy",
    "depth/l1",
    "normals/cosine",
  }
  np.testing.assert_array_equal(
    terms["semantic/aux/cross_entropy"].compute(),
    alone["aux/cross_entropy"].compute(),
  )


@pytest.mark.parametrize(
  ("parts", "message"),
  [
    (PARTS[:1], "at least two tasks"),
    ((*PARTS, ("depth_bins", DepthBins(0.5, 60.0))), "both predict 'depth'"),
    ((*PARTS, ("denoising", Denoising())), "another picture"),
  ],
)
def test_tasks_that_cannot_share_are_refused(parts, message):
  with pytest.raises(UserError, match=message):
    Multi(parts)


def config_of(**values):
  c = defaults.get_config()
  c.task.name = "multi"
  c.task.tasks = ("semantic", "depth", "normals")
  c.task.losses = ("semantic/cross_entropy", "depth/silog", "depth/l1*0.1")
  c.model.width = 4
  c.model.depth = 2
  for key, value in values.items():
    c.task[key] = value
  return c


def test_options_of_a_config_go_to_the_tasks_that_have_them():
  c = config_of(max_m=60.0, label_smoothing=0.1, weights=(1, 2, 3))
  task = assignment.make_task(c, DATASETS["scenes"])
  parts = dict(task.parts)
  assert parts["depth"].max_m == 60.0
  assert [name for name, *_ in parts["depth"].losses] == ["silog", "l1"]
  assert parts["semantic"].losses == (
    ("cross_entropy", 1.0, (("label_smoothing", 0.1),)),
  )
  assert task.weights == (1.0, 2.0, 3.0)
  assert task.best == ("miou", "max")


@pytest.mark.parametrize(
  ("values", "message"),
  [
    ({"tasks": ("semantic", "dept")}, "Did you mean 'depth'"),
    ({"tasks": ("semantic", "multi")}, "is not known"),
    ({"losses": ("l1",)}, "names none of the tasks"),
    ({"losses": ("depth/cosine",)}, "config.task.losses = 'cosine'"),
    ({"weights": (1.0, 2.0)}, "one number per task"),
    ({"weighting": "learnt"}, "fixed or learned"),
    ({"temperature": 0.3}, "not an option of any of the tasks"),
  ],
)
def test_a_config_that_cannot_be_is_answered(values, message):
  with pytest.raises(UserError, match=message):
    assignment.make_task(config_of(**values), DATASETS["scenes"])


def test_learned_weights_are_parameters_beside_the_networks_own():
  """Same names and outputs as the network alone; a step moves them."""
  c = config_of(weighting="learned", max_m=60.0)
  task = assignment.make_task(c, DATASETS["scenes"])
  model, alone = networks.make_model(c, task), networks.make_network(c, task)
  image = jax.random.uniform(jax.random.key(1), (2, 8, 8, 3))
  tx = optim.make_optimizer(optim.OptimOptions(lr=0.1), 10, {})
  new = quick.jit(
    lambda key: state.create_state(model, tx, (image,), key, False)
  )(jax.random.key(0))
  variables = quick.jit(lambda key: alone.init(key, image, train=False))(
    jax.random.key(0)
  )
  flat = flax.traverse_util.flatten_dict(new.params, sep="/")
  own = flax.traverse_util.flatten_dict(variables["params"], sep="/")
  assert flat.keys() - own.keys() == {"log_variance"}
  held = {k: v for k, v in new.params.items() if k != "log_variance"}
  rest = {"params": held, **new.model_state}
  a = probe.run(model, new.variables(), image)
  b = probe.run(alone, rest, image)
  assert a.keys() == b.keys()
  for key in a:
    np.testing.assert_array_equal(a[key], b[key])
  rng = np.random.default_rng(0)
  batch = {
    "image": image,
    "label": jnp.asarray(rng.integers(0, 8, (2, 8, 8)), jnp.int32),
    "depth": jnp.asarray(rng.uniform(1, 50, (2, 8, 8)), jnp.float32),
    "normal": jnp.zeros((2, 8, 8, 3)),
    "_mask": jnp.ones(2, bool),
    "_id": jnp.arange(2),
  }
  train = quick.jit(
    step.make_train_step(model, task, tx, optax.constant_schedule(0.1), seed=0)
  )
  after, logs = train(new, batch)
  moved = after.params["log_variance"]
  assert logs["finite"]
  assert moved[0] != 0
  assert moved[1] != 0
  assert moved[2] == 0  # no normals in this batch


def test_a_share_of_the_examples_keeps_a_field():
  fields = {
    "label": np.ones((2, 3), np.uint8),
    "depth": np.full((2, 3), 5.0, np.float32),
  }
  shares = missing.parse((("depth", 0.25), ("label", 0.5)), ("label", "depth"))
  kept = [missing.withhold(fields, i, shares, seed=3) for i in range(2000)]
  again = [missing.withhold(fields, i, shares, seed=3) for i in range(2000)]
  for key, void in (("depth", 0), ("label", IGNORE)):
    has = np.array([k[f"_has_{key}"] for k in kept])
    assert abs(has.mean() - shares[key]) < 0.04
    assert (has == [k[f"_has_{key}"] for k in again]).all()
    for one in kept:
      whole = one[f"_has_{key}"]
      assert (one[key] == (fields[key] if whole else void)).all()
  # Fields are chosen apart, and the given ones are not written to.
  both = np.mean([k["_has_depth"] & k["_has_label"] for k in kept])
  assert abs(both - 0.125) < 0.04
  assert (fields["depth"] == 5).all()


def test_what_people_drew_is_ignored_where_it_is_withheld():
  fields = {"boundary": np.zeros((2, 3), np.uint8)}
  kept = [missing.withhold(fields, i, {"boundary": 0.5}, 0) for i in range(9)]
  got = {(bool(k["_has_boundary"]), k["boundary"].max()) for k in kept}
  assert got == {(True, 0), (False, IGNORE)}


@pytest.mark.parametrize(
  ("keep", "message"),
  [
    ((("normal", 0.5),), "does not read"),
    ((("depth", 0.0),), "no share"),
    ((("depth", 1.5),), "no share"),
    (("depth", 0.5), "expected pairs"),
  ],
)
def test_a_share_that_cannot_be_is_answered(keep, message):
  with pytest.raises(UserError, match=message):
    missing.parse(keep, ("label", "depth"))
