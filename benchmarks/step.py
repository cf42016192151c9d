"""Forward pass and train step beside PyTorch: same network, machine and run.

python -m benchmarks.step [--networks=unet_w16,...] [--rounds=5] [--out=FILE]

Float32, batch 8, 128x128, 3 classes; cross-entropy, SGD with momentum; torch
in channels_last on as many threads. 'xla' is ours with config.convolutions =
'xla', where the default is another. All run in processes of their own and take
turns, one block of steps each, so that what disturbs one disturbs the others.
Programs come from the compilation cache; with --compile each side of ours
compiles its own, and the heap is settled as in training (jaxseg.host_memory);
figures are medians of the blocks' fastest halves. Ratios are told apart by how
far the cores were from one another in a round (cores.py). GFLOP/s counts two
operations per multiply-add of the forward pass, three times that for a step,
and is shown beside what a large matrix product reaches in the same process.
Torch is measured where it is installed (make parity).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np

from benchmarks import cores, report

BATCH, SIZE, CLASSES = 8, 128, 3
BLOCK_SECONDS = 3.0
# name: config.model of ours; benchmarks.peers has the peer.
NETWORKS: dict[str, dict] = {
  "unet_w64": {"name": "unet", "width": 64, "norm": "batch"},
  "unet_w16": {"name": "unet", "width": 16, "norm": "batch"},
  "unet_mobilenet_v2": {"name": "unet", "encoder": {"name": "mobilenet_v2"}},
  "deeplabv3plus_resnet50": {
    "name": "deeplabv3plus",
    "encoder": {"name": "resnet50"},
  },
}
MODES = ("forward", "step")


def batch() -> tuple[np.ndarray, np.ndarray]:
  """Images float32 (b, h, w, 3), labels int32 (b, h, w)."""
  rng = np.random.default_rng(0)
  image = rng.random((BATCH, SIZE, SIZE, 3), np.float32)
  return image, rng.integers(0, CLASSES, (BATCH, SIZE, SIZE), np.int32)


def ours(name: str):
  """{mode: function that runs once}, and facts about the network."""
  import jax
  import optax

  from jaxseg import (
    compiling,
    defaults,
    host_memory,
    networks,
    process,
    step,
    tasks,
  )
  from jaxseg.analysis import cost
  from jaxseg.state import create_state

  host_memory.reuse()
  process.compilation_cache()
  config = defaults.get_config()
  with config.unlocked():
    config.model.update(NETWORKS[name])
  config.lock()
  task = tasks.Semantic(
    classes=tuple("abc"), palette=((0, 0, 0), (99, 0, 0), (0, 99, 0))
  )
  model = networks.make_model(config, task)
  image, label = batch()
  tx = optax.sgd(0.01, momentum=0.9)
  state = compiling.jit(lambda k: create_state(model, tx, (image,), k, False))(
    jax.random.key(0)
  )
  train = compiling.jit(
    step.make_train_step(model, task, tx, lambda _: 0.01, seed=0),
    donate_argnums=0,
  )
  forward = compiling.jit(lambda v, x: model.apply(v, x, train=False)["logits"])
  data = jax.device_put({"image": image, "label": label})
  box = [state, state.variables()]
  box[1] = jax.tree.map(jax.numpy.copy, box[1])

  def one_step():
    box[0], logs = train(box[0], data)
    jax.block_until_ready(logs["loss"])

  def one_forward():
    jax.block_until_ready(forward(box[1], data["image"]))

  counted = cost.count(model, image)
  product = compiling.jit(lambda a: a @ a)
  a = jax.numpy.ones((2048, 2048))
  jax.block_until_ready(product(a))
  seconds = []
  for _ in range(5):
    start = time.perf_counter()
    jax.block_until_ready(product(a))
    seconds.append(time.perf_counter() - start)
  facts = {
    "parameters": counted.parameters,
    "forward_gflop": 2 * counted.macs / 1e9,
    "matmul_gflops": 2 * 2048**3 / min(seconds) / 1e9,
  }
  return {"forward": one_forward, "step": one_step}, facts


def theirs(name: str):
  """The same in torch."""
  import torch

  from benchmarks import peers

  torch.set_num_threads(len(os.sched_getaffinity(0)))
  torch.manual_seed(0)
  model = peers.network(name, CLASSES).to(memory_format=torch.channels_last)
  image, label = batch()
  image = torch.from_numpy(image.transpose(0, 3, 1, 2).copy())
  image = image.to(memory_format=torch.channels_last)
  label = torch.from_numpy(label).long()
  optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

  def one_step():
    model.train()
    optimizer.zero_grad(set_to_none=True)
    loss = torch.nn.functional.cross_entropy(model(image), label)
    loss.backward()
    optimizer.step()
    loss.item()

  def one_forward():
    model.eval()
    with torch.inference_mode():
      model(image)

  parameters = sum(p.numel() for p in model.parameters())
  return {"forward": one_forward, "step": one_step}, {"parameters": parameters}


SIDES = {"jaxseg": ours, "xla": ours, "torch": theirs}


def child(side: str, name: str) -> None:
  """Answers each line 'forward' or 'step' on stdin with a list of seconds."""
  # Libraries may print: answers go out through a stream of their own.
  out, sys.stdout = sys.stdout, sys.stderr
  with contextlib.ExitStack() as stack:
    if side == "xla":
      from jaxseg import process

      stack.enter_context(process.convolutions(side))
    runs, facts = SIDES[side](name)
    for mode in MODES:
      for _ in range(2):
        runs[mode]()
    if side != "torch":
      from jaxseg import compiling

      compiling.settle()  # as training does after its first step
    print(json.dumps(facts), file=out, flush=True)
    for line in sys.stdin:
      seconds: list[float] = []
      while sum(seconds) < BLOCK_SECONDS or len(seconds) < 3:
        start = time.perf_counter()
        runs[line.strip()]()
        seconds.append(time.perf_counter() - start)
      print(json.dumps(seconds), file=out, flush=True)


class _Child:
  """A process that times one side of one network."""

  def __init__(self, side: str, name: str, anew: bool = False):
    from jaxseg import process

    where = {process.CACHE_VARIABLE: ""} if anew else {}
    self._process = subprocess.Popen(
      [sys.executable, "-m", "benchmarks.step", "--child", side, name],
      env={**os.environ, **where},
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
    )
    self.facts = self._read(side)

  def _read(self, what: str):
    line = self._process.stdout.readline()
    if not line:
      raise SystemExit(f"the process of {what} ended: see above.")
    return json.loads(line)

  def measure(self, mode: str) -> float:
    """Median of the faster half of a block, seconds."""
    self._process.stdin.write(mode + "\n")
    self._process.stdin.flush()
    seconds = sorted(self._read(mode))
    return statistics.median(seconds[: (len(seconds) + 1) // 2])

  def close(self) -> None:
    """Ends the process."""
    self._process.stdin.close()
    self._process.wait(60)


def compare(name: str, rounds: int, anew: bool = False) -> dict:
  """Times one network, ours beside torch's; `anew`: what was just compiled."""
  from jaxseg.ops import direct

  sides = ["jaxseg"]
  if not direct.missing():
    sides.append("xla")
  if importlib.util.find_spec("torch"):
    sides.append("torch")
  if not anew:
    for side in sides:
      _Child(side, name).close()  # fills the compilation cache
  children = {side: _Child(side, name, anew) for side in sides}
  facts = children["jaxseg"].facts
  result = {
    **facts,
    "parameters": {s: c.facts["parameters"] for s, c in children.items()},
  }
  for mode in MODES:
    blocks: dict[str, list[float]] = {side: [] for side in sides}
    places = []
    for i in range(rounds):
      before = cores.distance_ns()
      for side in sides[i % len(sides) :] + sides[: i % len(sides)]:
        time.sleep(0.3)  # the other side's threads go to sleep
        blocks[side].append(children[side].measure(mode))
      places.append(cores.place(before, cores.distance_ns()))
    seconds = {s: statistics.median(b) for s, b in blocks.items()}
    work = facts["forward_gflop"] * (3 if mode == "step" else 1)
    entry = {
      "seconds": seconds,
      "blocks": blocks,
      "places": places,
      "gflops": {s: work / t for s, t in seconds.items()},
      "share_of_matmul": work / seconds["jaxseg"] / facts["matmul_gflops"],
    }
    for side in sides[:-1] if "torch" in sides else ():
      ratios = [a / b for a, b in zip(blocks[side], blocks["torch"])]
      key = "ratio" if side == "jaxseg" else f"ratio_{side}"
      entry[key] = statistics.median(ratios)
      for place in (cores.NEAR, cores.FAR):
        some = [r for r, where in zip(ratios, places) if where == place]
        if some:
          entry[f"{key}_{place}"] = statistics.median(some)
    result[mode] = entry
  for process in children.values():
    process.close()
  return result


