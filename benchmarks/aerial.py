"""Peak memory of `jaxseg.predict` on aerial images that grow.

python -m benchmarks.aerial [--sides=1024,2048,4096,8192] [--width=8]
  [--window=512] [--out=FILE]

A U-Net, trained for one step on the embedded scenes and exported with
config.export.sizes = 'any' and windows that slide by half of themselves, labels
square images of uint8 in .npy files, each in a process of its own, as a user
runs it. The peak is the process's largest resident set, of which Python, jax
and the compiled program have most; it must grow by less than the image does
(files are mapped, and their pages count). The labels are looked at: all pixels,
and how many classes.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

from benchmarks import report

CONFIG = "configs/unet_scenes.py"


def write_image(path: pathlib.Path, side: int) -> None:
  """Blocks of colour with noise, strip by strip: uint8 (side, side, 3)."""
  out = np.lib.format.open_memmap(path, "w+", np.uint8, (side, side, 3))
  for top in range(0, side, 256):
    rng = np.random.default_rng(top)
    rows = min(256, side - top)
    blocks = rng.integers(0, 200, (-(-rows // 32), -(-side // 32), 3), np.uint8)
    strip = blocks.repeat(32, 0).repeat(32, 1)[:rows, :side]
    out[top : top + rows] = strip + rng.integers(
      0, 56, (rows, side, 3), np.uint8
    )
  out.flush()


def export(folder: pathlib.Path, width: int, window: int) -> pathlib.Path:
  """The artifact: one step of training, then --mode=export."""
  common = [
    *(sys.executable, "-m", "jaxseg.main", f"--config={CONFIG}"),
    *(f"--workdir={folder / 'run'}", f"--config.data.data_dir={folder}"),
    *(f"--config.model.width={width}", "--config.steps=1"),
    *("--config.tensorboard=False", "--config.eval.limit=1"),
    "--config.inference.mode=slide",
    f"--config.inference.window=({window}, {window})",
  ]
  for more in ([], ["--mode=export", "--config.export.sizes=any"]):
    command = [*common, *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
      raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
  (found,) = folder.glob("run/**/*.stablehlo")
  return found


def predict(artifact: pathlib.Path, image: pathlib.Path) -> dict[str, float]:
  """Peak memory in MB and seconds of a process that labels one image."""
  with tempfile.TemporaryDirectory() as out:
    command = [
      *(sys.executable, "-m", "jaxseg.predict", str(artifact), str(image)),
      *(f"--out={out}", "--npy", "--no-overlay", "--quiet"),
    ]
    began = time.perf_counter()
    pid = os.posix_spawn(sys.executable, command, os.environ)
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - began
    if status:
      raise SystemExit(f"{' '.join(command)} failed: see above.")
    (label,) = pathlib.Path(out).glob("**/*_label.npy")
    labels = np.load(label, mmap_mode="r")
    if labels.shape != np.load(image, mmap_mode="r").shape[:2]:
      raise SystemExit(f"{image}: labels of {labels.shape}.")
    return {
      "peak_mb": usage.ru_maxrss * 1024 / 1e6,
      "seconds": seconds,
      "processor_seconds": usage.ru_utime + usage.ru_stime,
      "classes_found": int(np.unique(labels).size),
    }


def main() -> int:
  """Prints a line per image and writes JSON."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--sides", default="1024,2048,4096,8192")
  parser.add_argument("--width", type=int, default=8)
  parser.add_argument("--window", type=int, default=512)
  parser.add_argument("--out", default="")
  flags = parser.parse_args()
  rows = []
  with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    artifact = export(folder, flags.width, flags.window)
    for side in map(int, flags.sides.split(",")):
      image = folder / f"aerial{side}.npy"
      write_image(image, side)
      # Twice: the first may compile; the larger peak of the two counts.
      runs = [predict(artifact, image) for _ in range(2)]
      image.unlink()
      row = {"side": side, "image_mb": 3 * side**2 / 1e6} | runs[1]
      row["peak_mb"] = max(run["peak_mb"] for run in runs)
      rows.append(row)
      print(
        f"{side}x{side}: {row['peak_mb']:.0f} MB, {row['seconds']:.1f} s",
        flush=True,
      )
  report.write(
    flags.out, "aerial", width=flags.width, window=flags.window, rows=rows
  )
  return 0


if __name__ == "__main__":
  sys.exit(main())
