"""Latency and throughput of an artifact beside ONNX Runtime.

python -m benchmarks.serve [--networks=unet_w16,...] [--rounds=5] [--out=FILE]

The same network with the same weights, exported twice: by --mode=export's own
function, and from its torch peer (benchmarks.peers) by torch.onnx. Both take
uint8 (b, h, w, 3) and give uint8 labels, scaling and argmax inside, from NumPy
to NumPy. The two run in processes of their own and take turns, one block of
calls each, so that what disturbs one disturbs the other; each has as many
threads as the process may use cores. Float32, 3 classes, random weights.
Labels and logits are compared first. `make parity` installs what it wants.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np

from benchmarks import report, step

CLASSES = 3
BLOCK_SECONDS = 3.0
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# name: (height and width, whether the torch network wants ImageNet's scaling)
NETWORKS = {"unet_w16": (128, False), "unet_mobilenet_v2": (256, True)}
BATCHES = (1, 8)
SIDES = ("jaxseg", "onnxruntime")


def images(batch: int, size: int) -> np.ndarray:
  """Blocks of colour with noise: uint8 (b, h, w, 3)."""
  rng = np.random.default_rng(batch)
  blocks = rng.integers(0, 200, (batch, size // 8, size // 8, 3))
  noise = rng.integers(0, 56, (batch, size, size, 3))
  return (blocks.repeat(8, 1).repeat(8, 2) + noise).astype(np.uint8)


def make(name: str, folder: str) -> None:
  """Writes FOLDER/net.stablehlo, FOLDER/net.onnx and what they differ by."""
  import torch

  from benchmarks import peers

  size, scaled = NETWORKS[name]
  network = peers.network(name, CLASSES)
  peers.randomize(network)
  _write_onnx(network, size, scaled, f"{folder}/net.onnx")
  state = {k: v.numpy() for k, v in network.state_dict().items()}
  logits = _write_artifact(name, state, size, f"{folder}/net.stablehlo")

  example = images(2, size)
  ours = runner("jaxseg", folder)(example)
  found = _session(folder).run(None, {"image": example})
  theirs, their_logits = found[0], np.transpose(found[1], (0, 2, 3, 1))
  ours_logits = np.asarray(logits(example))
  gap = np.abs(ours_logits - their_logits).max() / np.abs(their_logits).max()
  ways = {
    "labels_that_differ": float((ours != theirs).mean()),
    "largest_difference_of_logits": float(gap),
    "labels": np.unique(theirs, return_counts=True)[1].tolist(),
    "parameters": sum(p.numel() for p in network.parameters()),
    "torch": torch.__version__,
  }
  pathlib.Path(folder, "facts.json").write_text(json.dumps(ways))


def _write_onnx(network, size: int, scaled: bool, path: str) -> None:
  import torch

  class Served(torch.nn.Module):
    def __init__(self):
      super().__init__()
      self.network = network
      mean, std = (MEAN, STD) if scaled else ((0,) * 3, (1,) * 3)
      self.register_buffer("mean", torch.tensor(mean).float().view(1, 3, 1, 1))
      self.register_buffer("std", torch.tensor(std).float().view(1, 3, 1, 1))

    def forward(self, image):  # uint8 (b, h, w, 3)
      x = image.permute(0, 3, 1, 2).float() / 255
      logits = self.network((x - self.mean) / self.std)
      return logits.argmax(1).to(torch.uint8), logits

  with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that there is a newer exporter
    torch.onnx.export(
      Served().eval(),
      (torch.from_numpy(images(2, size)),),
      path,
      input_names=["image"],
      output_names=["label", "logits"],
      dynamic_axes={k: {0: "b"} for k in ("image", "label", "logits")},
      opset_version=17,
      dynamo=False,
    )


def _write_artifact(name: str, state, size: int, path: str):
  """Also gives back images -> logits of the network as it lives here."""
  import jax
  from flax import traverse_util

  from jaxseg import defaults, export, inference, networks, tasks
  from jaxseg.weights import rule

  config = defaults.get_config()
  with config.unlocked():
    config.model.update(step.NETWORKS[name])
  config.lock()
  colors = ((0, 0, 0), (99, 0, 0), (0, 99, 0))
  task = tasks.Semantic(classes=tuple("abc"), palette=colors)
  model = networks.make_model(config, task)
  renamed = rule.rename(_rules(name), state)
  variables = traverse_util.unflatten_dict(renamed, sep="/")
  predict = inference.build(model, task)
  export.export_artifact(predict, variables, (size, size), path, task=task)
  forward = jax.jit(lambda x: model.apply(variables, x, train=False)["logits"])
  return lambda x: forward(x.astype(np.float32) / 255)


def _rules(name: str):
  """Which array of the torch network is which of ours."""
  from jaxseg.weights.rule import batch_norm, conv
  from jaxseg.weights.rules import RULES

  if not name.startswith("unet_w"):
    decoder, encoder = name.split("_", 1)
    return RULES["smp", decoder](encoder=RULES["torchvision", encoder])
  found = [*conv("head", "head_logits")]
  for level in range(5):
    names = [(f"down.{level}", f"down{level}" if level < 4 else "bottom")]
    if level < 4:
      names.append((f"up.{level}", f"up{level}"))
      found += conv(f"grow\\.{level}", f"up{level}_up", "conv_transpose")
    for theirs, ours in names:
      for k in (0, 1):
        source = theirs.replace(".", r"\.") + rf"\.{3 * k}"
        found += conv(source, f"{ours}_conv{k + 1}/conv")
        source = theirs.replace(".", r"\.") + rf"\.{3 * k + 1}"
        found += batch_norm(source, f"{ours}_conv{k + 1}/norm")
  return tuple(found)


def _session(folder: str):
  import onnxruntime

  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = len(os.sched_getaffinity(0))
  options.inter_op_num_threads = 1
  return onnxruntime.InferenceSession(
    f"{folder}/net.onnx", options, providers=["CPUExecutionProvider"]
  )


def runner(side: str, folder: str):
  """images uint8 (b, h, w, 3) -> labels uint8 (b, h, w), both NumPy."""
  if side == "onnxruntime":
    session = _session(folder)
    return lambda x: session.run(["label"], {"image": x})[0]
  from jaxseg import host_memory
  from jaxseg.serving import artifact

  host_memory.reuse()
  call = artifact.load(f"{folder}/net.stablehlo").call
  return lambda x: np.asarray(call(x)["label"])


def child(side: str, folder: str, size: int) -> None:
  """Answers each batch size on stdin with a list of seconds."""
  out, sys.stdout = sys.stdout, sys.stderr
  run = runner(side, folder)
  inputs = {b: images(b, size) for b in BATCHES}
  for x in inputs.values():
    for _ in range(3):
      run(x)
  print(json.dumps({}), file=out, flush=True)
  for line in sys.stdin:
    x, seconds = inputs[int(line)], []
    while sum(seconds) < BLOCK_SECONDS or len(seconds) < 10:
      start = time.perf_counter()
      run(x)
      seconds.append(time.perf_counter() - start)
    print(json.dumps(seconds), file=out, flush=True)


class _Child:
  """A process that serves one side."""

  def __init__(self, side: str, folder: str, size: int):
    self._process = subprocess.Popen(
      [
        *(sys.executable, "-m", "benchmarks.serve"),
        *("--child", side, folder, str(size)),
      ],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
    )
    self._read(side)

  def _read(self, what: str):
    line = self._process.stdout.readline()
    if not line:
      raise SystemExit(f"the process of {what} ended: see above.")
    return json.loads(line)

  def measure(self, batch: int) -> list[float]:
    """Seconds of the calls of a block."""
    self._process.stdin.write(f"{batch}\n")
    self._process.stdin.flush()
    return self._read("a block")

  def close(self) -> None:
    """Ends the process."""
    self._process.stdin.close()
    self._process.wait(60)


def compare(name: str, rounds: int) -> dict:
  """Exports a network, compares what both say, and times both."""
  size, _ = NETWORKS[name]
  with tempfile.TemporaryDirectory() as folder:
    subprocess.run(
      [sys.executable, "-m", "benchmarks.serve", "--make", name, folder],
      check=True,
      stdout=sys.stderr,
    )
    facts = json.loads(pathlib.Path(folder, "facts.json").read_text())
    if facts["labels_that_differ"] > 1e-3:
      raise SystemExit(f"{name}: the exports differ: {facts}")
    children = {side: _Child(side, folder, size) for side in SIDES}
    seconds: dict = {b: {side: [] for side in SIDES} for b in BATCHES}
    ratios: dict = {b: [] for b in BATCHES}
    for _ in range(rounds):
      for batch in BATCHES:
        medians = {}
        for side, process in children.items():
          time.sleep(0.3)  # the other side's threads go to sleep
          block = process.measure(batch)
          seconds[batch][side] += block
          medians[side] = statistics.median(block)
        ratios[batch].append(medians["jaxseg"] / medians["onnxruntime"])
    for process in children.values():
      process.close()
  result = {"size": size, **facts}
  for batch in BATCHES:
    result[f"batch_{batch}"] = {
      **{side: summary(s, batch) for side, s in seconds[batch].items()},
      "ratio_of_medians": statistics.median(ratios[batch]),
      "ratios": ratios[batch],
    }
  return result


def summary(seconds: list[float], batch: int) -> dict[str, float]:
  """Milliseconds of a call, and images a second by the median."""
  p50, p99 = np.percentile(seconds, [50, 99])
  return {
    "p50_ms": 1e3 * p50,
    "p99_ms": 1e3 * p99,
    "images_per_second": batch / p50,
    "calls": len(seconds),
  }


def show(name: str, result: dict) -> None:
  """One line per batch size."""
  for batch in BATCHES:
    entry = result[f"batch_{batch}"]
    print(f"{name:20s} batch {batch}", end="")
    for side in SIDES:
      s = entry[side]
      print(
        f"  {side} p50 {s['p50_ms']:.1f} p99 {s['p99_ms']:.1f} ms, "
        f"{s['images_per_second']:.1f} images/s;",
        end="",
      )
    print(f"  ratio {entry['ratio_of_medians']:.2f}", flush=True)


def main() -> int:
  """Prints two lines per network and writes JSON."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--networks", default=",".join(NETWORKS))
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--out", default="")
  parser.add_argument("--make", nargs=2, help=argparse.SUPPRESS)
  parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
  options = parser.parse_args()
  if options.make:
    make(*options.make)
    return 0
  if options.child:
    side, folder, size = options.child
    child(side, folder, int(size))
    return 0
  results = {}
  for name in options.networks.split(","):
    results[name] = compare(name, options.rounds)
    show(name, results[name])
  packages = (*report.PACKAGES, "onnxruntime", "onnx", "torch")
  report.write(options.out, "serve", packages=packages, networks=results)
  return 0


if __name__ == "__main__":
  sys.exit(main())
