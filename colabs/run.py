"""Executes notebooks as they are stored, and checks that they are clean.

python colabs/run.py colabs/quickstart.ipynb [--steps=60]

A notebook is stored without outputs; a cell that raises fails the run. The
executed copy goes to a temporary folder and is not kept.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import time

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError


def main() -> int:
  """Runs each notebook; returns the exit status."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("notebooks", nargs="+", type=pathlib.Path)
  parser.add_argument("--steps", type=int, default=60, help="training steps")
  options = parser.parse_args()
  os.environ["QUICKSTART_STEPS"] = str(options.steps)
  for path in options.notebooks:
    notebook = nbformat.read(path, as_version=4)
    dirty = [
      i
      for i, cell in enumerate(notebook.cells)
      if cell.cell_type == "code" and (cell.outputs or cell.execution_count)
    ]
    if dirty:
      print(f"{path}: cells {dirty} hold outputs: clear them", file=sys.stderr)
      return 1
    start = time.perf_counter()
    client = NotebookClient(
      notebook,
      timeout=900,
      kernel_name="python3",
      resources={"metadata": {"path": str(path.parent)}},
    )
    try:
      client.execute()
    except CellExecutionError as e:
      print(f"{path}: {e}", file=sys.stderr)
      return 1
    print(f"{path}: executed in {time.perf_counter() - start:.0f} s")
  return 0


if __name__ == "__main__":
  sys.exit(main())
