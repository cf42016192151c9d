"""MobileNetV2 of torchvision (also segmentation_models_pytorch's), Keras."""

from __future__ import annotations

from jaxseg.weights.rule import Rule, batch_norm, conv
from jaxseg.weights.rules import keras_layers
from jaxseg.weights.rules.resnet import head

BLOCKS = 17


def unit(source: str, target: str, norm: str = "") -> tuple[Rule, ...]:
  """Convolution and BatchNorm of a sequence become the children of a unit.

  Args:
    source: pattern of the sequence (children 0 and 1), or with `norm` of the
      convolution alone.
    target: path of the unit.
    norm: pattern of the normalisation.
  """
  return (
    *conv(source if norm else rf"{source}\.0", f"{target}/conv"),
    *batch_norm(norm or rf"{source}\.1", f"{target}/norm"),
  )


def rules(
  prefix: str = "", target: str = "", *, classifier: bool = False
) -> tuple[Rule, ...]:
  """See `RULES` for the arguments.

  The first block has no expansion, so that its layers count from another
  start; 'features.' is missing where only that part was kept.
  """
  at = rf"{prefix}(?:features\.)?"
  first, block = f"{target}block1", rf"{target}block\1"
  return (
    *unit(rf"{at}0", f"{target}stem"),
    *unit(rf"{at}1\.conv\.0", f"{first}/depthwise"),
    *unit(rf"{at}1\.conv\.1", f"{first}/project", rf"{at}1\.conv\.2"),
    *unit(rf"{at}(\d+)\.conv\.0", f"{block}/expand"),
    *unit(rf"{at}(\d+)\.conv\.1", f"{block}/depthwise"),
    *unit(rf"{at}(\d+)\.conv\.2", f"{block}/project", rf"{at}(\d+)\.conv\.3"),
    *unit(rf"{at}18", f"{target}head"),
    *head(rf"{prefix}classifier\.1", "fc", classifier),
  )


def keras(
  prefix: str = "", target: str = "", *, classifier: bool = False
) -> tuple[Rule, ...]:
  """keras.applications' MobileNetV2; see `RULES`.

  For an encoder with padding 'tf' and epsilon 1e-3.
  """
  layer = keras_layers.layer
  rules = []
  for name, norm, path in (
    ("Conv1", "bn_Conv1", "stem"),
    ("Conv_1", "Conv_1_bn", "head"),
  ):
    rules += keras_layers.conv(layer(prefix, name), f"{target}{path}/conv")
    rules += keras_layers.norm(layer(prefix, norm), f"{target}{path}/norm")
  # Blocks count from 0 there, where the first has a name of its own.
  blocks = ("expanded_conv", *(f"block_{i}" for i in range(1, BLOCKS)))
  for i, block in enumerate(blocks, 1):
    path = f"{target}block{i}/"
    for name in ("expand", "depthwise", "project"):
      make = (
        keras_layers.depthwise if name == "depthwise" else keras_layers.conv
      )
      source = layer(prefix, f"{block}_{name}")
      norm = layer(prefix, f"{block}_{name}_BN")
      rules += make(source, f"{path}{name}/conv")
      rules += keras_layers.norm(norm, f"{path}{name}/norm")
  return (*rules, *keras_layers.head(prefix, classifier))
