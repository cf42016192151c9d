"""Decoders of segmentation_models_pytorch 0.6 -> `models.kit`.

Beside the arguments that `RULES` lists: `encoder`, the rules of its family
(`RULES['torchvision', 'mobilenet_v2']`, say), `head`, the name of our output,
and for deeplabv3 `separable`, as the network has it.
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


def _network(decoder: Rules) -> Rules:
  """Rules of a network: of its decoder, and what all networks have alike."""

  def rules(
    prefix: str = "",
    target: str = "",
    *,
    encoder: Rules = resnet.rules,
    head: str = "logits",
    **options: bool,
  ) -> tuple[Rule, ...]:
    return (
      *encoder(rf"{prefix}encoder\.", f"{target}encoder/"),
      *decoder(rf"{prefix}decoder\.", f"{target}decoder/", **options),
      *conv(rf"{prefix}segmentation_head\.0", f"{target}head_{head}"),
    )

  return rules


def _unet(at: str, to: str) -> tuple[Rule, ...]:
  rules = ()
  for i in (1, 2):
    rules += unit(rf"{at}center\.{i - 1}", f"{to}center_conv{i}")
  for i in LEVELS:
    rules += unit(rf"{at}blocks\.{i}\.conv(\d)", rf"{to}up{4 - i}_conv\1")
  return rules


def _linknet(at: str, to: str) -> tuple[Rule, ...]:
  rules = ()
  for i in LEVELS:
    block, up = rf"{at}blocks\.{i}\.block", f"{to}up{4 - i}"
    rules += (
      *unit(rf"{block}\.0", f"{up}/conv1"),
      *conv(rf"{block}\.1\.0", f"{up}/up", "conv_transpose"),
      *batch_norm(rf"{block}\.1\.1", f"{up}/up_norm"),
      *unit(rf"{block}\.2", f"{up}/conv2"),
    )
  return rules


def _fpn(at: str, to: str) -> tuple[Rule, ...]:
  rules = conv(rf"{at}p5", f"{to}pyramid/lateral5")
  rules += conv(rf"{at}p(\d)\.skip_conv", rf"{to}pyramid/lateral\1")
  for i in range(4):
    block = rf"{at}seg_blocks\.{i}\.block\.(\d)\.block"
    rules += unit(block, rf"{to}branch/p{5 - i}_\1")
  return rules


def _pspnet(at: str, to: str) -> tuple[Rule, ...]:
  rules = unit(rf"{at}conv", f"{to}fuse")
  for i, bins in enumerate(BINS):
    rules += unit(rf"{at}psp\.blocks\.{i}\.pool\.1", f"{to}pool/bin{bins}")
  return rules


def _deeplabv3(
  at: str, to: str, *, separable: bool = False
) -> tuple[Rule, ...]:
  return (
    *aspp(rf"{at}aspp", f"{to}aspp", separable),
    *unit(rf"{at}conv", f"{to}conv/dense", rf"{at}bn"),
  )


def _deeplabv3plus(at: str, to: str) -> tuple[Rule, ...]:
  return (
    *aspp(rf"{at}aspp\.0", f"{to}aspp", separable=True),
    *conv(rf"{at}aspp\.1\.0", f"{to}before1/depthwise/conv"),
    *unit(rf"{at}aspp\.1\.1", f"{to}before1/pointwise", rf"{at}aspp\.2"),
    *unit(rf"{at}block1", f"{to}low"),
    *conv(rf"{at}block2\.0\.0", f"{to}after1/depthwise/conv"),
    *unit(rf"{at}block2\.0\.1", f"{to}after1/pointwise", rf"{at}block2\.1"),
  )


NETWORKS: dict[str, Rules] = {
  "deeplabv3": _network(_deeplabv3),
  "deeplabv3plus": _network(_deeplabv3plus),
  "fpn": _network(_fpn),
  "linknet": _network(_linknet),
  "pspnet": _network(_pspnet),
  "unet": _network(_unet),
}
