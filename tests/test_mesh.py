"""Rows and parameters over devices: one device's numbers, and no map gathered.

What the partitioner does is read off the compiled text: an all-gather or
all-to-all there is a map that left its device.
"""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseg import checkpoint, state, step
from jaxseg import mesh as mesh_lib
from jaxseg.encoders import ENCODERS
from jaxseg.models import MODELS
from jaxseg.models.deeplab import DeepLabV3Plus
from jaxseg.models.kit import KIT
from jaxseg.tasks import Semantic
from tests import quick

TASK = Semantic(("a", "b", "c"), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))
OUT = {"logits": 3}
ENCODER = ENCODERS["resnet18"](width=4, blocks=(1, 1, 1, 1))
NETWORKS = {
  "unet": lambda: MODELS["unet"](outputs=OUT, width=4, depth=2, norm="batch"),
  "deeplabv3plus": lambda: KIT["deeplabv3plus"](
    outputs=OUT, encoder=ENCODER, width=4, low_width=4, dropout=0.0
  ),
  # Pads 64 rows to 65: maps of 33, 17 and 5 rows, which no device count splits.
  "deeplabv3plus_grid": lambda: DeepLabV3Plus(
    outputs=OUT, encoder=ENCODER, width=4, low_width=4, dropout=0.0
  ),
}
HEIGHT, WIDTH = 64, 32


def batch(n=2):
  rng = np.random.default_rng(0)
  return {
    "image": rng.integers(0, 256, (n, HEIGHT, WIDTH, 3), np.uint8),
    "label": rng.integers(0, 3, (n, HEIGHT, WIDTH)).astype(np.uint8),
    "_mask": np.ones(n, bool),
    "_id": np.arange(n, dtype=np.int32),
  }


@functools.cache
def run(name, devices, space=1, fsdp=False):
  """One step of SGD at rate 1 with momentum: new state, logs, HLO text."""
  model, tx = NETWORKS[name](), optax.sgd(1.0, 0.9)
  mesh = mesh_lib.make_mesh(devices, space)
  first = start(name, mesh, fsdp)
  shardings = jax.tree.map(lambda x: x.sharding, first)
  fn = step.make_train_step(
    model,
    TASK,
    tx,
    lambda s: 1.0,
    seed=0,
    gather=mesh_lib.gather(mesh, fsdp),
  )
  compiled = (
    quick.jit(
      mesh_lib.traced(mesh, fn),
      out_shardings=(shardings, mesh_lib.replicated(mesh)),
    )
    .lower(first, mesh_lib.put_batch(mesh, batch()))
    .compile()
  )
  after, logs = compiled(first, mesh_lib.put_batch(mesh, batch()))
  return after, mesh_lib.to_host(logs), compiled


@functools.cache
def numbers(name):
  """The initial state, on the host."""
  create = lambda: state.create_state(  # noqa: E731
    NETWORKS[name](),
    optax.sgd(1.0, 0.9),
    (jnp.zeros((1, HEIGHT, WIDTH, 3)),),
    jax.random.key(1),
    False,
  )
  return mesh_lib.to_host(quick.jit(create)())


def start(name, mesh, fsdp):
  host = numbers(name)
  return jax.device_put(host, mesh_lib.state_sharding(mesh, host, fsdp))


def collectives(compiled):
  """{kind: how many}."""
  found = re.findall(
    r" (all-gather|all-to-all|all-reduce|collective-permute|reduce-scatter)"
    r"(?:-start)?\(",
    compiled.as_text(),
  )
  return {kind: found.count(kind) for kind in set(found)}


def check_same_step(name, one, other):
  """Loss to 1e-5, gradients to 1e-4 of each array's largest."""
  np.testing.assert_allclose(one[1]["loss"], other[1]["loss"], rtol=1e-5)

  def check(before, a, b):
    largest = np.abs(before - a).max()
    np.testing.assert_allclose(a, b, atol=1e-4 * largest + 1e-7)

  jax.tree.map(
    check,
    numbers(name).params,
    mesh_lib.to_host(one[0].params),
    mesh_lib.to_host(other[0].params),
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
    mesh_lib.to_host(one[0].model_state),
    mesh_lib.to_host(other[0].model_state),
  )


