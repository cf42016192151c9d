"""What devices tell each other per step, beside what each computes, up to 256.

python -m benchmarks.scaling [--network=unet_w16] [--size=128]
  [--devices=8,16,32,64,128,256] [--out=FILE]

Compiled for fake devices, nothing runs (`compiled`). Three ways to use n of
them: an image each (data), the same with the state spread over them (fsdp),
and eight for the rows of an image of eight times the pixels (space). Beside
the gradients' bytes by formula: 2 (n - 1) / n times those of the parameters.
The shares of time assume a device of --tflops that it reaches and --gbps that
it sends, one after the other: an upper bound of what waiting costs.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import compiled, report

SPACE = 8


def case(way: str, network: str, size: int, devices: int) -> dict:
  """Figures of one way to use so many devices."""
  if way == "space":
    # Eight times the pixels: as many for each device as with an image each.
    return compiled.measure(
      network, size, devices // SPACE, devices, SPACE, rows=size * SPACE
    )
  return compiled.measure(network, size, devices, devices, fsdp=way == "fsdp")


def main() -> int:
  """Prints a table and writes JSON."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--network", default="unet_w16")
  parser.add_argument("--size", type=int, default=128)
  parser.add_argument("--devices", default="8,16,32,64,128,256")
  parser.add_argument("--ways", default="data,fsdp,space")
  parser.add_argument("--tflops", type=float, default=100.0)
  parser.add_argument("--gbps", type=float, default=50.0)
  parser.add_argument("--out", default="")
  flags = parser.parse_args()
  counts = [int(n) for n in flags.devices.split(",")]
  compiled.fake_devices(max(counts))
  rows = []
  print("way devices GFLOP/device MB_sent gradients_by_formula share_of_time")
  for way in flags.ways.split(","):
    for n in counts:
      row = {"way": way, **case(way, flags.network, flags.size, n)}
      row["gradient_bytes"] = 2 * (n - 1) / n * row["parameter_bytes"]
      computing = row["flops"] / (flags.tflops * 1e12)
      sending = row["sent_bytes"] / (flags.gbps * 1e9)
      row["sending_share"] = sending / (sending + computing)
      rows.append(row)
      print(
        f"{way} {n} {row['flops'] / 1e9:.2f} {row['sent_bytes'] / 1e6:.2f} "
        f"{row['gradient_bytes'] / 1e6:.2f} {row['sending_share']:.0%}",
        {k: round(t["bytes"] / 1e6, 2) for k, t in row["collectives"].items()},
        f"compiled in {row['compile_seconds']:.0f} s",
        flush=True,
      )
      speeds = {"tflops": flags.tflops, "gbps": flags.gbps}
      report.write(flags.out, "scaling", **speeds, rows=rows)
  return 0


if __name__ == "__main__":
  sys.exit(main())
