"""Networks by name: `MODELS[name](outputs={...}, **fields)` builds a module.

A field that the network does not have is a TypeError that names it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from flax import linen as nn

from jaxseg.models.fcn import FCN
from jaxseg.models.unet import UNet


@dataclasses.dataclass(frozen=True)
class Entry:
  """A network of the registry: its class and the fields that the name sets."""

  module: type[nn.Module]
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  @property
  def min_size(self) -> int:
    """Smallest height and width that the network accepts."""
    return self.module.min_size

  def __call__(self, **fields: Any) -> nn.Module:
    """The module with these fields; TypeError for one it does not have."""
    return self.module(**self.fields, **fields)


MODELS: dict[str, Entry] = {
  "fcn16s": Entry(FCN, {"stride": 16}),
  "fcn32s": Entry(FCN, {"stride": 32}),
  "fcn8s": Entry(FCN, {"stride": 8}),
  "unet": Entry(UNet),
}
