"""Batch normalisation: values, statistics and gradients as Flax has them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxseg import layers
from jaxseg.ops import batch_norm
from tests import quick

SHAPES = [(2, 5, 7, 3), (1, 1, 4, 8), (3, 4, 1, 1), (1, 1, 1, 2), (8, 16, 9, 6)]


def arrays(shape, dtype="float32"):
  rng = np.random.default_rng(sum(shape))
  x = 3 + 2 * rng.normal(size=shape)
  variables = {
    "params": {
      "scale": rng.uniform(0.5, 2, shape[-1:]),
      "bias": rng.normal(size=shape[-1:]),
    },
    "batch_stats": {
      "mean": rng.normal(size=shape[-1:]),
      "var": rng.uniform(0.5, 2, shape[-1:]),
    },
  }
  variables = jax.tree.map(lambda a: a.astype(np.float32), variables)
  return jnp.asarray(x, dtype), variables, rng.normal(size=shape)


def trained(apply):
  """Value, new statistics, gradients to the input and all parameters."""

  def run(x, variables, dy):
    def loss(x, params):
      y, new = apply({**variables, "params": params}, x)
      return (y.astype(jnp.float32) * dy).sum(), (y, new)

    (_, rest), grads = jax.value_and_grad(loss, (0, 1), has_aux=True)(
      x, variables["params"]
    )
    return *rest, grads

  return quick.jit(run)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_training_equals_flax(shape, dtype):
  ours = layers.BatchNorm(0.8, 1e-3, dtype)
  theirs = nn.BatchNorm(False, momentum=0.8, epsilon=1e-3, dtype=dtype)
  x, variables, dy = arrays(shape, dtype)
  got, want = (
    trained(f)(x, variables, dy)
    for f in (
      lambda v, x: ours.apply(v, x.shape[-1], x, mutable=["batch_stats"]),
      lambda v, x: theirs.apply(v, x, mutable=["batch_stats"]),
    )
  )
  assert jax.tree.structure(got) == jax.tree.structure(want)
  near = 2e-2 if dtype == "bfloat16" else 2e-5
  for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want)):
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    a, b = np.float32(a), np.float32(b)
    # One value a channel: its own mean, and gradients of rounding errors.
    floor = 1e-2 if shape[:3] == (1, 1, 1) else near
    np.testing.assert_allclose(a, b, rtol=near, atol=floor * (1 + abs(b).max()))


def test_running_statistics_equal_flax_and_stay():
  x, variables, _ = arrays((2, 5, 7, 3))
  affine, new = layers.BatchNorm().apply(variables, 3, mutable=["batch_stats"])
  y = affine(x)
  want = nn.BatchNorm(True).apply(variables, x)
  np.testing.assert_allclose(y, want, rtol=1e-6, atol=1e-6)
  jax.tree.map(
    np.testing.assert_array_equal, new["batch_stats"], variables["batch_stats"]
  )


def test_variables_are_those_of_flax():
  x = jnp.ones((1, 2, 2, 3))
  ours = layers.BatchNorm().init(jax.random.key(0), 3, x)
  theirs = nn.BatchNorm(False).init(jax.random.key(0), x)
  jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_statistics_are_of_the_whole_batch_on_many_devices():
  x, variables, dy = arrays((8, 16, 9, 6))
  ours = layers.BatchNorm()
  f = trained(
    lambda v, x: ours.apply(v, x.shape[-1], x, mutable=["batch_stats"])
  )
  one = f(x, variables, dy)
  mesh = Mesh(np.array(jax.devices()), "d")
  rows = NamedSharding(mesh, PartitionSpec("d"))
  many = f(jax.device_put(x, rows), variables, jax.device_put(dy, rows))
  for a, b in zip(jax.tree.leaves(many), jax.tree.leaves(one)):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6 * abs(b).max())


def test_sums_keep_their_digits():
  """A mean far from zero: 2^17 numbers of 100 +- 1 and their squares."""
  x = 100 + np.random.default_rng(0).normal(size=(8, 128, 128, 2))
  x = x.astype(np.float32)
  got = quick.jit(batch_norm.channel_sums)(x)
  np.testing.assert_allclose(got, x.sum((0, 1, 2), dtype=np.float64), rtol=2e-6)
  got = quick.jit(batch_norm.channel_sums)(x * x)
  want = (x * x).sum((0, 1, 2), dtype=np.float64)
  np.testing.assert_allclose(got, want, rtol=2e-6)
