"""Xception of timm (legacy_xception), smp and Keras; aligned of timm."""

from __future__ import annotations

from jaxseg.weights.rule import Rule, batch_norm, conv
from jaxseg.weights.rules import keras_layers, resnet

# Keras: layer -> ours. Its block 1 is the stem, its block 14 the exit.
_KERAS = {
  "block1_conv1": "stem1/conv",
  "block1_conv2": "stem2/conv",
  **{
    rf"block{block}_sepconv{i}": f"block{block - 1}_sep{i}"
    for block in range(2, 14)
    for i in (1, 2, 3)
  },
  "block14_sepconv1": "exit1",
  "block14_sepconv2": "exit2",
}


def legacy(
  prefix: str = "", target: str = "", *, classifier: bool = False
) -> tuple[Rule, ...]:
  """timm's legacy_xception and smp's xception; see `RULES`."""
  block, path = rf"{prefix}block(\d+)\.", rf"{target}block\1_"
  rules = []
  for i in (1, 2):
    rules += conv(rf"{prefix}conv{i}", f"{target}stem{i}/conv")
    rules += batch_norm(rf"{prefix}bn{i}", f"{target}stem{i}/norm")
    exit_conv, exit_norm = rf"{prefix}conv{i + 2}", rf"{prefix}bn{i + 2}"
    rules += conv(rf"{exit_conv}\.conv1", f"{target}exit{i}/depthwise")
    rules += conv(rf"{exit_conv}\.pointwise", f"{target}exit{i}/pointwise")
    rules += batch_norm(exit_norm, f"{target}exit{i}/norm")
  # A block is a list of ReLU, separable convolution, normalisation, ReLU ...;
  # the first block has no ReLU at its head. So place 4, say, is a
  # normalisation there and a convolution elsewhere: their names differ.
  first = rf"{prefix}block1\.", f"{target}block1_"
  for (source, into), shift in ((first, 0), ((block, path), 1)):
    for i in (1, 2, 3):
      at = 3 * (i - 1) + shift
      rep = rf"{source}rep\.{at}\."
      rules += conv(rep + "conv1", f"{into}sep{i}/depthwise")
      rules += conv(rep + "pointwise", f"{into}sep{i}/pointwise")
      norm = rf"{source}rep\.{at + 1}"
      rules += batch_norm(norm, f"{into}sep{i}/norm")
  return (
    *rules,
    *conv(rf"{block}skip", f"{path}shortcut/conv"),
    *batch_norm(rf"{block}skipbn", f"{path}shortcut/norm"),
    *resnet.head(rf"{prefix}fc", "fc", classifier),
  )


def keras(
  prefix: str = "",
  target: str = "",
  *,
  classifier: bool = False,
  first: int = 1,
) -> tuple[Rule, ...]:
  """keras.applications.Xception: 'layer/variable', see `RULES`.

  Args:
    prefix, target, classifier: see `RULES`.
    first: number of the first of the four shortcuts, which Keras names by a
      running count: conv2d_1 in the published files, conv2d (0) in a model
      that a fresh process has built.
  """
  rules, at = [], keras_layers.layer
  for name, path in _KERAS.items():
    source, into = at(prefix, name), target + path
    norm = f"{into}/norm" if "sep" in name else into.replace("conv", "norm")
    rules += (
      *keras_layers.conv(source, into),
      *keras_layers.separable(source, into),
      *keras_layers.norm(at(prefix, f"{name}_bn"), norm),
    )
  for i, block in enumerate((1, 2, 3, 12)):
    end = f"_{i + first}" if i + first else ""
    into = f"{target}block{block}_shortcut"
    # Their names are counts already.
    source = at(prefix, f"conv2d{end}", counted=False)
    norm = at(prefix, f"batch_normalization{end}", counted=False)
    rules += keras_layers.conv(source, f"{into}/conv")
    rules += keras_layers.norm(norm, f"{into}/norm")
  return (*rules, *keras_layers.head(prefix, classifier))


def aligned(
  prefix: str = "", target: str = "", *, classifier: bool = False
) -> tuple[Rule, ...]:
  """timm's xception41, xception65 and xception71; see `RULES`."""
  block, path = rf"{prefix}blocks\.(\d+)\.", rf"{target}block\1_"
  sep, into = rf"{block}stack\.conv(\d)\.", rf"{path}sep\2/"
  rules = []
  for i in (1, 2):
    rules += conv(rf"{prefix}stem\.{i - 1}\.conv", f"{target}stem{i}/conv")
    rules += batch_norm(rf"{prefix}stem\.{i - 1}\.bn", f"{target}stem{i}/norm")
  return (
    *rules,
    *conv(rf"{sep}conv_dw", f"{into}depthwise"),
    *batch_norm(rf"{sep}bn_dw", f"{into}depthwise_norm"),
    *conv(rf"{sep}conv_pw", f"{into}pointwise"),
    *batch_norm(rf"{sep}bn_pw", f"{into}norm"),
    *conv(rf"{block}shortcut\.conv", f"{path}shortcut/conv"),
    *batch_norm(rf"{block}shortcut\.bn", f"{path}shortcut/norm"),
    *resnet.head(rf"{prefix}head\.fc", "fc", classifier),
  )
