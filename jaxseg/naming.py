"""From a name and plain values to an object; what does not fit is named."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from jaxseg.types import UserError


def lookup(registry: Mapping[str, Any], name: Any, key: str) -> Any:
  """registry[name], or a sentence that suggests the nearest name."""
  if name in registry:
    return registry[name]
  near = difflib.get_close_matches(str(name), registry, 1, cutoff=0.4)
  hint = f" Did you mean {near[0]!r}?" if near else ""
  raise UserError(
    f"{key} = {name!r} is not known: expected one of {', '.join(registry)}."
    f"{hint}"
  )


def given(section: ConfigDict) -> dict[str, Any]:
  """The keys of a section that are set, `name` left out."""
  return {k: v for k, v in section.items() if v is not None and k != "name"}


def construct(
  factory: Any, kwargs: dict[str, Any], fixed: dict[str, Any], section: str
) -> Any:
  """factory(**fixed, **kwargs); a key that it does not take is named."""
  hidden = ("parent", "name", *fixed)
  takes = [x for x in inspect.signature(factory).parameters if x not in hidden]
  for key in kwargs:
    if key not in takes:
      raise UserError(
        f"config.{section}.{key} is not an option of {factory.__name__}: it "
        f"takes {', '.join(takes)}."
      )
  return factory(**fixed, **kwargs)
