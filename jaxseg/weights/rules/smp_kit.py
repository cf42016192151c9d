"""Decoders of segmentation_models_pytorch 0.6 -> `models.kit`.

Beside the arguments that `RULES` lists: `encoder`, the rules of its family
(`RULES['torchvision', 'mobilenet_v2']`, say), and `head`, the name of our
output.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxseg.weights.rule import Rule, batch_norm, conv
from jaxseg.weights.rules import resnet
from jaxseg.weights.rules.mobilenet_v2 import unit
from jaxseg.weights.rules.torchvision_segmentation import aspp

Rules = Callable[..., tuple[Rule, ...]]
LEVELS = range(5)  # block i of a decoder ends at level 4 - i
BINS = (1, 2, 3, 6)


def _around(
  prefix: str, target: str, encoder: Rules, head: str
) -> tuple[Rule, ...]:
  """Encoder and head, which all networks have alike."""
  return (
    *encoder(rf"{prefix}encoder\.", f"{target}encoder/"),
    *conv(rf"{prefix}segmentation_head\.0", f"{target}head_{head}"),
  )


def unet(
  prefix: str = "",
  target: str = "",
  *,
  encoder: Rules = resnet.rules,
  head: str = "logits",
) -> tuple[Rule, ...]:
  """Unet."""
  at, to = rf"{prefix}decoder\.", f"{target}decoder/"
  rules = _around(prefix, target, encoder, head)
  for i in (1, 2):
    rules += unit(rf"{at}center\.{i - 1}", f"{to}center_conv{i}")
  for i in LEVELS:
    rules += unit(rf"{at}blocks\.{i}\.conv(\d)", rf"{to}up{4 - i}_conv\1")
  return rules


def linknet(
  prefix: str = "",
  target: str = "",
  *,
  encoder: Rules = resnet.rules,
  head: str = "logits",
) -> tuple[Rule, ...]:
  """Linknet."""
  rules = _around(prefix, target, encoder, head)
  for i in LEVELS:
    at = rf"{prefix}decoder\.blocks\.{i}\.block"
    to = f"{target}decoder/up{4 - i}"
    rules += (
      *unit(rf"{at}\.0", f"{to}/conv1"),
      *conv(rf"{at}\.1\.0", f"{to}/up", "conv_transpose"),
      *batch_norm(rf"{at}\.1\.1", f"{to}/up_norm"),
      *unit(rf"{at}\.2", f"{to}/conv2"),
    )
  return rules


def fpn(
  prefix: str = "",
  target: str = "",
  *,
  encoder: Rules = resnet.rules,
  head: str = "logits",
) -> tuple[Rule, ...]:
  """FPN."""
  at, to = rf"{prefix}decoder\.", f"{target}decoder/"
  rules = _around(prefix, target, encoder, head)
  rules += conv(rf"{at}p5", f"{to}pyramid/lateral5")
  rules += conv(rf"{at}p(\d)\.skip_conv", rf"{to}pyramid/lateral\1")
  for i in range(4):
    block = rf"{at}seg_blocks\.{i}\.block\.(\d)\.block"
    rules += unit(block, rf"{to}branch/p{5 - i}_\1")
  return rules


def pspnet(
  prefix: str = "",
  target: str = "",
  *,
  encoder: Rules = resnet.rules,
  head: str = "logits",
) -> tuple[Rule, ...]:
  """PSPNet."""
  at, to = rf"{prefix}decoder\.", f"{target}decoder/"
  rules = _around(prefix, target, encoder, head)
  for i, bins in enumerate(BINS):
    rules += unit(rf"{at}psp\.blocks\.{i}\.pool\.1", f"{to}pool/bin{bins}")
  return (*rules, *unit(rf"{at}conv", f"{to}fuse"))


def deeplabv3(
  prefix: str = "",
  target: str = "",
  *,
  encoder: Rules = resnet.rules,
  head: str = "logits",
  separable: bool = False,
) -> tuple[Rule, ...]:
  """DeepLabV3; `separable` as the network has it."""
  at, to = rf"{prefix}decoder\.", f"{target}decoder/"
  return (
    *_around(prefix, target, encoder, head),
    *aspp(rf"{at}aspp", f"{to}aspp", separable),
    *unit(rf"{at}conv", f"{to}conv/dense", rf"{at}bn"),
  )


def deeplabv3plus(
  prefix: str = "",
  target: str = "",
  *,
  encoder: Rules = resnet.rules,
  head: str = "logits",
) -> tuple[Rule, ...]:
  """DeepLabV3Plus with its separable convolutions."""
  at, to = rf"{prefix}decoder\.", f"{target}decoder/"
  return (
    *_around(prefix, target, encoder, head),
    *aspp(rf"{at}aspp\.0", f"{to}aspp", separable=True),
    *conv(rf"{at}aspp\.1\.0", f"{to}before1/depthwise/conv"),
    *unit(rf"{at}aspp\.1\.1", f"{to}before1/pointwise", rf"{at}aspp\.2"),
    *unit(rf"{at}block1", f"{to}low"),
    *conv(rf"{at}block2\.0\.0", f"{to}after1/depthwise/conv"),
    *unit(rf"{at}block2\.0\.1", f"{to}after1/pointwise", rf"{at}block2\.1"),
  )
