"""Throughput of an evaluation beside that of the bare network.

python -m benchmarks.evaluate [--networks=...] [--small] [--views]
  [--rounds=5] [--out=FILE]

'bare' is the compiled network and its argmax on batches that lie on the
device. 'evaluation' is `evaluate.Evaluator`, the loop that runs in training:
batches of bytes from the host, metrics on the device, a contact sheet, one
result; the sheet shows eight of 96 or 48 images. Batches are in memory, for
reading them is another benchmark. The two take turns, and the ratio is the
median of those of the rounds. --views adds flip and two scales to both, one
program.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import report
from jaxseg import compiling, defaults, inference, mesh, networks, tasks
from jaxseg import state as state_lib
from jaxseg.evaluate import Evaluator
from jaxseg.experiment import Split
from jaxseg.writers import make_console

# config.model, image size, batch, classes, batches.
NETWORKS: dict[str, tuple[dict, int, int, int, int]] = {
  "unet_w16": (
    {"name": "unet", "width": 16, "norm": "batch"},
    *(128, 8, 3, 12),
  ),
  "deeplabv3plus_resnet18": (
    {"name": "deeplabv3plus", "encoder": {"name": "resnet18"}},
    *(257, 2, 21, 24),
  ),
}
SMALL: dict[str, tuple[dict, int, int, int, int]] = {
  "unet_w4": (
    {"name": "unet", "width": 4, "depth": 2, "norm": "batch"},
    *(32, 4, 3, 3),
  ),
}


def build(fields: dict, shape: tuple[int, ...], views: bool) -> tuple:
  """(evaluation, bare, examples): two functions that run over one split."""
  size, batch, classes, count = shape
  config = defaults.get_config()
  with config.unlocked():
    config.model.update(fields)
  names = tuple(f"class{i}" for i in range(classes))
  task = tasks.Semantic(names, tuple((i, i, i) for i in range(classes)))
  model = networks.make_model(config, task)
  options = inference.InferenceOptions(
    scales=(1.0, 1.25) if views else (1.0,), flip=views
  )
  predict = inference.build(model, task, options)
  devices = mesh.make_mesh(1)
  rng = np.random.default_rng(0)
  batches = [
    {
      "image": rng.integers(0, 256, (batch, size, size, 3), np.uint8),
      "label": rng.integers(0, classes, (batch, size, size)).astype(np.uint8),
      "_mask": np.ones(batch, bool),
      "_id": np.arange(batch, dtype=np.int32),
    }
    for _ in range(count)
  ]
  shapes = jax.eval_shape(
    lambda x: model.init(jax.random.key(0), x, train=False),
    jnp.zeros((1, size, size, 3)),
  )
  # Speed does not depend on them, and an init would have to be compiled.
  rest = jax.device_put(
    jax.tree.map(
      lambda x: rng.uniform(0.0, 0.1, x.shape).astype(np.float32), dict(shapes)
    ),
    mesh.replicated(devices),
  )
  state = state_lib.State(
    jnp.zeros((), jnp.int32), rest.pop("params"), rest, (), None
  )
  # Of an Experiment what evaluation reads, without a data set.
  split = Split("val", batch * count, count, lambda: iter(batches))
  experiment: Any = types.SimpleNamespace(
    task=task,
    mesh=devices,
    fsdp=False,
    predict=predict,
    metrics=task.metrics,
    splits={"val": split},
  )
  evaluator = Evaluator(experiment, make_console())
  on_device = [jnp.asarray(b["image"], jnp.float32) / 255 for b in batches]
  network = compiling.jit(predict)

  def bare() -> None:
    for image in on_device:
      last = network(state.variables(), image)
    jax.block_until_ready(last)

  return lambda: evaluator(state, "val"), bare, batch * count


def compare(fields: dict, shape: tuple, views: bool, rounds: int) -> dict:
  """Seconds of both per round, images per second, and the ratio."""
  evaluation, bare, examples = build(fields, shape, views)
  runs = {"bare": bare, "evaluation": evaluation}
  seconds: dict[str, list[float]] = {name: [] for name in runs}
  cpu: dict[str, list[float]] = {name: [] for name in runs}
  for run in runs.values():
    run()
  for _ in range(rounds):
    for name, run in runs.items():
      began, used = time.perf_counter(), time.process_time()
      run()
      seconds[name].append(time.perf_counter() - began)
      cpu[name].append(time.process_time() - used)

  def ratio(of: dict[str, list[float]]) -> float:
    pairs = zip(of["bare"], of["evaluation"])
    return statistics.median(a / b for a, b in pairs)

  return {
    "examples": examples,
    "seconds": seconds,
    "processor_seconds": cpu,
    "images_per_second": {
      name: examples / statistics.median(s) for name, s in seconds.items()
    },
    "ratio": ratio(seconds),
    "ratio_of_processor_seconds": ratio(cpu),
  }


def main() -> int:
  """Prints a line per network and writes JSON."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--networks", default="")
  parser.add_argument("--small", action="store_true", help="a little network")
  parser.add_argument("--views", action="store_true", help="flip, two scales")
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--out", default="")
  flags = parser.parse_args()
  known = SMALL if flags.small else NETWORKS
  results, load = {}, os.getloadavg()[0]
  for name in flags.networks.split(",") if flags.networks else known:
    fields, *shape = known[name]
    found = compare(fields, tuple(shape), flags.views, flags.rounds)
    results[name] = found
    speed = found["images_per_second"]
    print(
      f"{name:24s} bare {speed['bare']:7.1f}, evaluation "
      f"{speed['evaluation']:7.1f} images/s: {found['ratio']:.1%}; of "
      f"processor time {found['ratio_of_processor_seconds']:.1%}",
      flush=True,
    )
  report.write(
    flags.out, "evaluate", views=flags.views, load_before=load, networks=results
  )
  return 0


if __name__ == "__main__":
  sys.exit(main())
