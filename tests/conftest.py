"""Eight fake devices, and random variables without an initialiser."""

import os

# Before anything imports JAX.
os.environ["XLA_FLAGS"] = (
  os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np
import pytest


@pytest.fixture(scope="session")
def random_variables():
  """fn(model, image) -> variables: He-normal kernels, small biases."""

  def fill(model, image, seed=0):
    rng = np.random.default_rng(seed)

    def leaf(path, x):
      if path[-1].key == "var":
        return rng.uniform(0.5, 2, x.shape).astype(x.dtype)
      if x.ndim == 1:
        offset = 1.0 if path[-1].key == "scale" else 0.0
        return (offset + 0.1 * rng.normal(size=x.shape)).astype(x.dtype)
      fan_in = np.prod(x.shape[:-1])
      return (rng.normal(size=x.shape) * np.sqrt(2 / fan_in)).astype(x.dtype)

    shapes = jax.eval_shape(
      lambda x: model.init(jax.random.key(0), x, train=False), image
    )
    return jax.tree_util.tree_map_with_path(leaf, shapes)

  return fill


@pytest.fixture(scope="session")
def server(tmp_path_factory):
  """Runs command lines; see cli.Server."""
  import cli  # heavy, and few tests want it

  with cli.Server(tmp_path_factory.mktemp("server")) as server:
    yield server


@pytest.fixture(scope="session")
def data(tmp_path_factory):
  """A folder of images and masks."""
  import cli

  return cli.write_folder(tmp_path_factory.mktemp("folder") / "data")
