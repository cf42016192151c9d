"""Networks that leave the enlargement to the loss: the same training."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseg import defaults, networks, state, step
from jaxseg.models import KIT, MODELS
from jaxseg.ops.grown import Grown
from jaxseg.tasks import Semantic
from tests import probe, quick
from tests.tiny import BASIC, DECODERS, DISTINCT, TINY

LATE = [n for n in DISTINCT if "later" in MODELS[n].module.__annotations__]
PALETTE = ((0, 0, 0),) * 3


def build(name, **fields):
  if name.startswith("kit "):
    name = name[4:]
    return KIT[name](
      outputs={"logits": 3},
      encoder=BASIC,
      **DECODERS.get(name, {}),
    ).clone(**fields)
  return MODELS[name](outputs={"logits": 3}, **TINY[name], **fields)


def test_which_networks_have_it():
  assert {"dorn", "fpn", "lraspp_mobilenet_v3_large"} <= set(LATE)
  assert len(LATE) >= 7


@pytest.mark.parametrize("name", [*LATE, *(f"kit {n}" for n in KIT)])
def test_logits_come_small_in_training_alone(name):
  """Shapes alone: what they grow to is the logits of everybody else."""
  image = jax.ShapeDtypeStruct((2, 45, 53, 3), jnp.float32)
  model = build(name, later=True)
  model_now = build(name)
  variables = jax.eval_shape(
    lambda x: model.init(jax.random.key(0), x, train=False), image
  )

  later, now = (
    [probe.outputs(m, variables, image, train) for train in (False, True)]
    for m in (model, model_now)
  )
  assert later[0] == now[0]
  small, whole = later[1], now[1]
  assert small.keys() == whole.keys()
  for head, x in small.items():
    assert x.shape == whole[head].shape
    grows = name not in ("kit unet", "kit linknet")  # they end at full size
    assert isinstance(x, Grown) == grows
    if grows:
      assert np.prod(x.small.shape) < np.prod(x.shape)


def test_one_step_is_that_of_the_whole_logits(random_variables):
  """With an auxiliary head, three losses, holes, and padding examples."""
  name = "pspnet_resnet50"
  rng = np.random.default_rng(0)
  label = rng.integers(0, 3, (3, 37, 45)).astype(np.uint8)
  label[rng.random(label.shape) < 0.3] = 255
  batch = {
    "image": rng.random((3, 37, 45, 3), np.float32),
    "label": label,
    "_mask": np.array([True, True, False]),
  }
  losses = (("cross_entropy", 1.0, ()), ("dice", 0.5, ()), ("focal", 0.3, ()))
  task = Semantic(tuple("abc"), PALETTE, losses)
  tx = optax.sgd(0.5)
  variables = random_variables(build(name), batch["image"])
  params = variables.pop("params")
  start = state.State(jnp.zeros((), jnp.int32), params, variables, (), None)
  start = start.replace(opt_state=tx.init(params))
  results = []
  for later in (False, True):
    run = step.make_train_step(
      build(name, later=later), task, tx, lambda _: 0.5, seed=0
    )
    results.append(quick.jit(run)(start, batch))
  (one, logs), (two, logs2) = results
  assert len(logs) >= 7
  for key, value in logs.items():
    np.testing.assert_allclose(logs2[key], value, rtol=2e-5, err_msg=key)
  for a, b, old in zip(*(jax.tree.leaves(x.params) for x in (one, two, start))):
    moved = np.abs(a - old).max()
    np.testing.assert_allclose(b, a, atol=1e-4 * moved + 1e-6, rtol=1e-5)


def test_the_config_decides():
  config = defaults.get_config()
  config.model.name = "deeplabv3plus_resnet50"
  task = Semantic(tuple("abc"), PALETTE)
  assert config.fused_loss
  assert networks.make_model(config, task).later
  config.fused_loss = False
  assert not networks.make_model(config, task).later
  config.fused_loss = True
  config.model.crf.iterations = 2  # the field wants whole logits
  assert not networks.make_model(config, task).network.later
