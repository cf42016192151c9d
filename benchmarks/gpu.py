"""Train step and inference on an accelerator, bfloat16, beside PyTorch.

python -m benchmarks.gpu --out=DIR [--networks=unet_w64,...]
  [--sides=jaxseg,eager,compile] [--seconds=60] [--small]

Needs jax, flax and optax; torch where its columns are wanted. U-Net 64 at
256x256, DeepLabv3+-R50 at 513x513, PSPNet-R50 at 473x473; cross-entropy (and
0.4 of the auxiliary head's), SGD with momentum; torch in channels_last under
autocast, eager and by torch.compile. The batch is doubled until the memory is
full or --seconds are over, compiling included, and the fastest counts. Each
side of each network is a process of its own, one after the other, and measures
the rate of an 8192^3 matrix product too, bfloat16 into bfloat16, that the
networks' TFLOP/s are shares of: two operations per multiply-add of
convolutions, three times that of the forward pass for a step. DIR gets gpu.json
and a profile of each network of ours. Without an accelerator, and with --small,
the figures say only that the script works, and the report says so.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

from benchmarks import filling, gpu_sides, report
from benchmarks.gpu_networks import NETWORKS
from benchmarks.gpu_sides import MODES

SIDES = ("jaxseg", "eager", "compile")


def child(side: str, name: str, plan: filling.Plan, folder: str) -> None:
  """Prints the figures of one side of one network as JSON."""
  out, sys.stdout = sys.stdout, sys.stderr  # libraries may print
  network = NETWORKS[name]
  if not plan.small:
    plan = dataclasses.replace(plan, first=network.first)
  if side == "jaxseg":
    figures = gpu_sides.ours(network, plan, folder)
  else:
    figures = gpu_sides.theirs(network, plan, side == "compile")
  print(json.dumps(figures), file=out)


def measure(side: str, name: str, argv: list[str]) -> dict[str, Any]:
  """Runs `child` in a process of its own: memory is whole, peaks its own."""
  environment = {"XLA_PYTHON_CLIENT_MEM_FRACTION": "0.92", **os.environ}
  done = subprocess.run(
    [sys.executable, "-m", "benchmarks.gpu", *argv, "--child", side, name],
    stdout=subprocess.PIPE,
    text=True,
    check=False,
    env=environment,
  )
  if done.returncode:
    return {"failed": f"exit status {done.returncode}: see above"}
  return json.loads(done.stdout)


def shares(network: dict[str, Any]) -> None:
  """Adds TFLOP/s, their share of the matrix rate, and ratios to torch."""
  macs = network.get("jaxseg", {}).get("macs_per_image")
  for mode in MODES:
    rates = {}
    for side in SIDES:
      entry = network.get(side, {}).get(mode)
      if not entry or "images_per_second" not in entry or not macs:
        continue
      rates[side] = entry["images_per_second"]
      work = 2 * macs * (3 if mode == "step" else 1)
      entry["tflops"] = work * rates[side] / 1e12
      entry["share_of_matrix"] = (
        entry["tflops"] / network[side]["matrix_tflops"]
      )
    for side in SIDES[1:]:
      if side in rates and "jaxseg" in rates:
        network.setdefault("ratio", {}).setdefault(mode, {})[side] = (
          rates["jaxseg"] / rates[side]
        )


def show(name: str, network: dict[str, Any]) -> None:
  """A line per mode and side."""
  for mode in MODES:
    for side in SIDES:
      entry = network.get(side, {}).get(mode, {})
      if "images_per_second" not in entry:
        continue
      peak = entry.get("peak_bytes") or entry.get("planned_bytes") or 0
      print(
        f"{name:24s} {mode:8s} {side:8s} batch {entry['batch']:4d} "
        f"{entry['images_per_second']:9.1f} images/s "
        f"{entry['tflops']:7.2f} TFLOP/s, {entry['share_of_matrix']:.0%} of a "
        f"matrix product, {peak / 1e9:.1f} GB",
        flush=True,
      )


def main() -> int:
  """Prints a table and writes DIR/gpu.json."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--networks", default=",".join(NETWORKS))
  parser.add_argument("--sides", default=",".join(SIDES))
  parser.add_argument("--seconds", type=float, default=60.0)
  parser.add_argument("--small", action="store_true")
  parser.add_argument("--out", required=True)
  parser.add_argument("--child", nargs=2, default=None, help=argparse.SUPPRESS)
  options = parser.parse_args()
  plan = filling.SMALL if options.small else filling.Plan(options.seconds)
  if options.child:
    child(*options.child, plan, options.out)
    return 0
  sides = options.sides.split(",")
  if not importlib.util.find_spec("torch"):
    print("torch is not installed: no peer to measure")
    sides = ["jaxseg"]
  networks: dict[str, Any] = {}
  rest: dict[str, Any] = {"small": options.small}
  for name in options.networks.split(","):
    network = {s: measure(s, name, sys.argv[1:]) for s in sides}
    size = NETWORKS[name].pixels(options.small)
    network |= {"size": size, "classes": NETWORKS[name].classes}
    shares(network)
    networks[name] = network
    show(name, network)
    platforms = {network[side].get("platform", "cpu") for side in sides}
    rest["accelerator"] = platforms != {"cpu"}
    if options.small or not rest["accelerator"]:
      rest["note"] = (
        "no accelerator, or --small: these figures show that the script runs, "
        "not what the networks reach"
      )
    # After each network: whoever is cut off keeps what there is.
    file = pathlib.Path(options.out, "gpu.json")
    report.write(file, "gpu", **rest, networks=networks)
  if "note" in rest:
    print(rest["note"])
  return int(any("failed" in n[s] for n in networks.values() for s in sides))


if __name__ == "__main__":
  sys.exit(main())
