"""ResNet and ResNeXt of torchvision; timm has the same names. Keras' ResNet."""

from __future__ import annotations

from jaxseg.weights.rule import Rule, batch_norm, conv
from jaxseg.weights.rules import keras_layers

# Of the deepest network, stage by stage (ResNet-152): the rules name blocks.
BLOCKS = (3, 8, 36, 3)


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


def keras(
  prefix: str = "", target: str = "", *, classifier: bool = False
) -> tuple[Rule, ...]:
  """keras.applications' ResNet50, ResNet101, ResNet152; see `RULES`.

  They stride in the first 1x1 of a block and have biases beside the
  normalisation, whose epsilon is 1.001e-5.
  """

  def unit(name: str, path: str, norm: str) -> tuple[Rule, ...]:
    """A convolution and what normalises it."""
    layer = keras_layers.layer
    return (
      *keras_layers.conv(layer(prefix, f"{name}_conv"), path),
      *keras_layers.norm(layer(prefix, f"{name}_bn"), norm),
    )

  rules = [*unit("conv1", f"{target}stem/conv", f"{target}stem/norm")]
  # Stages count from two there and blocks from one.
  for stage, depth in enumerate(BLOCKS, 1):
    for i in range(depth):
      name, path = f"conv{stage + 1}_block{i + 1}", f"{target}layer{stage}_{i}"
      if i == 0:
        at = f"{path}/project"
        rules += unit(f"{name}_0", f"{at}/conv", f"{at}/norm")
      rules += unit(rf"{name}_(\d)", rf"{path}/conv\1", rf"{path}/norm\1")
  return (*rules, *keras_layers.head(prefix, classifier))


def head(source: str, target: str, keep: bool) -> tuple[Rule, ...]:
  """A torch Linear as a 1x1 convolution, or dropped."""
  if keep:
    return conv(source, target, "dense_conv")
  return (Rule(rf"{source}\.(weight|bias)", ""),)
