"""EfficientNet and EfficientNet-Lite: names of timm, lukemelas, Keras.

timm counts blocks per stage, as we do, and Keras letters them. lukemelas'
package, its descendants (segmentation_models_pytorch's efficientnet-b0 to -b7)
and the Lite weights of the package index count them through, so their rules
depend on the depth.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from jaxseg.weights.rule import Rule, batch_norm, conv
from jaxseg.weights.rules import keras_layers, resnet

BLOCKS = (1, 2, 2, 3, 3, 4, 1)  # of the seven stages at depth 1
B_DEPTHS = (1.0, 1.1, 1.2, 1.4, 1.8, 2.2, 2.6, 3.1)  # B0 to B7
LITE_DEPTHS = B_DEPTHS[:5]


def timm(
  prefix: str = "", target: str = "", *, classifier: bool = False
) -> tuple[Rule, ...]:
  """timm's (tf_)efficientnet_b* and tf_efficientnet_lite*; also those of smp.

  See `RULES` for the arguments.
  """
  # The first stage has no expansion: its modules count from one.
  plain = rf"{prefix}blocks\.0\.(\d+)\."
  block = rf"{prefix}blocks\.([1-9])\.(\d+)\."
  rules = []
  for source, path, names in (
    (plain, rf"{target}block0_\1/", ("depthwise", "project")),
    (block, rf"{target}block\1_\2/", ("expand", "depthwise", "project")),
  ):
    convs = {"expand": "conv_pw", "depthwise": "conv_dw", "project": "conv_pwl"}
    if source is plain:
      convs["project"] = "conv_pw"
    for i, name in enumerate(names, 1):
      rules += conv(source + convs[name], f"{path}{name}/conv")
      rules += batch_norm(rf"{source}bn{i}", f"{path}{name}/norm")
    for half, layer in (("reduce", "fc1"), ("expand", "fc2")):
      rules += conv(rf"{source}se\.conv_{half}", f"{path}se/{layer}")
  return (
    *conv(rf"{prefix}conv_stem", f"{target}stem/conv"),
    *batch_norm(rf"{prefix}bn1", f"{target}stem/norm"),
    *rules,
    *_head(f"{prefix}conv_head", f"{prefix}bn2", classifier),
    *resnet.head(rf"{prefix}classifier", "fc", classifier),
  )


def lukemelas(
  prefix: str = "",
  target: str = "",
  *,
  classifier: bool = False,
  depth: float = 1.0,
  lite: bool = False,
) -> tuple[Rule, ...]:
  """Modules named _conv_stem, _blocks.7._depthwise_conv and the like.

  See `RULES` for the first arguments; `depth` and `lite` as in
  `encoders.EfficientNet`.
  """
  counts = [math.ceil(n * depth) for n in BLOCKS]
  if lite:
    counts[0], counts[-1] = BLOCKS[0], BLOCKS[-1]
  names = [f"block{s}_{i}" for s, n in enumerate(counts) for i in range(n)]
  rules = []
  for number, name in enumerate(names):
    source = rf"{prefix}_blocks\.{number}\."
    path = f"{target}{name}/"
    for i, part in enumerate(("expand", "depthwise", "project")):
      rules += conv(rf"{source}_{part}_conv", f"{path}{part}/conv")
      rules += batch_norm(rf"{source}_bn{i}", f"{path}{part}/norm")
    rules += conv(rf"{source}_se_reduce", f"{path}se/fc1")
    rules += conv(rf"{source}_se_expand", f"{path}se/fc2")
  return (
    Rule(rf"{prefix}.*\.num_batches_tracked", ""),
    *conv(rf"{prefix}_conv_stem", f"{target}stem/conv"),
    *batch_norm(rf"{prefix}_bn0", f"{target}stem/norm"),
    *_head(f"{prefix}_conv_head", f"{prefix}_bn1", classifier),
    *resnet.head(rf"{prefix}_fc", "fc", classifier),
    *rules,
  )


def keras(
  prefix: str = "", target: str = "", *, classifier: bool = False
) -> tuple[Rule, ...]:
  """keras.applications' EfficientNetB0 to EfficientNetB7; see `RULES`.

  The normalisation of the image, a layer there, is a field of our encoder:
  its arrays are left out.
  """
  layer = functools.partial(keras_layers.layer, prefix)
  rules = []
  for stage, count in enumerate(BLOCKS):
    for i in range(math.ceil(count * B_DEPTHS[-1])):
      # 'block2a' is the first block of our stage 1.
      name = f"block{stage + 1}{chr(ord('a') + i)}"
      path = f"{target}block{stage}_{i}/"
      rules += (
        *keras_layers.conv(
          layer(rf"{name}_(?P<part>expand|project)_conv"),
          rf"{path}\g<part>/conv",
        ),
        *keras_layers.depthwise(
          layer(f"{name}_dwconv"), f"{path}depthwise/conv"
        ),
        *keras_layers.conv(layer(f"{name}_se_reduce"), f"{path}se/fc1"),
        *keras_layers.conv(layer(f"{name}_se_expand"), f"{path}se/fc2"),
        *keras_layers.norm(layer(f"{name}_expand_bn"), f"{path}expand/norm"),
        *keras_layers.norm(layer(f"{name}_bn"), f"{path}depthwise/norm"),
        *keras_layers.norm(layer(f"{name}_project_bn"), f"{path}project/norm"),
      )
  top = layer("top_conv"), layer("top_bn")
  if classifier:
    rules += keras_layers.conv(top[0], "head/conv")
    rules += keras_layers.norm(top[1], "head/norm")
  else:
    rules.append(Rule(rf"(?:{top[0]}|{top[1]})[^/]+", ""))
  return (
    Rule(layer("normalization") + r"(?:mean|variance|count)(?::0)?", ""),
    *keras_layers.conv(layer("stem_conv"), f"{target}stem/conv"),
    *keras_layers.norm(layer("stem_bn"), f"{target}stem/norm"),
    *keras_layers.head(prefix, classifier),
    *rules,
  )


def _head(convolution: str, norm: str, keep: bool) -> tuple[Rule, ...]:
  """The 1x1 convolution before the pooling is the classifier's."""
  if keep:
    return (*conv(convolution, "head/conv"), *batch_norm(norm, "head/norm"))
  return (Rule(rf"({convolution}|{norm})\..*", ""),)


# Name of the encoder -> rules with the network's depth filled in.
LUKEMELAS: dict[str, Callable[..., tuple[Rule, ...]]] = {
  **{
    f"efficientnet_b{i}": functools.partial(lukemelas, depth=depth)
    for i, depth in enumerate(B_DEPTHS)
  },
  **{
    f"efficientnet_lite{i}": functools.partial(
      lukemelas, depth=depth, lite=True
    )
    for i, depth in enumerate(LITE_DEPTHS)
  },
}
