"""SLIC beside scikit-image's: counts, times, and what people's regions say.

python -m benchmarks.superpixels IMAGE ... [--rounds=5]
python -m benchmarks.superpixels --bsds=RAW [--every=1] [--out=FILE]

For each picture, stretched to [0, 1], and each of 100, 200, 400 asked for: both
counts, and the medians of the times of both, in turns; compilation apart. With
the folder of BSDS500 (as for jaxseg.data.prepare): boundary recall,
undersegmentation error, ASA and count over every so many pictures of val, of
both at equal compactness, 200 asked for, and their median times in turns.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import time

import cv2
import numpy as np
from skimage import segmentation

from benchmarks import report
from jaxseg.classical import slic
from jaxseg.data.builders import bsds500
from jaxseg.methods import superpixels

COMPACTNESS = (10.0, 15.0)  # scikit-image's default, that of the config


def seconds(*calls, rounds: int) -> list[float]:
  """Median time of each, in turns, after one call of each."""
  spent = [[] for _ in calls]
  for i in range(rounds + 1):
    for call, times in zip(calls, spent):
      began = time.perf_counter()
      call()
      if i:
        times.append(time.perf_counter() - began)
  return [statistics.median(times) for times in spent]


def judge(raw: pathlib.Path, every: int) -> list[dict]:
  """Both sides over val of BSDS500: a dict each, also printed."""
  sides = {}
  for m in COMPACTNESS:
    sides["ours", m] = lambda x, m=m: slic.slic(
      x.astype(np.float32) / 255, 200, compactness=m
    )
    sides["scikit-image", m] = lambda x, m=m: segmentation.slic(
      x, 200, compactness=m, start_label=0
    ).astype(np.int32)
  records = {side: [] for side in sides}
  times = {side: [] for side in sides}
  judged = superpixels.Superpixels(segments=lambda x: x)
  for one in (raw / "val.txt").read_text().split()[::every]:
    image = cv2.imread(str(raw / "images" / "val" / f"{one}.jpg"))[..., ::-1]
    image = np.ascontiguousarray(image)
    regions, _ = bsds500.read_truth(raw / "groundTruth" / "val" / f"{one}.npz")
    for side, segments in sides.items():
      began = time.perf_counter()
      pred = {"segments": segments(image)}
      times[side].append(time.perf_counter() - began)
      records[side].append(judged.measure(pred, {"regions": regions}))
  rows = []
  for (name, m), states in records.items():
    row = {"side": name, "compactness": m, **judged.result(states)}
    row = {k: v if isinstance(v, str) else float(v) for k, v in row.items()}
    row["seconds"] = statistics.median(times[name, m])
    rows.append(row)
    shown = [f"{k} {v:.4g}" for k, v in row.items() if k != "side"]
    print(f"{name:12s} {', '.join(shown)}", flush=True)
  return rows


def main() -> int:
  """Prints a line for each picture and number, or for each side."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("images", nargs="*")
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument("--bsds", type=pathlib.Path)
  parser.add_argument("--every", type=int, default=1)
  parser.add_argument("--out", default="")
  flags = parser.parse_args()
  cv2.setNumThreads(1)
  if flags.bsds:
    rows = judge(flags.bsds, flags.every)
    report.write(flags.out, "superpixels", rows=rows, every=flags.every)
  elif not flags.images:
    parser.error("expected pictures, or --bsds=RAW.")
  for path in flags.images:
    image = cv2.imread(path)
    if image is None:
      parser.error(f"{path} is not a picture; expected JPEG or PNG files.")
    image = image[..., ::-1].astype(np.float32)
    image = (image - image.min()) / max(float(np.ptp(image)), 1.0)
    for asked in (100, 200, 400):
      calls = [
        lambda x=image, n=asked: segmentation.slic(x, n, start_label=0),
        lambda x=image, n=asked: slic.slic(x, n),
      ]
      theirs, ours = (len(np.unique(call())) for call in calls)
      times = seconds(*calls, rounds=flags.rounds)
      print(
        f"{path} {image.shape[0]}x{image.shape[1]} {asked}: scikit-image"
        f" {theirs}, {times[0]:.3f} s; ours {ours}"
        f" ({100 * (ours / theirs - 1):+.1f}%), {times[1]:.3f} s",
        flush=True,
      )
  return 0


if __name__ == "__main__":
  raise SystemExit(main())
