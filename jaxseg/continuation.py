"""What may change between a run and its continuation, and what may not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# What may change between a run and its continuation: where things are, how
# often they happen, and how long the run is.
FREE_KEYS = (
  "steps",
  "epochs",
  "workdir",
  "log_every",
  "devices",
  "mesh.",
  "tensorboard",
  "audit",
  "checkpoint.",
  "eval.",
  "inference.",
  "application.",
  "method.",  # judges what was trained
  "export.",
  "predict.",
  "data.data_dir",
  "data.threads",
  "data.cache_mb",
  "data.images",
  "data.masks",
  "data.split_dir",
  "data.val_split",
  "data.test_split",
  "data.eval",
  "task.decision_weights",
  "task.clicks",
  "task.step",
  "task.rounds",
  "task.tolerance",
)


def flatten_config(config: Mapping[str, Any], prefix: str = "") -> dict:
  """Nested mapping -> {'a.b.c': value}."""
  out = {}
  for key, value in config.items():
    if isinstance(value, Mapping):
      out.update(flatten_config(value, f"{prefix}{key}."))
    else:
      out[prefix + key] = json.loads(json.dumps(value))  # tuples to lists
  return out


def contradictions(
  saved: Mapping[str, Any], now: Mapping[str, Any]
) -> list[str]:
  """Keys whose values differ and that a continuation may not change.

  A key that one of the two lacks came with another version of jaxseg: what it
  says has no counterpart, and the state's shapes are checked by themselves.
  """
  a, b = flatten_config(saved), flatten_config(now)

  def free(key: str) -> bool:
    return any(
      key == k or (k[-1] == "." and key.startswith(k)) for k in FREE_KEYS
    )

  return [
    f"{key}: {a[key]!r} in the checkpoint, {b[key]!r} now"
    for key in sorted(a.keys() & b.keys())
    if not free(key) and a[key] != b[key]
  ]
