"""What an earlier run has learned, for a network that need not be its own.

The second phase of a training in two, or another task on the same network:
`config.model.weights` may be a run's workdir.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxseg import checkpoint
from jaxseg.types import UserError


def variables(
  workdir: str | pathlib.Path,
) -> tuple[dict[str, np.ndarray], pathlib.Path]:
  """Reads the best checkpoint of a run, else the newest that is whole.

  Returns:
    'params/a/kernel' -> array, averaged if there is an average; and where it
    came from.

  Raises:
    UserError: the folder holds no checkpoint that is whole.
  """
  problems: list[str] = []
  held = checkpoint.Checkpoints(workdir, {})
  try:
    for kind in ("best", "latest"):
      for step in held.steps(kind):
        path = pathlib.Path(workdir) / "checkpoints" / kind / str(step)
        try:
          return _named(held.arrays(kind, step)), path
        except Exception as e:  # Orbax and TensorStore raise many kinds
          text = " ".join(str(e).split())[:160]
          problems.append(f"{path} is damaged ({type(e).__name__}: {text})")
  finally:
    held.close()
  raise UserError(
    f"config.model.weights = '{workdir}' is a folder without a checkpoint that "
    "is whole: expected the --workdir of a run, or a .safetensors file. "
    + "; ".join(problems)
  )


def _named(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
  """ ".params['a']['b']", or that of the average, -> 'params/a/b'."""
  averaged = any(name.startswith(".ema") for name in arrays)
  out = {}
  for name, array in arrays.items():
    field, *path = name.replace("']", "").split("['")
    if averaged and field != ".ema":
      continue
    if averaged:
      field, *path = (f".{path[0]}", *path[1:])
    if field == ".params":
      path = ["params", *path]
    if field in (".params", ".model_state"):
      out["/".join(path)] = np.asarray(array)
  return out
