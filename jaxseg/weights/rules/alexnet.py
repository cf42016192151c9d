"""AlexNet of torchvision."""

from __future__ import annotations

from jaxseg.weights.rule import Rule, conv
from jaxseg.weights.rules.vgg import dense

CONVS = (0, 3, 6, 8, 10)  # between them ReLU and poolings


def rules(
  prefix: str = "", target: str = "", *, classifier: bool = False
) -> tuple[Rule, ...]:
  """See `RULES` for the arguments."""
  at = rf"{prefix}features\."
  return (
    *(
      rule
      for i, child in enumerate(CONVS, 1)
      for rule in conv(rf"{at}{child}", f"{target}conv{i}")
    ),
    *dense(
      prefix, {1: "dense_6x6", 4: "dense_conv", 6: "dense_conv"}, classifier
    ),
  )
