"""Numbers of a config that nothing can mean, refused by their keys."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ml_collections import ConfigDict

from jaxseg import continuation
from jaxseg.types import UserError

POSITIVE = ("log_every", "accumulate", "eval.every", "checkpoint.every")
# Of the whole numbers of config.model and its encoder.
LEAST = {"hidden": 0}  # which means none; others: 1
MOST = {"depth": 64}  # others: LARGE
LARGE = 1 << 16
DTYPES = ("float32", "bfloat16", "float16")


def check(config: ConfigDict) -> None:
  """Refuses NaN, infinities, numbers without end or below their least.

  Raises:
    UserError: the first of them, with its key.
  """
  flat = continuation.flatten_config(config.to_dict())
  for key, value in flat.items():
    for number in _numbers(value):
      if not math.isfinite(number) or abs(number) >= 1 << 62:
        raise UserError(
          f"config.{key} = {value!r}: expected a number of ordinary size, "
          "neither NaN nor infinite. Correct it."
        )
  for key in POSITIVE:
    if flat[key] < 1:
      raise UserError(f"config.{key} = {flat[key]}: expected at least 1.")
  if not 0 <= config.ema_decay < 1:
    raise UserError(f"config.ema_decay = {config.ema_decay}: expected [0, 1).")
  _check_sizes("model", config.model)
  _check_sizes("model.encoder", config.model.encoder)
  if config.model.dtype not in (None, *DTYPES):
    raise UserError(
      f"config.model.dtype = {config.model.dtype!r}: expected one of "
      f"{', '.join(DTYPES)}."
    )


def _check_sizes(section: str, values: ConfigDict) -> None:
  for key, value in values.items():
    least, most = LEAST.get(key, 1), MOST.get(key, LARGE)
    if type(value) is int and not least <= value <= most:
      raise UserError(
        f"config.{section}.{key} = {value}: expected {least} to {most}. Choose "
        "one of these, or None for the network's own."
      )


def _numbers(value: Any) -> Iterator[float]:
  if isinstance(value, (list, tuple)):
    for inner in value:
      yield from _numbers(inner)
  elif isinstance(value, (int, float)):
    yield value