SLOW = {"deeplabv3plus_grid": [pytest.mark.slow]}


@pytest.mark.parametrize(
  "name", [pytest.param(n, marks=SLOW.get(n, [])) for n in sorted(NETWORKS)]
)
def test_rows_over_four_devices(name):
  """2 x 4: examples over two groups, rows over the four of each."""
  one, split = run(name, 1), run(name, 8, 4)
  check_same_step(name, one, split)
  found = collectives(split[2])
  assert found["collective-permute"] > 10  # rows of neighbours
  assert found["all-reduce"] > 10  # statistics, loss, gradients
  assert not {"all-gather", "all-to-all"} & set(found), found
  arguments = split[2].memory_analysis().temp_size_in_bytes
  assert arguments < one[2].memory_analysis().temp_size_in_bytes / 3


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_outputs_of_split_images_are_one_devices(name):
  model, host = NETWORKS[name](), numbers(name)
  image = batch()["image"] / np.float32(255)

  def forward(variables, image):
    return model.apply(variables, image, train=False)["logits"]

  outputs = []
  for devices, space in ((1, 1), (4, 4)):
    mesh = mesh_lib.make_mesh(devices, space)
    rows = mesh_lib.batch_sharding(mesh, "image", 4)
    compiled = (
      quick.jit(mesh_lib.traced(mesh, forward), out_shardings=rows)
      .lower(
        jax.device_put(host.variables(), mesh_lib.replicated(mesh)),
        jax.device_put(image, rows),
      )
      .compile()
    )
    outputs.append(
      np.asarray(
        compiled(
          jax.device_put(host.variables(), mesh_lib.replicated(mesh)),
          jax.device_put(image, rows),
        )
      )
    )
  np.testing.assert_allclose(*outputs, atol=1e-5)
  found = collectives(compiled)
  assert not {"all-gather", "all-to-all"} & set(found), found


def test_parameters_over_devices(monkeypatch, tmp_path):
  """FSDP: the same step, a share of the memory, any number of devices later."""
  monkeypatch.setattr(mesh_lib, "SMALL", 64)
  one, spread = run("unet", 1), run("unet", 2, 1, True)
  check_same_step("unet", one, spread)
  kernel = spread[0].params["bottom_conv2"]["conv"]["kernel"]
  assert kernel.shape == (3, 3, 16, 16)
  assert kernel.addressable_data(0).shape == (3, 3, 8, 16)
  momentum = spread[0].opt_state[0].trace["bottom_conv2"]["conv"]["kernel"]
  assert momentum.sharding == kernel.sharding
  held = sum(x.addressable_data(0).nbytes for x in jax.tree.leaves(spread[0]))
  assert held < 0.55 * sum(x.nbytes for x in jax.tree.leaves(one[0]))
  found = collectives(spread[2])
  assert set(found) == {"all-gather", "all-reduce"}

  kept = checkpoint.Checkpoints(tmp_path, {})
  kept.save(spread[0], position={})
  kept.wait()
  mesh = mesh_lib.make_mesh(4)
  for fsdp in (True, False):
    abstract = jax.tree.map(
      lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
      spread[0],
      mesh_lib.state_sharding(mesh, spread[0], fsdp),
    )
    restored = kept.restore(abstract).state
    jax.tree.map(
      np.testing.assert_array_equal,
      mesh_lib.to_host(restored),
      mesh_lib.to_host(spread[0]),
    )
    kernel = restored.params["bottom_conv2"]["conv"]["kernel"]
    rows = 4 if fsdp else 16
    assert kernel.addressable_data(0).shape == (3, 3, rows, 16)
  kept.close()
