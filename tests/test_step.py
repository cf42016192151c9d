"""One step: the same on any number of devices, micro-batches and masks."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseg import mesh as mesh_lib
from jaxseg import optim, state, step
from jaxseg.tasks import Semantic
from jaxseg.types import IGNORE

CLASSES = ("a", "b", "c")
PALETTE = ((0, 0, 0), (1, 1, 1), (2, 2, 2))
LOSSES = (("cross_entropy", 1.0, ()), ("dice", 0.5, ()), ("focal", 0.3, ()))


class Net(nn.Module):
  """Two convolutions, and what a test asks for between them."""

  norm: bool = False
  dropout: float = 0.0
  aux: bool = False

  @nn.compact
  def __call__(self, image, *, train):
    x = nn.Conv(8, (3, 3), name="first")(image)
    if self.norm:
      x = nn.BatchNorm(use_running_average=not train, name="norm")(x)
    x = nn.Dropout(self.dropout, deterministic=not train)(nn.relu(x))
    out = {"logits": nn.Conv(3, (1, 1), name="head")(x)}
    if self.aux:
      out["aux"] = nn.Conv(3, (1, 1), name="aux")(x)
    return out


def batch(n=8, seed=0):
  """Masks as uneven as can be: one image with a lone valid pixel."""
  rng = np.random.default_rng(seed)
  label = rng.integers(0, 3, (n, 8, 8)).astype(np.uint8)
  label[0] = IGNORE
  label[0, 3, 3] = 1
  label[1, :5] = IGNORE
  return {
    "image": rng.integers(0, 256, (n, 8, 8, 3), np.uint8),
    "label": label,
    "_mask": np.ones(n, bool),
    "_id": np.arange(n, dtype=np.int32),
  }


def run(model=None, devices=1, steps=1, data=None, task=None, **kwargs):
  model = model or Net()
  task = task or Semantic(CLASSES, PALETTE)
  mesh = mesh_lib.make_mesh(devices)
  tx = optax.sgd(0.5)
  create = lambda: state.create_state(  # noqa: E731
    model,
    tx,
    (jnp.zeros((1, 8, 8, 3)),),
    jax.random.key(0),
    kwargs.get("ema_decay", 0) > 0,
  )
  sharding = mesh_lib.replicated(mesh)
  now = jax.jit(create, out_shardings=sharding)()
  fn = jax.jit(
    step.make_train_step(model, task, tx, lambda s: 0.5, seed=0, **kwargs),
    donate_argnums=0,
    out_shardings=(sharding, sharding),
  )
  for i in range(steps):
    placed = mesh_lib.put_batch(mesh, data or batch(seed=i))
    now, logs = fn(now, placed)
  return mesh_lib.to_host(now), mesh_lib.to_host(logs)


def initial():
  """The state before any step, compiled: eager initialization is slow."""
  return jax.jit(
    lambda: state.create_state(
      Net(),
      optax.sgd(0.5),
      (jnp.zeros((1, 8, 8, 3)),),
      jax.random.key(0),
      False,
    )
  )()


def check_close(a, b, atol=1e-6):
  jax.tree.map(
    lambda x, y: np.testing.assert_allclose(x, y, atol=atol, rtol=1e-5), a, b
  )


@pytest.mark.parametrize("norm", [False, True])
def test_eight_devices_are_one_device(norm):
  task = Semantic(CLASSES, PALETTE, LOSSES)
  one, logs1 = run(Net(norm=norm), 1, steps=3, task=task)
  eight, logs8 = run(Net(norm=norm), 8, steps=3, task=task)
  check_close(one, eight)
  check_close(logs1, logs8)


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulation_is_the_large_batch(parts):
  whole, logs = run()
  pieces, plogs = run(accumulate=parts)
  check_close(whole.params, pieces.params)
  np.testing.assert_allclose(logs["loss"], plogs["loss"], rtol=1e-6)
  np.testing.assert_allclose(logs["grad_norm"], plogs["grad_norm"], rtol=1e-5)


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulation_with_padding_examples(parts):
  """A micro-batch of padding alone, one of a lone pixel, two losses."""
  data = batch()
  data["_mask"][:] = [True, True, True, False, False, True, False, False]
  assert not data["_mask"][3::4].any()
  task = Semantic(
    CLASSES, PALETTE, (LOSSES[0], ("focal", 0.3, (("alpha", 0.25),)))
  )
  whole, logs = run(data=data, task=task)
  pieces, plogs = run(data=data, task=task, accumulate=parts)
  check_close(whole.params, pieces.params)
  for key in ("loss", "cross_entropy", "focal"):
    np.testing.assert_allclose(logs[key], plogs[key], rtol=1e-5)


def test_batch_norm_sees_micro_batches_one_after_the_other():
  """Two of four images move the running mean twice, by their own means."""
  data = batch()
  pieces, _ = run(Net(norm=True), data=data, accumulate=2)
  image = jnp.asarray(data["image"], jnp.float32) / 255
  model = Net(norm=True)
  # The first convolution does not depend on the normalisation behind it.
  params = jax.jit(
    lambda: model.init(jax.random.key(0), image[:1], train=False)
  )()["params"]["first"]
  first = jax.jit(nn.Conv(8, (3, 3)).apply)({"params": params}, image)
  want = 0.0
  for part in (first[0::2], first[1::2]):
    want = 0.99 * want + 0.01 * np.asarray(part).mean((0, 1, 2))
  got = pieces.model_state["batch_stats"]["norm"]["mean"]
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-7)
  whole, _ = run(Net(norm=True), data=data)
  once = whole.model_state["batch_stats"]["norm"]["mean"]
  np.testing.assert_allclose(
    once, 0.01 * np.asarray(first).mean((0, 1, 2)), rtol=1e-4, atol=1e-7
  )


def test_accumulation_over_devices():
  whole, _ = run()
  pieces, _ = run(devices=4, accumulate=2)
  check_close(whole.params, pieces.params)


def test_padding_examples_change_nothing():
  data = batch()
  half = {k: v[:4] for k, v in data.items()}
  data["_mask"][4:] = False
  a, logs_a = run(data=data)
  b, logs_b = run(data=half)
  np.testing.assert_array_equal(logs_a["loss"], logs_b["loss"])
  check_close(a.params, b.params)


def test_loss_is_per_pixel_not_per_image():
  """The lone pixel of image 0 weighs as much as any other pixel."""
  data = batch()
  _, logs = run(data=data)
  model = Net()
  variables = {"params": initial().params}
  image = jnp.asarray(data["image"], jnp.float32) / 255
  apply = jax.jit(lambda v, x: model.apply(v, x, train=False)["logits"])
  logp = np.asarray(jax.nn.log_softmax(apply(variables, image)), np.float64)
  total, pixels = 0.0, 0
  for index in np.argwhere(data["label"] != IGNORE):
    total -= logp[(*index, data["label"][tuple(index)])]
    pixels += 1
  np.testing.assert_allclose(logs["loss"], total / pixels, rtol=1e-5)


def test_not_finite_changes_nothing_and_says_so():
  data = batch()
  bad = {**data, "image": data["image"].astype(np.float32)}
  bad["image"][2, 0, 0, 0] = np.nan
  after, logs = run(data=bad)
  fresh = initial()
  assert not logs["finite"]
  assert int(after.step) == 0
  check_close(after.params, fresh.params, atol=0)


def test_auxiliary_heads_train_with_their_weight():
  task = Semantic(CLASSES, PALETTE, aux_weight=0.4)
  _, logs = run(Net(aux=True), task=task)
  np.testing.assert_allclose(
    logs["loss"], logs["cross_entropy"] + logs["aux/cross_entropy"], rtol=1e-6
  )
  double = dataclasses.replace(task, aux_weight=0.8)
  _, logs2 = run(Net(aux=True), task=double)
  np.testing.assert_allclose(
    logs2["aux/cross_entropy"], 2 * logs["aux/cross_entropy"], rtol=1e-6
  )


def test_dropout_depends_on_seed_and_step_alone():
  a, _ = run(Net(dropout=0.5), 1, steps=2)
  b, _ = run(Net(dropout=0.5), 4, steps=2)
  check_close(a, b)
  data = batch()
  _, logs1 = run(Net(dropout=0.5), data=data)
  _, logs2 = run(Net(dropout=0.5), steps=2, data=data)
  assert logs1["loss"] != logs2["loss"]


def test_ema_follows_its_formula():
  out, _ = run(steps=2, ema_decay=0.9)
  first, _ = run(steps=1)
  second, _ = run(steps=2)
  start = initial()

  def average(p0, p1, p2):
    e = 0.1 * p0 + 0.9 * p1  # decay (1 + 0) / (10 + 0)
    d = 2 / 11
    return d * e + (1 - d) * p2

  want = jax.tree.map(average, start.params, first.params, second.params)
  check_close(out.ema["params"], want)
  check_close(out.variables()["params"], want)
  check_close(out.variables(averaged=False)["params"], second.params)


def test_frozen_parameters_stay_and_the_rest_moves():
  model = Net()
  options = optim.OptimOptions(rules=(("^first/", 0.0),), schedule="constant")
  mesh = mesh_lib.make_mesh(1)
  inputs = (jnp.zeros((1, 8, 8, 3)),)
  shapes = jax.eval_shape(
    lambda: model.init(jax.random.key(0), *inputs, train=False)
  )["params"]
  tx = optim.make_optimizer(options, 10, shapes)
  now = jax.jit(
    lambda: state.create_state(model, tx, inputs, jax.random.key(0), False)
  )()
  task = Semantic(CLASSES, PALETTE)
  fn = jax.jit(step.make_train_step(model, task, tx, lambda s: 0.1, seed=0))
  after, _ = fn(now, mesh_lib.put_batch(mesh, batch()))
  check_close(after.params["first"], now.params["first"], atol=0)
  moved = jnp.abs(after.params["head"]["kernel"] - now.params["head"]["kernel"])
  assert float(moved.max()) > 0


def test_batch_that_does_not_divide_is_refused():
  mesh = mesh_lib.make_mesh(8)
  with pytest.raises(mesh_lib.UserError, match=r"= 12 is not divisible by 8"):
    mesh_lib.check_batch_size(mesh, 12)
  with pytest.raises(mesh_lib.UserError, match="multiple of 16"):
    mesh_lib.check_batch_size(mesh, 24, accumulate=2)