def show(name: str, result: dict) -> None:
  """One line per mode."""
  for mode in MODES:
    entry = result[mode]
    times = "  ".join(
      f"{s} {1e3 * t:8.1f} ms" for s, t in entry["seconds"].items()
    )
    ratios = [f"{k} {v:.2f}" for k, v in entry.items() if k.startswith("ratio")]
    ratio = f"  {', '.join(ratios)}" if ratios else ""
    print(
      f"{name:24s} {mode:8s} {times}{ratio}  {entry['gflops']['jaxseg']:.0f} "
      f"GFLOP/s, {entry['share_of_matmul']:.0%} of a matrix product",
      flush=True,
    )


def main() -> int:
  """Prints two lines per network and writes JSON."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--networks", default=",".join(NETWORKS))
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--out", default="")
  parser.add_argument("--compile", action="store_true", help="use no cache")
  parser.add_argument("--child", nargs=2, default=None, help=argparse.SUPPRESS)
  options = parser.parse_args()
  if options.child:
    child(*options.child)
    return 0
  results = {}
  for name in options.networks.split(","):
    results[name] = compare(name, options.rounds, options.compile)
    show(name, results[name])
  report.write(
    options.out,
    "step",
    packages=(*report.PACKAGES, "torch"),
    batch=BATCH,
    size=SIZE,
    compiled_anew=options.compile,
    networks=results,
  )
  return 0


if __name__ == "__main__":
  sys.exit(main())
