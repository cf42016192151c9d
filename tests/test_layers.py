"""The block of convolution, normalisation and activation, against its parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import layers
from jaxseg.ops import direct
from tests import quick


def apart(variables, x, act, dtype):
  """By hand, in float32 or in the dtype; running statistics."""
  params, stats = variables["params"], variables["batch_stats"]["norm"]
  kernel = params["conv"]["kernel"].astype(dtype)
  y = jax.lax.conv_general_dilated(
    x.astype(dtype),
    kernel,
    (2, 2),
    ((1, 1), (1, 1)),
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )
  if "bias" in params["conv"]:
    y = y + params["conv"]["bias"].astype(dtype)
  y = (y - stats["mean"]) / jnp.sqrt(stats["var"] + 1e-3)
  y = y * params["norm"]["scale"] + params["norm"]["bias"]
  return layers.ACTIVATIONS[act](y.astype(dtype))


@pytest.mark.parametrize(
  ("act", "use_bias", "frozen", "dtype", "features"),
  [
    ("relu", False, False, "float32", 7),
    ("relu", True, False, "float32", 7),
    ("relu6", True, True, "float32", 7),
    ("relu6", True, True, "float32", 16),
    ("hard_swish", False, False, "float32", 16),
    ("none", False, True, "float32", 7),
    ("relu", True, False, "bfloat16", 7),
  ],
)
def test_running_statistics_are_taken_in(
  act, use_bias, frozen, dtype, features
):
  """Outputs, and gradients to everything, as of the three one by one.

  Sixteen features are normalised in the convolution, where there is C++.
  """
  block = layers.ConvNormAct(
    features,
    stride=2,
    act=act,
    use_bias=use_bias,
    frozen=frozen,
    epsilon=1e-3,
    dtype=dtype,
  )
  rng = np.random.default_rng(0)
  x = jnp.asarray(rng.normal(size=(3, 9, 11, 5)), jnp.float32)
  shapes = jax.eval_shape(
    lambda x: block.init(jax.random.key(0), x, train=False), x
  )
  variables = jax.tree.map(
    lambda a: jnp.asarray(rng.uniform(0.5, 1.5, a.shape), jnp.float32), shapes
  )

  def ours(variables, x):
    return block.apply(variables, x, train=frozen)

  def theirs(variables, x):
    return apart(variables, x, act, dtype)

  def everything(f):
    def score(params, x):
      y = f({**variables, "params": params}, x)
      weight = jnp.cos(jnp.arange(y.size)).reshape(y.shape)
      return jnp.sum(y.astype(jnp.float32) * weight), y

    grad = jax.value_and_grad(score, (0, 1), has_aux=True)
    return grad(variables["params"], x)

  got, want = quick.jit(lambda: (everything(ours), everything(theirs)))()
  near = 1e-5 if dtype == "float32" else 2e-2
  assert got[0][1].dtype == want[0][1].dtype
  for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want)):
    a, b = (np.asarray(c, np.float64) for c in (a, b))
    np.testing.assert_allclose(a, b, rtol=near, atol=near * np.abs(b).max())


def test_the_tree_is_the_same_in_training_and_evaluation():
  block = layers.ConvNormAct(3)
  x = jnp.zeros((1, 4, 4, 2))
  for train in (False, True):
    shapes = jax.eval_shape(
      lambda x, t=train: block.init(jax.random.key(0), x, train=t), x
    )
    assert jax.tree.map(lambda a: a.shape, shapes) == {
      "params": {
        "conv": {"kernel": (3, 3, 2, 3)},
        "norm": {"scale": (3,), "bias": (3,)},
      },
      "batch_stats": {"norm": {"mean": (3,), "var": (3,)}},
    }


@pytest.mark.skipif(bool(direct.missing()), reason=direct.missing())
@pytest.mark.parametrize("norm", ["batch", "none", "group"])
@pytest.mark.parametrize("act", ["relu", "hard_swish"])
def test_one_pass_where_statistics_do_not_come_from_the_batch(norm, act):
  """Nothing is left to be done to the maps behind the convolution."""
  block = layers.ConvNormAct(16, norm=norm, act=act, use_bias=norm == "none")
  x = jnp.ones((1, 16, 17, 3))
  variables = jax.jit(lambda: block.init(jax.random.key(0), x, train=False))()

  def calls(train):
    def f(variables, x):
      return block.apply(
        variables, x, train=train, mutable=["batch_stats"] if train else False
      )

    text = jax.jit(f).lower(variables, x).as_text()
    return [text.count(f"@{direct.target(name)}(") for name in direct.NAMES]

  assert calls(False) == ([1, 0, 0] if norm == "group" else [0, 1, 0])
  assert calls(True) == ([0, 1, 0] if norm == "none" else [1, 0, 0])
