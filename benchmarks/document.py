"""docs/performance.md out of benchmarks/results: python -m benchmarks.document.

The page holds no number that is not in a file beside it, and every table says
on which machine, with which versions and by which command; a test compares it
with the files. After a benchmark has been run with --out=benchmarks/results/...
run this and commit both.
"""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

ROOT = pathlib.Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"
Report = Mapping[str, Any]

HEAD = """# Performance

Written by `python -m benchmarks.document` from the files in
[benchmarks/results](../benchmarks/results); each table names its command.
Beside a peer the two take turns in one run, and a ratio is the median of the
rounds' ratios: *ours / theirs* of times, below 1 where we are faster. Nothing
here ran on an accelerator; [benchmarks/gpu.sh](../benchmarks/gpu.sh) is what to
run on one.
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
  """A table of Markdown."""
  lines = [head, ["---"] * len(head), *rows]
  return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def origin(report: Report) -> str:
  """Where, with what and how a report was made."""
  known = {
    name: version
    for name, version in (report.get("versions") or {}).items()
    if version
  }
  versions = ", ".join(f"{name} {version}" for name, version in known.items())
  cores = report.get("cores")
  parts = [f"{cores} core(s) of {report['machine']}" if cores else "", versions]
  if report.get("load_before") is not None:
    parts.append(f"load before {report['load_before']:.1f}")
  text = "; ".join(part for part in parts if part)
  return f"`{report['command']}`" + (f" ({text})" if text else "")


def step(report: Report) -> str:
  """Forward and train step beside PyTorch."""
  rows = []
  for name, network in report["networks"].items():
    for what in ("forward", "step"):
      part = network[what]
      ms = {k: f"{1e3 * v:.0f}" for k, v in part["seconds"].items()}
      rows.append(
        [
          name,
          what,
          *(ms[k] for k in ("jaxseg", "xla", "torch")),
          f"{part['ratio']:.2f}",
          f"{part['ratio_xla']:.2f}",
          *(
            f"{part[key]:.2f}" if (key := f"ratio_{place}") in part else "-"
            for place in ("near", "far")
          ),
          f"{part['gflops']['jaxseg']:.0f}",
          f"{part['share_of_matmul']:.0%}",
        ]
      )
  head = ["network", "", "ours, ms", "by XLA alone", "PyTorch"]
  head += ["ours / theirs", "by XLA alone", "cores near", "cores far"]
  head += ["GFLOP/s", "of a matrix product's rate"]
  size = report["size"]
  return (
    f"float32, batch {report['batch']}, {size}x{size}; PyTorch in channels_last"
    ".\n*By XLA alone* is `config.convolutions = 'xla'`, without the C++ of\n"
    "[direct.py](../jaxseg/ops/direct.py). The matrix product is a large one in"
    " the\nsame run. Rounds in which the two cores shared a cache are *near*, "
    "those in\nwhich they did not *far*: the host moves them "
    "([cores.py](../benchmarks/cores.py)).\n\n" + table(head, rows)
  )


def reading(report: Report) -> str:
  """Images per second of the input pipeline and its peers."""
  names = {
    "jaxseg": "ours",
    "cached": "ours, decoded examples in memory (`data.cache_mb`)",
    "tf.data": "tf.data",
    "torch": "torch's DataLoader, Pillow",
  }
  rows = [
    [names[name], f"{speed:.0f}"] for name, speed in report["median"].items()
  ]
  return table(["pipeline", "images / s"], rows)


def waiting(report: Report) -> str:
  """The device's idle share in training, and what reading costs."""
  rows = [
    [
      f"`{config}`",
      f"{found['idle_share']:.2%}",
      *(f"{found['images_per_second'][k]:.1f}" for k in ("read", "held")),
      f"{found['ratio']:.1%}",
    ]
    for config, found in report["configs"].items()
  ]
  head = ["config", "idle share, at most", "images / s"]
  return (
    "The part of a training in which the device waits for a batch, and its "
    "speed\nbeside that on batches that lie in memory.\n\n"
    + table([*head, "in memory", "share"], rows)
  )


def memory(report: Report) -> str:
  """Temporary memory of compiled train steps."""
  rows = [
    [
      f"{name}, {network['batch']} x {network['size']}x{network['size']}, "
      f"{network['classes']} classes",
      title,
      f"{found['temporary']:.0f}",
      f"{found['factor']:.2f}",
    ]
    for name, network in report["networks"].items()
    for title, found in network["variants"].items()
  ]
  return (
    "What XLA:CPU plans beside arguments and results; the factor is of the\n"
    "first row of its kind.\n\n"
    + table(["network", "step", "MiB", "times less"], rows)
  )


def startup(report: Report) -> str:
  """Seconds from the command to the first step."""
  seconds = report["median_seconds"]
  rows = [
    ["no compiled programs", f"{seconds['cold']:.1f}"],
    ["with those of the run before", f"{seconds['warm']:.1f}"],
  ]
  return f"`{report['config']}`\n\n" + table(["cache", "seconds"], rows)


