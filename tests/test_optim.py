"""Schedules, masks, rates per path: values worked out by hand."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseg import optim
from jaxseg.optim import OptimOptions
from jaxseg.types import UserError

PARAMS = {
  "encoder": {"conv": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}},
  "head": {"kernel": jnp.ones((2, 3)), "bias": jnp.ones(3)},
}
GRADS = jax.tree.map(lambda p: 0.5 * jnp.ones_like(p), PARAMS)


def rates(at, steps=100, **kwargs):
  schedule = jax.jit(optim.make_schedule(OptimOptions(lr=2.0, **kwargs), steps))
  return [float(schedule(t)) for t in at]


def test_schedules_at_their_ends_and_in_the_middle():
  np.testing.assert_allclose(
    rates([0, 50, 100], schedule="poly"), [2, 2 * 0.5**0.9, 0], atol=1e-6
  )
  np.testing.assert_allclose(
    rates([0, 50, 100], schedule="cosine", final_lr_ratio=0.1),
    [2, 1.1, 0.2],
    rtol=1e-6,
  )
  np.testing.assert_allclose(
    rates([59, 60, 80], schedule="step"), [2, 0.2, 0.02], rtol=1e-5
  )
  assert rates([0, 99], schedule="constant") == [2, 2]


def test_warmup_is_linear_and_joins_the_schedule():
  got = rates([0, 3, 9, 10], schedule="constant", warmup_steps=10)
  np.testing.assert_allclose(got, [2 / 11, 8 / 11, 20 / 11, 2], rtol=1e-6)


def test_warmup_takes_at_most_half_of_a_short_run():
  got = rates([0, 2, 5], steps=10, schedule="constant", warmup_steps=100)
  np.testing.assert_allclose(got, [2 / 6, 1, 2], rtol=1e-6)


def update(options, params=PARAMS, grads=GRADS, n=1):
  tx = optim.make_optimizer(options, 100, params)

  @jax.jit
  def run(params):
    state = tx.init(params)
    for _ in range(n):
      updates, state = tx.update(grads, state, params)
      params = optax.apply_updates(params, updates)
    return params, state

  return run(params)


def test_sgd_momentum_decays_kernels_only():
  options = OptimOptions(
    name="sgd", lr=0.1, schedule="constant", momentum=0.9, weight_decay=0.2
  )
  params, _ = update(options, n=2)
  # Bias: 1 - .1 * .5 = .95, then velocity .5 + .45 = .95 -> .855.
  np.testing.assert_allclose(params["head"]["bias"], 0.855, rtol=1e-6)
  # Kernel: v1 = .5 + .2 = .7 -> .93; v2 = .5 + .186 + .63 = 1.316 -> .7984.
  np.testing.assert_allclose(params["head"]["kernel"], 0.7984, rtol=1e-6)


def test_adamw_first_step_is_lr_plus_decay():
  options = OptimOptions(lr=0.1, schedule="constant", weight_decay=0.3)
  params, _ = update(options)
  np.testing.assert_allclose(params["head"]["bias"], 0.9, rtol=1e-5)
  np.testing.assert_allclose(params["head"]["kernel"], 0.9 - 0.03, rtol=1e-5)


def test_rules_scale_and_freeze():
  options = OptimOptions(
    name="sgd",
    lr=0.1,
    schedule="constant",
    momentum=0.9,
    weight_decay=0,
    rules=(("^encoder/", 0.0), ("bias$", 2.0)),
  )
  params, state = update(options)
  assert (params["encoder"]["conv"]["bias"] == 1).all()
  np.testing.assert_allclose(params["head"]["kernel"], 0.95)
  np.testing.assert_allclose(params["head"]["bias"], 0.9)
  # Frozen parameters have no momentum: only the head's arrays are kept.
  kept = [x.shape for x in jax.tree.leaves(state) if x.ndim]
  assert sorted(kept) == [(2, 3), (3,)] or sorted(kept) == [(3,), (2, 3)]


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_unfreezes_at_a_step(name):
  """Still for two steps, then at a tenth of the rate, moments warm."""
  options = OptimOptions(
    name=name,
    lr=0.1,
    schedule="constant",
    momentum=0.9,
    weight_decay=0,
    rules=(("^encoder/", 0.1, 2),),
  )
  still, _ = update(options, n=2)
  assert (still["encoder"]["conv"]["bias"] == 1).all()
  assert (still["head"]["bias"] < 1).all()
  moved, _ = update(options, n=3)
  change = 1 - moved["encoder"]["conv"]["bias"]
  # As if it had trained all the time: the third of three steps, a tenth of it.
  free = dataclasses.replace(options, rules=())
  want = [update(free, n=n)[0]["encoder"]["conv"]["bias"] for n in (2, 3)]
  np.testing.assert_allclose(change, 0.1 * (want[0] - want[1]), rtol=1e-4)


def test_clipping_uses_the_norm_of_what_is_trained():
  base = {"name": "sgd", "lr": 1.0, "schedule": "constant", "momentum": 0.0}
  huge = jax.tree.map(lambda g: g, GRADS)
  huge["encoder"] = jax.tree.map(lambda g: 1e6 * g, huge["encoder"])
  options = OptimOptions(
    **base, weight_decay=0, clip_norm=0.3, rules=(("^encoder/", 0.0),)
  )
  params, _ = update(options, grads=huge)
  # Head: 9 gradients of .5, norm 1.5, clipped to .3: a fifth.
  np.testing.assert_allclose(params["head"]["bias"], 1 - 0.1, rtol=1e-5)


@pytest.mark.parametrize(
  ("kwargs", "says"),
  [
    ({"schedule": "polly"}, "one of constant, poly"),
    ({"name": "adan"}, "one of sgd, adam, adamw"),
    ({"rules": (("nothing", 0.1),)}, "decides for no parameter"),
    ({"rules": (("(", 0.1),)}, "rules"),
  ],
)
def test_mistakes(kwargs, says):
  with pytest.raises(UserError, match=says):
    optim.make_optimizer(OptimOptions(**kwargs), 100, PARAMS)
