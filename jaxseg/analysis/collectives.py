"""What devices tell each other in a compiled program, read off its text.

Bytes are those that a device sends if every collective takes the best ring
algorithm: 2 (n - 1) / n of the array for an all-reduce among n devices, (n -
1) / n of the whole for a gather, a scatter or an exchange, all of it for a
permute. What stands in a loop counts once.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

KINDS = (
  "all-reduce",
  "all-gather",
  "reduce-scatter",
  "all-to-all",
  "collective-permute",
)
_LINE = re.compile(rf"= (.+?) ({'|'.join(KINDS)})(-start)?\(")
_ARRAY = re.compile(r"([a-z]+)(\d*)\w*\[([\d,]*)\]")
# As XLA writes groups: {{0,1},{2,3}}, [2,2]<=[4] or, of a mesh with named axes,
# mesh['a'=2,'b'=2] {'b'}; {} is all devices.
_LISTED = re.compile(r"replica_groups=\{\{([\d,]+)\}")
_COUNTED = re.compile(r"replica_groups=\[\d+,(\d+)\]")
_NAMED = re.compile(r"replica_groups=mesh\[(.*?)\] \{(.*?)\}")
_AXIS = re.compile(r"'(\w+)'(?::\(\d+\)(\d+)|=(\d+))?")


class Traffic(NamedTuple):
  """Of one kind of collective.

  Attributes:
    count: how many stand in the program.
    bytes: that a device sends.
  """

  count: int
  bytes: float


def _arrays(text: str) -> list[int]:
  """Bytes of each array of a type, 'f32[2,3]{1,0}' or a tuple of such."""
  out = []
  for kind, bits, dims in _ARRAY.findall(text):
    width = 1 if kind == "pred" else int(bits) / 8
    out.append(int(width * math.prod(int(n) for n in dims.split(",") if n)))
  return out


def _group(line: str, devices: int) -> int:
  """How many devices take part in each group of a collective."""
  if listed := _LISTED.search(line):
    return len(listed[1].split(","))
  if counted := _COUNTED.search(line):
    return int(counted[1])
  if named := _NAMED.search(line):
    sizes = {name: int(size) for name, _, size in _AXIS.findall(named[1])}
    axes = _AXIS.findall(named[2])  # 'a', or a part of it: 'a':(1)2
    return math.prod(int(part or sizes[name]) for name, part, _ in axes)
  if "replica_groups=" in line and "replica_groups={}" not in line:
    raise ValueError(f"groups of devices in a form that is not known: {line}")
  return devices


def _sent(kind: str, size: float, n: int) -> float:
  """By a device of n, for a result of `size` bytes on it."""
  if kind == "collective-permute":
    return size
  share = (n - 1) / n
  return {"all-reduce": 2 * share, "reduce-scatter": n * share}.get(
    kind, share
  ) * size


def traffic(text: str, devices: int) -> dict[str, Traffic]:
  """Kind -> Traffic, for kinds that occur.

  Args:
    text: `compiled.as_text()`.
    devices: that the program runs on; who takes part where the text says no
      groups.
  """
  found: dict[str, Traffic] = {}
  for line in text.splitlines():
    match = _LINE.search(line)
    if not match:
      continue
    result, kind, start = match.groups()
    sizes = _arrays(result)
    # What starts and ends apart has its operand beside its result.
    asynchronous = start and kind != "all-reduce"
    size = max(sizes) if asynchronous else sum(sizes)
    sent = _sent(kind, size, _group(line, devices))
    old = found.get(kind, Traffic(0, 0))
    found[kind] = Traffic(old.count + 1, old.bytes + sent)
  return found
