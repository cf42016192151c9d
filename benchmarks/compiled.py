"""Train steps compiled for many devices, and what the compiler says of them.

Nothing runs and no array exists: shapes and shardings are compiled for fake
devices of one host. Memory is what XLA:CPU plans for a device, in float32; a
GPU's or TPU's plan differs by the scratch space of its convolutions.
"""

from __future__ import annotations

import os
import time

import jax
import jax.numpy as jnp
import optax

from jaxseg import mesh as mesh_lib
from jaxseg import state, step
from jaxseg.analysis import collectives
from jaxseg.encoders import ENCODERS
from jaxseg.models import MODELS
from jaxseg.models.kit import KIT
from jaxseg.tasks import Semantic

CLASSES = 3
# Memory and messages are settled before LLVM starts: its passes are left out.
OPTIONS = {
  "xla_backend_optimization_level": 0,
  "xla_cpu_use_fusion_emitters": False,
  "xla_cpu_parallel_codegen_split_count": 1,
}
HEADS = {"logits": CLASSES}
NETWORKS = {
  "unet_w64": lambda: MODELS["unet"](outputs=HEADS, width=64, norm="batch"),
  "unet_w16": lambda: MODELS["unet"](outputs=HEADS, width=16, norm="batch"),
  "deeplabv3plus_resnet50": lambda: KIT["deeplabv3plus"](
    outputs=HEADS, encoder=ENCODERS["resnet50"]()
  ),
}


def fake_devices(count: int) -> None:
  """To be called before JAX is used."""
  flag = f"--xla_force_host_platform_device_count={count}"
  os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}"
  os.environ["JAX_PLATFORMS"] = "cpu"


def measure(
  network: str,
  size: int,
  batch: int,
  devices: int,
  space: int = 1,
  fsdp: bool = False,
  rows: int | None = None,
) -> dict:
  """Compiles one train step (cross-entropy, SGD with momentum).

  Args:
    network: of NETWORKS.
    size: width of the images, and their height.
    batch: images, over all devices.
    devices: how many; `space` of them share the rows of an image.
    space: see above.
    fsdp: spread the state.
    rows: the height, if it is another.

  Returns:
    Figures of one device: bytes of memory, FLOPs, and the collectives.
  """
  model, tx = NETWORKS[network](), optax.sgd(0.1, 0.9)
  mesh = mesh_lib.make_mesh(devices, space)
  names = tuple(str(i) for i in range(CLASSES))
  task = Semantic(names, ((0, 0, 0),) * CLASSES)
  rows = rows or size
  inputs = (jnp.zeros((1, rows, size, 3)),)
  shapes = jax.eval_shape(
    lambda: state.create_state(model, tx, inputs, jax.random.key(0), False)
  )
  shardings = mesh_lib.state_sharding(mesh, shapes, fsdp)
  fn = step.make_train_step(
    model,
    task,
    tx,
    lambda _: 0.1,
    seed=0,
    gather=mesh_lib.gather(mesh, fsdp),
  )
  pixels = (batch, rows, size)
  arrays = {
    "image": ((*pixels, 3), jnp.uint8),
    "label": (pixels, jnp.uint8),
    "_mask": ((batch,), jnp.bool_),
  }
  began = time.perf_counter()
  compiled = (
    jax.jit(
      mesh_lib.traced(mesh, fn),
      donate_argnums=0,
      out_shardings=(shardings, mesh_lib.replicated(mesh)),
      compiler_options=OPTIONS,
    )
    .lower(
      jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s),
        shapes,
        shardings,
      ),
      {
        key: jax.ShapeDtypeStruct(
          shape,
          dtype,
          sharding=mesh_lib.batch_sharding(mesh, key, len(shape)),
        )
        for key, (shape, dtype) in arrays.items()
      },
    )
    .compile()
  )
  memory = compiled.memory_analysis()
  found = collectives.traffic(compiled.as_text(), devices)
  return {
    "network": network,
    "size": size,
    "rows": rows,
    "batch": batch,
    "devices": devices,
    "space": space,
    "fsdp": fsdp,
    "parameter_bytes": 4 * state.count(shapes.params),
    # Its state and its share of the batch.
    "argument_bytes": memory.argument_size_in_bytes,
    "temporary_bytes": memory.temp_size_in_bytes,
    "flops": compiled.cost_analysis()["flops"],
    "collectives": {kind: t._asdict() for kind, t in sorted(found.items())},
    "sent_bytes": sum(t.bytes for t in found.values()),
    "compile_seconds": time.perf_counter() - began,
  }