def evaluation(report: Report) -> str:
  """Throughput of evaluation beside the bare network's."""
  rows = [
    [
      name,
      *(f"{found['images_per_second'][k]:.1f}" for k in ("bare", "evaluation")),
      f"{found['ratio']:.1%}",
      f"{found['ratio_of_processor_seconds']:.1%}",
    ]
    for name, found in report["networks"].items()
  ]
  head = ["network", "bare, images / s", "evaluation", "share"]
  return "Metrics are counted on the device, in the same program.\n\n" + table(
    [*head, "of processor time"], rows
  )


def serving(report: Report) -> str:
  """Latency of an artifact beside ONNX Runtime."""
  rows = []
  for name, network in report["networks"].items():
    for key, found in network.items():
      if not key.startswith("batch_"):
        continue
      sides = [found[side] for side in ("jaxseg", "onnxruntime")]
      rows.append(
        [
          f"{name}, {network['size']}x{network['size']}",
          key.removeprefix("batch_"),
          *(f"{s['p50_ms']:.0f}, {s['p99_ms']:.0f}" for s in sides),
          *(f"{s['images_per_second']:.1f}" for s in sides),
          f"{found['ratio_of_medians']:.2f}",
        ]
      )
  head = ["network", "batch", "ours: p50, p99, ms", "ONNX Runtime"]
  head += ["ours, images / s", "ONNX Runtime", "ours / theirs"]
  return table(head, rows)


def aerial(report: Report) -> str:
  """Memory of a process that labels images of growing size."""
  rows = [
    [
      f"{row['side']}x{row['side']}",
      *(f"{row[key]:.0f}" for key in ("image_mb", "peak_mb", "seconds")),
    ]
    for row in report["rows"]
  ]
  window = report["window"]
  return (
    f"`python -m jaxseg.predict`, U-Net of width {report['width']}, windows "
    f"of {window}x{window} that slide by half.\n\n"
    + table(["image", "its bytes, MB", "peak of the process, MB", "s"], rows)
  )


def field(report: Report) -> str:
  """The fully connected CRF."""
  return (
    f"{report['options']['iterations']} iterations, 500x375, "
    f"{report['labels']} labels: {report['median_seconds']:.2f} s;\n"
    f"{report['same_label']:.1%} of the labels are those of all pairs of "
    "pixels."
  )


def segments(report: Report) -> str:
  """What people's regions say of superpixels."""
  keys = ("boundary_recall", "undersegmentation_error", "asa")
  rows = [
    [
      row["side"],
      f"{row['compactness']:g}",
      *(f"{row[key]:.3f}" for key in keys),
      f"{row['segments']:.1f}",
      f"{row['seconds']:.3f}",
    ]
    for row in report["rows"]
  ]
  head = ["", "compactness", "boundary recall", "undersegmentation", "ASA"]
  return "SLIC, val of BSDS500, 200 superpixels asked for.\n\n" + table(
    [*head, "superpixels", "seconds"], rows
  )


# Title, file of results, what makes a section of it.
SECTIONS: tuple[tuple[str, str, Callable[[Report], str]], ...] = (
  ("Train step", "step", step),
  ("Train step where it was compiled", "step_compiled", step),
  ("Input, 500x375 JPEG to 256x256", "input", reading),
  ("Input with random scaling", "input_scale", reading),
  ("Training beside its input", "idle", waiting),
  ("Memory of the train step", "memory", memory),
  ("From the command to the first step", "startup", startup),
  ("Evaluation", "evaluate", evaluation),
  ("Evaluation with flip and two scales", "evaluate_views", evaluation),
  ("Serving", "serve", serving),
  ("Large images in bounded memory", "aerial", aerial),
  ("Fully connected CRF", "crf", field),
  ("Superpixels beside scikit-image", "superpixels", segments),
)


def page(reports: Mapping[str, Report]) -> str:
  """The text of the page; what has no report is said not to be measured.

  Args:
    reports: by the name of their file, without its ending.
  """
  parts = [HEAD]
  for title, name, section in SECTIONS:
    parts.append(f"## {title}\n")
    if name in reports:
      report = reports[name]
      parts.append(f"{section(report)}\n\n{origin(report)}\n")
    else:
      parts.append("Not yet measured.\n")
  parts.append("## Many devices\n\nSee [scaling.md](scaling.md).\n")
  return "\n".join(parts)


def read(folder: pathlib.Path = RESULTS) -> dict[str, Report]:
  """All reports of a folder, by name."""
  return {p.stem: json.loads(p.read_text()) for p in folder.glob("*.json")}


def main() -> int:
  """Writes the page."""
  PAGE.write_text(page(read()))
  print(PAGE)
  return 0


if __name__ == "__main__":
  sys.exit(main())
