"""What reading costs training: the device's idle share, and the speed.

python -m benchmarks.idle [--config=FILE.py,...] [--steps=200] [--rounds=3]
  [--data_dir=DIR] [--out=FILE] [-- --config.key=value ...]

Each config is trained by the loop of `--mode=train` in two ways that take
turns, each in a process of its own: 'read' as the config says, examples read,
decoded and augmented while the device computes, and 'held' on eight batches of
it that lie in memory. `idle_share` is what metrics.jsonl says (jaxseg.meter):
the part of the time between the first step and the last in which the device
had nothing to do but wait for a batch. On a CPU reading also takes processor
time away from computing, which no waiting shows; the ratio of the two speeds
has it all. The programs come from a compilation cache that a short run of each
config fills first.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import itertools
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

from absl import flags as absl_flags

from benchmarks import report

CONFIGS = "configs/unet_pets.py,configs/unet_lite0_pets.py"
SIDES = ("held", "read")
HELD = 8  # batches


def child(argv: list[str]) -> None:
  """Trains: argv is SIDE, WORKDIR and flags of jaxseg.main."""
  from ml_collections import config_flags

  from jaxseg import host_memory, process, run, train, writers

  host_memory.reuse()
  process.compilation_cache()
  side, workdir, *flags = argv
  config_flags.DEFINE_config_file("config")
  absl_flags.FLAGS(["idle", *flags])
  console = writers.make_console()
  built = run.with_data(absl_flags.FLAGS.config, console)
  if side == "held":
    some = list(itertools.islice(built.train_batches(0), HELD))
    built = dataclasses.replace(
      built, train_batches=lambda start: itertools.cycle(some)
    )
  train.train(built, workdir, console)


def measure(side: str, config: str, steps: int, more: list[str]) -> dict:
  """One training: its idle share and images per second."""
  with tempfile.TemporaryDirectory() as workdir:
    command = [
      *(sys.executable, "-m", "benchmarks.idle", "--child", side, workdir),
      *(f"--config={config}", f"--config.steps={steps}"),
      *("--config.log_every=20", "--config.tensorboard=False"),
      *(f"--config.eval.every={steps}", "--config.eval.limit=1"),
      *(f"--config.checkpoint.every={steps}", *more),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
      raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    lines = [
      json.loads(line)
      for line in pathlib.Path(workdir, "metrics.jsonl").read_text().split("\n")
      if line
    ]
  lines = [line for line in lines if "idle_share" in line]
  steps_of = [line["step"] for line in lines]
  # The clock starts behind the first step, the one that compiles.
  counts = [b - a for a, b in itertools.pairwise([1, *steps_of])]
  seconds = [n / x["images_per_second"] for n, x in zip(counts, lines)]
  idle = sum(s * x["idle_share"] for s, x in zip(seconds, lines))
  # Seconds are here of a batch of one image, which ratios do not care about.
  return {
    "idle_share": idle / sum(seconds),
    "images_per_second": sum(counts) / sum(seconds),
  }


def compare(config: str, steps: int, rounds: int, more: list[str]) -> dict:
  """All rounds of both ways, and what they say."""
  found = collections.defaultdict(list)
  measure("held", config, 21, more)  # compiles
  for _ in range(rounds):
    for side in SIDES:
      found[side].append(measure(side, config, steps, more))
  pairs = zip(found["read"], found["held"])
  speeds = [r["images_per_second"] / h["images_per_second"] for r, h in pairs]
  return {
    "idle_share": max(r["idle_share"] for r in found["read"]),
    "images_per_second": {
      side: statistics.median(r["images_per_second"] for r in rounds)
      for side, rounds in found.items()
    },
    "ratio": statistics.median(speeds),
    "runs": found,
  }


def main() -> int:
  """Prints a line per config and writes JSON."""
  if sys.argv[1:2] == ["--child"]:
    child(sys.argv[2:])
    return 0
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--config", default=CONFIGS)
  parser.add_argument("--steps", type=int, default=200)
  parser.add_argument("--rounds", type=int, default=3)
  parser.add_argument("--data_dir", default="data")
  parser.add_argument("--out", default="")
  parser.add_argument("more", nargs="*", help="flags of jaxseg.main, after --")
  flags = parser.parse_args()
  more = [f"--config.data.data_dir={flags.data_dir}", *flags.more]
  load, results = os.getloadavg()[0], {}
  for config in flags.config.split(","):
    found = compare(config, flags.steps, flags.rounds, more)
    results[config] = found
    speed = found["images_per_second"]
    print(
      f"{config}: idle at most {found['idle_share']:.2%}; {speed['read']:.1f} "
      f"images/s, {found['ratio']:.1%} of those on batches in memory",
      flush=True,
    )
  report.write(
    flags.out, "idle", steps=flags.steps, load_before=load, configs=results
  )
  return 0


if __name__ == "__main__":
  sys.exit(main())
