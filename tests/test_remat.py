"""Stages computed again: same numbers, parameters and draws, less memory."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseg import compiling, remat, state, step
from jaxseg.models import MODELS
from jaxseg.models.scalars import WithScalars
from jaxseg.tasks import Semantic
from jaxseg.types import UserError
from tests import quick
from tests.tiny import BASIC, TINY

TASK = Semantic(tuple("abc"), ((0, 0, 0),) * 3)
UNET = {"norm": "batch", "dropout": 0.5, "dropout_at": "every"}


def make(name, **fields):
  fields = {**TINY[name], **fields}
  return MODELS[name](outputs={"logits": 3}, **fields)


MODELS_HERE = {
  "unet": make("unet", **UNET),
  "deeplabv3plus": make("deeplabv3plus_resnet50", dropout=0.5),
}


def grad_step(model, stages):
  """(variables, image) -> loss, gradients, running statistics."""

  def loss(params, rest, image):
    with remat.rematerialized(stages) as met:
      out, new = model.apply(
        {"params": params, **rest},
        image,
        train=True,
        mutable=list(rest),
        rngs={"dropout": jax.random.key(1)},
      )
    assert bool(met) == bool(stages)
    return jnp.sum(jnp.sin(out["logits"])), (new, out["logits"])

  def run(variables, image):
    rest = dict(variables)
    return jax.value_and_grad(loss, has_aux=True)(
      rest.pop("params"), rest, image
    )

  return run


@pytest.mark.parametrize("name", MODELS_HERE)
def test_nothing_but_the_memory_changes(name, random_variables):
  """Other draws of dropout would give other logits; these are rounding."""
  model, stages = MODELS_HERE[name], "blocks"
  image = np.random.default_rng(0).random((2, 33, 40, 3), np.float32)
  variables = random_variables(model, image)
  (want, (new, logits)), grads = quick.jit(grad_step(model, ""))(
    variables, image
  )
  (got, (new2, logits2)), grads2 = quick.jit(grad_step(model, stages))(
    variables, image
  )
  assert jax.tree.structure(grads) == jax.tree.structure(grads2)
  assert jax.tree.structure(new) == jax.tree.structure(new2)
  np.testing.assert_allclose(got, want, rtol=1e-5)
  np.testing.assert_allclose(logits2, logits, rtol=1e-5, atol=1e-5)
  scale = max(float(np.abs(g).max()) for g in jax.tree.leaves(grads))
  for a, b in zip(
    jax.tree.leaves((grads, new)), jax.tree.leaves((grads2, new2))
  ):
    np.testing.assert_allclose(a, b, atol=1e-5 * scale, rtol=1e-4)


def test_parameters_are_made_under_the_same_names():
  model = make("unet", **UNET)
  image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)

  def init(stages):
    def run(image):
      with remat.rematerialized(stages):
        return model.init(jax.random.key(0), image, train=False)

    return jax.eval_shape(run, image)

  assert init("") == init("blocks")


def test_parameters_beside_the_network_are_met_too():
  """The names of a network that shares its scope are those it has alone."""
  plain = make("unet")
  image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
  found = []
  for model in (plain, WithScalars(plain, {"w": 2})):
    with remat.rematerialized("blocks") as met:
      jax.eval_shape(
        lambda x, m=model: m.init_with_output(jax.random.key(0), x, train=True),
        image,
      )
    found.append(met)
  assert found[0] == found[1]
  assert "down0_conv1" in found[0]


def temporary(stages, options):
  model = MODELS["unet"](outputs={"logits": 3}, width=8, depth=1)
  image = jnp.zeros((4, 64, 64, 3))
  batch = {"image": image, "label": jnp.zeros((4, 64, 64), jnp.int32)}
  tx = optax.sgd(0.1)
  now = jax.eval_shape(
    lambda: state.create_state(model, tx, (image,), jax.random.key(0), False)
  )
  run = quick.jit(
    step.make_train_step(model, TASK, tx, lambda _: 0.1, seed=0, remat=stages),
    donate_argnums=0,
    compiler_options=options,
  )
  memory = run.lower(now, batch).compile().memory_analysis()
  return memory.temp_size_in_bytes


def test_memory_falls():
  """And not by an accident of the options: they alone change nothing."""
  options = compiling.IN_ORDER["cpu"]
  plain = temporary("", {})
  assert temporary("", options) >= 0.95 * plain
  assert temporary("blocks", options) < 0.8 * plain


def test_programs_in_order_are_asked_for(monkeypatch):
  seen = {}
  monkeypatch.setattr(jax, "jit", lambda f, **rest: seen.update(rest))
  compiling.jit(len, in_order=True)
  assert seen["compiler_options"].items() >= compiling.IN_ORDER["cpu"].items()


def test_which_modules_are_stages():
  blocks = remat.selector("blocks")
  assert blocks(("encoder", "layer1_0"))
  assert blocks(("decoder", "aspp"))
  assert blocks(("down0_conv1",))
  assert not blocks(("encoder",))
  assert not blocks(("encoder", "layer1_0", "conv1"))
  some = remat.selector("^encoder/layer[12]")
  assert some(("encoder", "layer2_3"))
  assert not some(("encoder", "layer3_0"))
  assert not remat.selector("")(("encoder",))


def test_mistakes_are_told():
  model = make("deeplabv3_resnet50", encoder=BASIC)
  image = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)

  def run():
    jax.eval_shape(
      lambda x: model.init(jax.random.key(0), x, train=False), image
    )

  remat.check("blocks", run)
  remat.check("", run)
  with pytest.raises(UserError, match=r"names no part.*encoder/stem"):
    remat.check("^layer1", run)
  with pytest.raises(UserError, match="no regular expression"):
    remat.check("(", run)
