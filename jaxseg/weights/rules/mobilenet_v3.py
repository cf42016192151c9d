"""MobileNetV3, large and small, of torchvision."""

from __future__ import annotations

from jaxseg.weights.rule import Rule, conv
from jaxseg.weights.rules.mobilenet_v2 import unit
from jaxseg.weights.rules.resnet import head


def rules(
  prefix: str = "", target: str = "", *, classifier: bool = False
) -> tuple[Rule, ...]:
  """See `RULES` for the arguments.

  The first block has no expansion. Squeeze-and-excitation, where there is
  any, stands before the projection: child 3 instead of 2. 'features.' is
  missing below torchvision's segmentation networks.
  """
  at = rf"{prefix}(?:features\.)?"
  first, block = f"{target}block1", rf"{target}block\1"
  return (
    *unit(rf"{at}0", f"{target}stem"),
    *conv(rf"{at}(\d+)\.block\.\d\.fc(\d)", rf"{block}/se/fc\2"),
    *unit(rf"{at}1\.block\.0", f"{first}/depthwise"),
    *unit(rf"{at}1\.block\.[12]", f"{first}/project"),
    *unit(rf"{at}(\d+)\.block\.0", f"{block}/expand"),
    *unit(rf"{at}(\d+)\.block\.1", f"{block}/depthwise"),
    *unit(rf"{at}(\d+)\.block\.[23]", f"{block}/project"),
    *unit(rf"{at}\d+", f"{target}head"),
    *head(rf"{prefix}classifier\.0", "hidden", classifier),
    *head(rf"{prefix}classifier\.3", "fc", classifier),
  )
