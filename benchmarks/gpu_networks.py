"""The networks of `benchmarks.gpu`, ours and the torch peers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Network:
  """One network: ours by name and fields, its torch peer by name, sizes.

  Attributes:
    name: in jaxseg.models.MODELS.
    size: pixels a side.
    classes: channels of the head.
    fields: of ours.
    first: the batch that is tried first.
    small: pixels a side with --small.
    small_fields: of ours and of the peer, with --small.
  """

  name: str
  size: int
  classes: int
  first: int
  small: int
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  small_fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def pixels(self, small: bool) -> int:
    """A side of an image."""
    return self.small if small else self.size

  def options(self, small: bool) -> dict[str, Any]:
    """The fields of ours."""
    return {**self.fields, **(self.small_fields if small else {})}


NETWORKS = {
  "unet_w64": Network(
    "unet", 256, 3, 32, 32, {"width": 64, "norm": "batch"}, {"width": 4}
  ),
  "deeplabv3plus_resnet50": Network("deeplabv3plus_resnet50", 513, 21, 16, 33),
  "pspnet_resnet50": Network("pspnet_resnet50", 473, 21, 8, 41),
}


def make_model(network: Network, small: bool) -> Any:
  """Our module."""
  from jaxseg.models import MODELS

  return MODELS[network.name](
    outputs={"logits": network.classes},
    dtype="bfloat16",
    **network.options(small),
  )


def make_peer(network: Network, small: bool) -> Any:
  """The torch module."""
  from benchmarks import torch_nets

  if network.name == "unet":
    width = network.options(small)["width"]
    return torch_nets.UNet(width, network.classes)
  kind = {
    "deeplabv3plus_resnet50": torch_nets.DeepLabV3Plus,
    "pspnet_resnet50": torch_nets.PSPNet,
  }[network.name]
  return kind(network.classes)
