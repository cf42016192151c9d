"""From the command to the first train step: with and without compiled programs.

python -m benchmarks.startup [--config=...] [--rounds=2] [--data_dir=DIR]
  [--out=FILE] [-- --config.key=value ...]

Each round runs `jaxseg.main` for one step twice, with an empty folder of
compiled programs (cold) and with the folder that this left (warm), and reads
"First step after ..." off it: imports, data, building, compiling, the step. The
data set is made before the clock starts. Small: -- --config.model.width=4
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks import report

FIRST = re.compile(r"First step after ([0-9.]+) s")


def start(config: str, cache: str, data_dir: str, more: list[str]) -> dict:
  """One run of one step: seconds to it and to the end of the process."""
  with tempfile.TemporaryDirectory() as workdir:
    command = [
      *(sys.executable, "-m", "jaxseg.main", f"--config={config}"),
      *(f"--workdir={workdir}", f"--config.data.data_dir={data_dir}"),
      *("--config.steps=1", "--config.tensorboard=False"),
      *("--config.eval.limit=1", "--config.eval.batch_size=1", *more),
    ]
    began = time.perf_counter()
    done = subprocess.run(
      command,
      env={**os.environ, "JAX_COMPILATION_CACHE_DIR": cache},
      capture_output=True,
      text=True,
      check=False,
    )
    whole = time.perf_counter() - began
  found = FIRST.search(done.stdout)
  if done.returncode or not found:
    raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
  return {"first_step_seconds": float(found[1]), "process_seconds": whole}


def main() -> int:
  """Prints two lines and writes JSON."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--config", default="configs/unet_scenes.py")
  parser.add_argument("--rounds", type=int, default=2)
  parser.add_argument("--data_dir", default="data")
  parser.add_argument("--out", default="")
  parser.add_argument("more", nargs="*", help="flags of jaxseg.main, after --")
  flags = parser.parse_args()
  runs: dict[str, list[dict]] = {"cold": [], "warm": []}
  load = os.getloadavg()[0]
  for _ in range(flags.rounds):
    with tempfile.TemporaryDirectory() as cache:
      for kind, found in runs.items():
        found.append(start(flags.config, cache, flags.data_dir, flags.more))
        print(f"{kind}: {found[-1]['first_step_seconds']:.1f} s", flush=True)
  seconds = {
    kind: statistics.median(r["first_step_seconds"] for r in found)
    for kind, found in runs.items()
  }
  print(
    f"first step after {seconds['cold']:.1f} s, with compiled programs "
    f"{seconds['warm']:.1f} s"
  )
  report.write(
    flags.out,
    "startup",
    config=flags.config,
    load_before=load,
    median_seconds=seconds,
    runs=runs,
  )
  return 0


if __name__ == "__main__":
  sys.exit(main())
