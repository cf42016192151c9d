"""Where a number was measured, and the file that says so."""

from __future__ import annotations

import importlib.metadata
import json
import os
import pathlib
import platform
import sys
from collections.abc import Sequence
from typing import Any

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


def processor() -> str:
  """The model of the processor, as far as the system tells it."""
  try:
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
  except OSError:
    lines = []
  names = [x.split(":", 1)[1].strip() for x in lines if "model name" in x]
  return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
  try:
    return importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:
    return None


def write(
  out: str | os.PathLike,
  name: str,
  *,
  packages: Sequence[str] = PACKAGES,
  **values: Any,
) -> None:
  """Writes a JSON file; its folder is made.

  Args:
    out: the file; '' writes nothing.
    name: of the module of benchmarks.
    packages: whose versions are told; None for one that is not installed.
    **values: what was measured, behind command, machine and versions.
  """
  if not out:
    return
  report = {
    "benchmark": name,
    "command": " ".join(["python -m", f"benchmarks.{name}", *sys.argv[1:]]),
    "cores": len(os.sched_getaffinity(0)),
    "machine": processor(),
    "python": platform.python_version(),
    "versions": {p: _version(p) for p in packages},
    **values,
  }
  path = pathlib.Path(out)
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(report, indent=2) + "\n")
