"""Eight fake devices, random variables without an initialiser, few blocks."""

import os

# Before anything imports JAX.
os.environ["XLA_FLAGS"] = (
  os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# No test leaves programs in the user's cache, or the cache on for the next one.
os.environ["JAX_COMPILATION_CACHE_DIR"] = ""

import gc

import jax
import numpy as np
import pytest


def pytest_collection_modifyitems(items):
  """Orbax abandons coroutines when a read fails; they complain when collected,
  which `_collected` does."""
  silent = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
  )
  for item in items:
    if item.get_closest_marker("damage"):
      item.add_marker(silent)


@pytest.fixture(autouse=True)
def _collected(request):
  """Here, and not in the midst of another file's tests."""
  yield
  if request.node.get_closest_marker("damage"):
    gc.collect()


@pytest.fixture
def few_blocks(monkeypatch):
  """One or two per stride in MobileNets, EfficientNets: quick to compile."""
  from jaxseg.encoders import efficientnet, mobilenet_v2, mobilenet_v3

  stages = tuple(efficientnet.STAGES[i] for i in (0, 1, 2, 3, 5))
  monkeypatch.setattr(efficientnet, "STAGES", stages)
  groups = ((1, 16, 1, 1), (6, 24, 1, 2), (6, 32, 1, 2), (6, 96, 1, 2))
  monkeypatch.setattr(mobilenet_v2, "GROUPS", (*groups, (6, 160, 2, 2)))
  rows = tuple(mobilenet_v3.LARGE[i] for i in (0, 1, 3, 6, 12))
  monkeypatch.setitem(mobilenet_v3.BLOCKS, "large", rows)


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
  from tests import cli  # heavy, and few tests want it

  with cli.Server(tmp_path_factory.mktemp("server")) as server:
    yield server


@pytest.fixture(scope="session")
def data(tmp_path_factory):
  """A folder of images and masks."""
  from tests import cli

  return cli.write_folder(tmp_path_factory.mktemp("folder") / "data")
