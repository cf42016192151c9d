"""Segmentation networks of torchvision, and its feature pyramid.

Beside the arguments that `RULES` lists: `encoder`, the rules of its family,
and `head`, the name of our output.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxseg.weights.rule import Rule, conv
from jaxseg.weights.rules import mobilenet_v3, resnet
from jaxseg.weights.rules.mobilenet_v2 import unit

Rules = Callable[..., tuple[Rule, ...]]


def _auxiliary(prefix: str, target: str, head: str) -> tuple[Rule, ...]:
  at = rf"{prefix}aux_classifier"
  return (
    *unit(at, f"{target}aux/conv"),
    *conv(rf"{at}\.4", f"{target}aux/head_{head}"),
  )


def aspp(at: str, to: str, separable: bool = False) -> tuple[Rule, ...]:
  """The pyramid pooling of torchvision and segmentation_models_pytorch.

  Args:
    at: pattern of the module.
    to: path of ours.
    separable: its dilated convolutions are depthwise and 1x1.
  """
  wide = f"{to}/atrous\\1/{'pointwise' if separable else 'dense'}"
  dilated = unit(rf"{at}\.convs\.([123])", wide)
  if separable:
    dilated = (
      *conv(rf"{at}\.convs\.(\d)\.0\.0", f"{to}/atrous\\1/depthwise/conv"),
      *unit(rf"{at}\.convs\.(\d)\.0\.1", wide, rf"{at}\.convs\.([123])\.1"),
    )
  return (
    *unit(rf"{at}\.convs\.0", f"{to}/point"),
    *unit(rf"{at}\.convs\.4\.1", f"{to}/image", rf"{at}\.convs\.4\.2"),
    *dilated,
    *unit(rf"{at}\.project", f"{to}/join"),
  )


def fcn(
  prefix: str = "",
  target: str = "",
  *,
  encoder: Rules = resnet.rules,
  head: str = "logits",
) -> tuple[Rule, ...]:
  """fcn_resnet50 and 101 -> `FCNResNet`."""
  at = rf"{prefix}classifier"
  return (
    *encoder(rf"{prefix}backbone\.", f"{target}encoder/"),
    *unit(at, f"{target}head/conv"),
    *conv(rf"{at}\.4", f"{target}head/head_{head}"),
    *_auxiliary(prefix, target, head),
  )


def deeplabv3(
  prefix: str = "",
  target: str = "",
  *,
  encoder: Rules = resnet.rules,
  head: str = "logits",
) -> tuple[Rule, ...]:
  """deeplabv3_resnet50 and 101 -> `DeepLabV3`."""
  at, to = rf"{prefix}classifier", f"{target}decoder"
  return (
    *encoder(rf"{prefix}backbone\.", f"{target}encoder/"),
    *aspp(rf"{at}\.0", f"{to}/aspp"),
    *unit(rf"{at}\.1", f"{to}/conv/dense", rf"{at}\.2"),
    *conv(rf"{at}\.4", f"{target}head_{head}"),
    *_auxiliary(prefix, target, head),
  )


def deeplabv3_mobilenet_v3(
  prefix: str = "", target: str = "", *, head: str = "logits"
) -> tuple[Rule, ...]:
  """deeplabv3_mobilenet_v3_large -> `DeepLabV3`."""
  return deeplabv3(prefix, target, encoder=mobilenet_v3.rules, head=head)


def lraspp(
  prefix: str = "",
  target: str = "",
  *,
  encoder: Rules = mobilenet_v3.rules,
  head: str = "logits",
) -> tuple[Rule, ...]:
  """lraspp_mobilenet_v3_large -> `LRASPP`."""
  at = rf"{prefix}classifier\."
  return (
    *encoder(rf"{prefix}backbone\.", f"{target}encoder/"),
    *unit(rf"{at}cbr", f"{target}deep"),
    *conv(rf"{at}scale\.1", f"{target}gate"),
    *conv(rf"{at}low_classifier", f"{target}head_{head}_low"),
    *conv(rf"{at}high_classifier", f"{target}head_{head}"),
  )


def feature_pyramid(
  prefix: str = "", target: str = "", *, levels: int = 4, finest: int = 2
) -> tuple[Rule, ...]:
  """FeaturePyramidNetwork -> `FeaturePyramid` of `levels` from c`finest`."""
  rules: tuple[Rule, ...] = ()
  for i in range(levels):
    for theirs, ours in (("inner", "lateral"), ("layer", "output")):
      at = rf"{prefix}{theirs}_blocks\.{i}\.0"
      rules += conv(at, f"{target}{ours}{i + finest}")
  return rules
