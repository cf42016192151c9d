"""Memory of the compiled train step: what each way of saving it saves.

python -m benchmarks.memory [--networks=...] [--variants=NAME;NAME] [--small]
  [--out=FILE]

Nothing runs: XLA says of a compiled program how much it will ask for.
'temporary' is what it needs beside its arguments and results; 'all' is that
and both of them, buffers that are donated counted once. 'loss' is the loss and
its gradient alone, of logits of stride 4. SGD with momentum,
cross-entropy. On a CPU bfloat16 saves little, for XLA computes convolutions in
float32 there.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from benchmarks import report
from jaxseg import compiling, defaults, losses, networks, state, step, tasks
from jaxseg.ops import grown

# config.model, image size, batch, classes.
NETWORKS: dict[str, tuple[dict, int, int, int]] = {
  "deeplabv3plus_resnet50": ({"name": "deeplabv3plus_resnet50"}, 513, 4, 21),
  "unet_w64": ({"name": "unet", "width": 64, "norm": "batch"}, 256, 8, 3),
}
SMALL: dict[str, tuple[dict, int, int, int]] = {
  "deeplabv3plus_resnet18": (
    {"name": "deeplabv3plus", "encoder": {"name": "resnet18"}},
    257,
    2,
    21,
  ),
  "unet_w8": (
    {"name": "unet", "width": 8, "depth": 2, "norm": "batch"},
    128,
    8,
    3,
  ),
}
PLAIN = {"fused": False, "remat": "", "dtype": "float32", "donate": True}
VARIANTS: dict[str, dict[str, Any]] = {
  "plain": PLAIN,
  "not donated": {**PLAIN, "donate": False},
  "fused": {**PLAIN, "fused": True},
  "remat": {**PLAIN, "remat": "blocks"},
  "fused, remat": {**PLAIN, "fused": True, "remat": "blocks"},
  "fused, bfloat16": {**PLAIN, "fused": True, "dtype": "bfloat16"},
}


def compiled(
  fields: dict, size: int, batch: int, classes: int, how: dict[str, Any]
) -> Any:
  """The train step of a network, compiled and not run."""
  config = defaults.get_config()
  with config.unlocked():
    config.model.update(fields)
    config.model.dtype = how["dtype"]
    config.fused_loss = how["fused"]
  names = tuple(f"class{i}" for i in range(classes))
  task = tasks.Semantic(classes=names, palette=((0, 0, 0),) * classes)
  model = networks.make_model(config, task)
  tx = optax.sgd(0.01, momentum=0.9)
  image = jax.ShapeDtypeStruct((batch, size, size, 3), jnp.float32)
  label = jax.ShapeDtypeStruct((batch, size, size), jnp.int32)
  now = jax.eval_shape(
    lambda x: state.create_state(model, tx, (x,), jax.random.key(0), False),
    image,
  )
  run = compiling.jit(
    step.make_train_step(
      model, task, tx, lambda _: 0.01, seed=0, remat=how["remat"]
    ),
    donate_argnums=(0,) if how["donate"] else (),
    in_order=bool(how["remat"]),
  )
  return run.lower(now, {"image": image, "label": label}).compile()


def loss_alone(size: int, batch: int, classes: int, fused: bool) -> Any:
  """Cross-entropy and its gradient, compiled and not run."""
  side = -(-(size - 1) // 4) + 1
  small = jax.ShapeDtypeStruct((batch, side, side, classes), jnp.float32)
  label = jax.ShapeDtypeStruct((batch, size, size), jnp.int32)

  def loss(small, label):
    logits = grown.Grown(small, (size, size), (size, size), True)
    if fused:
      return losses.by_strips("cross_entropy", logits, label).compute()
    return losses.cross_entropy(logits.whole(), label).compute()

  return compiling.jit(jax.value_and_grad(loss)).lower(small, label).compile()


def measure(build: Callable[[], Any]) -> dict[str, float]:
  """Megabytes of 2^20 bytes, and seconds of compilation."""
  began = time.perf_counter()
  memory = build().memory_analysis()
  seconds = time.perf_counter() - began
  whole = (
    memory.temp_size_in_bytes
    + memory.argument_size_in_bytes
    + memory.output_size_in_bytes
    - memory.alias_size_in_bytes
  )
  return {
    "temporary": memory.temp_size_in_bytes / 2**20,
    "all": whole / 2**20,
    "compile_seconds": seconds,
  }


def main() -> int:
  """Prints a line per network and variant; writes JSON."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--networks", default="")
  parser.add_argument("--variants", default=";".join(VARIANTS))
  parser.add_argument("--small", action="store_true", help="little networks")
  parser.add_argument("--out", default="")
  flags = parser.parse_args()
  known = SMALL if flags.small else NETWORKS
  results: dict[str, dict] = {}
  for name in flags.networks.split(",") if flags.networks else known:
    fields, *sizes = known[name]
    rows = results[name] = {
      "size": sizes[0],
      "batch": sizes[1],
      "classes": sizes[2],
      "variants": {},
    }
    builds = {
      title: functools.partial(compiled, fields, *sizes, VARIANTS[title])
      for title in flags.variants.split(";")
    }
    if "encoder" in fields or "deeplab" in name:  # its logits grow
      for fused in (False, True):
        title = "loss, fused" if fused else "loss"
        builds[title] = functools.partial(loss_alone, *sizes, fused)
    for title, build in builds.items():
      found = rows["variants"][title] = measure(build)
      plain = rows["variants"][
        "loss" if "loss" in title else next(iter(builds))
      ]
      found["factor"] = plain["temporary"] / found["temporary"]
      print(
        f"{name:24s} {title:18s} temporary {found['temporary']:8.1f} MB, all "
        f"{found['all']:8.1f} MB, {found['factor']:.2f} times less",
        flush=True,
      )
      # After each: a run takes long, and what was measured stays.
      report.write(flags.out, "memory", networks=results)
  return 0


if __name__ == "__main__":
  sys.exit(main())
