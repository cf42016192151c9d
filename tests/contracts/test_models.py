"""One contract for every network of the registry, at tiny widths."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseg import losses, types
from jaxseg.models import MODELS
from tests import probe, quick
from tests.tiny import DISTINCT, TINY

CASES = {
  **{name: (name, {}) for name in DISTINCT},
  "unet, batch": ("unet", {"norm": "batch", "up": "bilinear"}),
  "unet, group": ("unet", {"norm": "group", "up": "nearest"}),
  "unet, pets": ("unet", {"up": "tconv3", "extra_conv": True}),
  "unet, valid": ("unet", {"padding": "valid"}),
  "fcn8s, batch": ("fcn8s", {"batch_norm": True, "learned_upscore": True}),
}


def make(case, **fields):
  name, options = CASES[case]
  return MODELS[name](
    outputs={"logits": 3}, **{**TINY[name], **options, **fields}
  )


@pytest.fixture(scope="module")
def built(random_variables):
  return functools.cache(functools.partial(build, random_variables))


def build(random_variables, case):
  model = make(case)
  image = np.random.default_rng(0).random((2, 37, 45, 3), np.float32)
  variables = random_variables(model, image)
  apply = quick.jit(lambda v, x: model.apply(v, x, train=False)["logits"])
  return model, variables, apply, image


def test_every_network_has_a_tiny_form():
  assert set(TINY) == set(MODELS)
  assert list(MODELS) == sorted(MODELS)


@pytest.mark.parametrize("case", sorted(CASES))
def test_logits_have_the_size_of_the_image(case):
  model = make(case)
  variables = None
  for size in ((1, 1), (32, 32), (33, 50), (64, 17)):
    size = tuple(max(n, model.min_size) for n in size)
    image = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    variables = variables or jax.eval_shape(
      lambda x: model.init(jax.random.key(0), x, train=False), image
    )
    out = jax.eval_shape(
      lambda v, x: model.apply(v, x, train=False), variables, image
    )
    assert out["logits"].shape == (2, *size, 3)
    assert out["logits"].dtype == jnp.float32


@pytest.mark.parametrize("case", sorted(CASES))
def test_examples_do_not_see_each_other_in_evaluation(case, built):
  _, variables, apply, image = built(case)
  both = apply(variables, image)
  changed = apply(variables, np.stack([image[0], image[1][::-1]]))
  np.testing.assert_allclose(both[0], changed[0], atol=1e-5)
  assert np.abs(both[1] - changed[1]).max() > 1e-4


@pytest.mark.parametrize("case", sorted(CASES))
def test_every_parameter_gets_a_gradient(case, built):
  model, variables, _, image = built(case)
  label = np.random.default_rng(1).integers(0, 3, (2, 37, 45))

  @quick.jit
  def gradients(params):
    def loss(params):
      out, new = model.apply(
        {**variables, "params": params},
        image,
        train=True,
        mutable=["batch_stats"],
        rngs={"dropout": jax.random.key(0)},
      )
      assert all(k == "logits" or k.startswith("aux") for k in out)
      terms = [losses.cross_entropy(x, label).compute() for x in out.values()]
      return sum(terms), new

    return jax.grad(loss, has_aux=True)(params)

  grads, new = gradients(variables["params"])
  for path, g in jax.tree_util.tree_leaves_with_path(grads):
    name = jax.tree_util.keystr(path)
    assert np.isfinite(g).all(), name
    if not probe.subtracted_again(grads, path):
      assert np.abs(g).max() > 0, name
  # Training moves every running statistic, and nothing but them.
  old = variables.get("batch_stats", {})
  moved = new.get("batch_stats", {})
  assert jax.tree.structure(old) == jax.tree.structure(moved)
  for a, b in zip(jax.tree.leaves(old), jax.tree.leaves(moved)):
    assert np.abs(a - b).max() > 0


@pytest.mark.parametrize("case", ["unet, batch", "fcn8s"])
def test_half_precision_keeps_parameters_and_logits(case, built):
  _, variables, apply, image = built(case)
  half = make(case, dtype="bfloat16")
  out = quick.jit(lambda v, x: half.apply(v, x, train=False)["logits"])(
    variables, image
  )
  assert out.dtype == jnp.float32
  shapes = jax.eval_shape(
    lambda x: half.init(jax.random.key(0), x, train=False), image
  )
  assert {x.dtype for x in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}
  want = apply(variables, image)
  scale = np.abs(want).max()
  assert 0 < np.abs(out - want).max() < 0.1 * scale  # 8 bits, many layers


@pytest.mark.parametrize("name", sorted(MODELS))
def test_registry_refuses_unknown_fields_and_small_images(name):
  with pytest.raises(TypeError, match="widht"):
    MODELS[name](outputs={"logits": 3}, widht=4)
  model = MODELS[name](outputs={"logits": 3}, **TINY[name])
  small = jnp.zeros((1, model.min_size - 1, 64, 3))
  with pytest.raises(types.UserError, match=f"at least {model.min_size}"):
    model.init(jax.random.key(0), small, train=False)


def overfit(model, steps=150):
  """Mean IoU on three images of a bright square after training on them."""
  rng = np.random.default_rng(0)
  label = np.zeros((3, 32, 32), np.int32)
  for i in range(3):
    y, x = rng.integers(4, 14, 2)
    label[i, y : y + 14, x : x + 14] = 1 + i % 2
  colours = np.array([[0.1, 0.2, 0.1], [0.9, 0.3, 0.2], [0.2, 0.4, 0.9]])
  image = colours[label] + rng.normal(0, 0.05, (*label.shape, 3))
  image = image.astype(np.float32)
  variables = quick.jit(lambda k: dict(model.init(k, image, train=False)))(
    jax.random.key(0)
  )
  params = variables.pop("params")
  optimizer = optax.adam(3e-3)

  @jax.jit
  def step(params, rest, state):
    def loss(params):
      out, updated = model.apply(
        {"params": params, **rest}, image, train=True, mutable=list(rest)
      )
      value = losses.cross_entropy(out["logits"], label).compute()
      return value, (updated, out["logits"])

    grads, (rest, logits) = jax.grad(loss, has_aux=True)(params)
    updates, state = optimizer.update(grads, state)
    return optax.apply_updates(params, updates), rest, state, logits

  state = optimizer.init(params)
  for _ in range(steps):
    params, variables, state, logits = step(params, variables, state)
  got = np.argmax(logits, -1)
  return np.mean(
    [
      ((got == k) & (label == k)).sum() / ((got == k) | (label == k)).sum()
      for k in range(3)
    ]
  )


@pytest.mark.slow
def test_unet_overfits_three_images():
  model = MODELS["unet"](outputs={"logits": 3}, **{**TINY["unet"], "width": 8})
  assert overfit(model) > 0.95


@pytest.mark.slow
def test_fcn_overfits_as_far_as_its_stride_allows():
  """8s draws the squares; 32s cannot, they are half of its one cell wide."""
  fields = {**TINY["fcn8s"], "width": 8, "fc_width": 64, "batch_norm": True}
  fine = overfit(MODELS["fcn8s"](outputs={"logits": 3}, **fields), steps=120)
  coarse = overfit(MODELS["fcn32s"](outputs={"logits": 3}, **fields), steps=40)
  assert fine > 0.9
  assert coarse < fine - 0.1
