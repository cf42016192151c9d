"""ResNet and ResNeXt of torchvision; timm has the same names."""

from __future__ import annotations

from jaxseg.weights.rule import Rule, batch_norm, conv


def rules(
  prefix: str = "", target: str = "", *, classifier: bool = False
) -> tuple[Rule, ...]:
  """Rules of the trunk with its 7x7 stem; see `RULES` for the arguments."""
  block, path = rf"{prefix}layer(\d)\.(\d+)\.", rf"{target}layer\1_\2/"
  return (
    *conv(rf"{prefix}conv1", f"{target}stem/conv"),
    *batch_norm(rf"{prefix}bn1", f"{target}stem/norm"),
    *conv(rf"{block}conv(\d)", rf"{path}conv\3"),
    *batch_norm(rf"{block}bn(\d)", rf"{path}norm\3"),
    *conv(rf"{block}downsample\.0", f"{path}project/conv"),
    *batch_norm(rf"{block}downsample\.1", f"{path}project/norm"),
    *head(rf"{prefix}fc", "fc", classifier),
  )


def head(source: str, target: str, keep: bool) -> tuple[Rule, ...]:
  """A torch Linear as a 1x1 convolution, or dropped."""
  if keep:
    return conv(source, target, "dense_conv")
  return (Rule(rf"{source}\.(weight|bias)", ""),)
