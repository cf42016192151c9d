"""Memory per device of a train step whose image is split by rows.

python -m benchmarks.mesh [--networks=unet_w64,...] [--spaces=1,2,4,8]
  [--size=512] [--out=FILE]

One image, float32; compiled for fake devices, nothing runs (`compiled`). The
last line of each network has 8 devices, a batch of 8 and the state spread over
them (config.mesh.fsdp), beside the same with the state on each.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks import compiled, report

MB = 1e6


def line(figures: dict) -> str:
  """One row of the table."""
  kinds = ", ".join(
    f"{t['count']} {kind} ({t['bytes'] / MB:.1f} MB)"
    for kind, t in figures["collectives"].items()
  )
  how = f"{figures['devices']} device(s), space {figures['space']}"
  how += ", fsdp" if figures["fsdp"] else ""
  return (
    f"{figures['network']} {figures['size']}, batch {figures['batch']}, "
    f"{how}: state and batch "
    f"{figures['argument_bytes'] / MB:.1f} MB, temporary "
    f"{figures['temporary_bytes'] / MB:.1f} MB; {kinds or 'nothing sent'}"
  )


def main() -> int:
  """Prints a line per case and writes JSON."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--networks", default="unet_w64,deeplabv3plus_resnet50")
  parser.add_argument("--spaces", default="1,2,4,8")
  parser.add_argument("--size", type=int, default=512)
  parser.add_argument("--out", default="")
  flags = parser.parse_args()
  spaces = [int(n) for n in flags.spaces.split(",")]
  compiled.fake_devices(max(8, *spaces))
  rows = []

  def add(*args, **kwargs):
    rows.append(compiled.measure(*args, **kwargs))
    print(line(rows[-1]), flush=True)
    report.write(flags.out, "mesh", rows=rows)  # each time: they take long

  for network in flags.networks.split(","):
    for space in spaces:
      add(network, flags.size, 1, space, space)
    for fsdp in (False, True):
      add(network, flags.size, 8, 8, 1, fsdp)
  return 0


if __name__ == "__main__":
  sys.exit(main())
