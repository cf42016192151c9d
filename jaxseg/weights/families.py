"""Which rules a published model needs, and what its images go through.

`find('torchvision', 'resnet50')` looks the model's family up in FAMILIES and
the family's rules in `rules.RULES`; a network over an encoder, such as
'fcn_resnet50' or smp's 'unet-resnet34', has its family's rules around those
of the encoder.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxseg.types import UserError
from jaxseg.weights.rule import Rule
from jaxseg.weights.rules import RULES, Rules

SOURCES = ("torchvision", "timm", "smp", "keras")

# Model -> family; a model that is not here is a family of its own.
FAMILIES: dict[str, str] = {
  **{
    name: "resnet"
    for name in (
      "resnet18",
      "resnet34",
      "resnet50",
      "resnet101",
      "resnet152",
      "resnext50_32x4d",
      "resnext101_32x8d",
      "resnext101_64x4d",
    )
  },
  "vgg16": "vgg16",
  "vgg16_bn": "vgg16_bn",
  "vgg19": "vgg19",
  "vgg19_bn": "vgg19_bn",
  "alexnet": "alexnet",
  "mobilenet_v2": "mobilenet_v2",
  "mobilenet_v3_large": "mobilenet_v3",
  **{f"efficientnet_b{i}": "efficientnet" for i in range(8)},
  **{f"efficientnet_lite{i}": "efficientnet" for i in range(5)},
  "xception": "xception",
  "xception41": "aligned_xception",
  "xception65": "aligned_xception",
  "xception71": "aligned_xception",
}
# Names that timm alone has.
TIMM: dict[str, str] = {
  "mobilenetv2_100": "mobilenet_v2",
  "mobilenetv3_large_100": "mobilenet_v3",
  "tf_mobilenetv3_large_100": "mobilenet_v3",
  **{f"tf_efficientnet_b{i}": "efficientnet" for i in range(8)},
  **{f"tf_efficientnet_lite{i}": "efficientnet" for i in range(5)},
  "legacy_xception": "xception",
}

# torchvision's networks -> family and encoder; smp's are DECODER-ENCODER.
NETWORKS: dict[str, tuple[str, str]] = {
  "fcn_resnet50": ("fcn_resnet", "resnet50"),
  "fcn_resnet101": ("fcn_resnet", "resnet101"),
  "deeplabv3_resnet50": ("deeplabv3", "resnet50"),
  "deeplabv3_resnet101": ("deeplabv3", "resnet101"),
  "deeplabv3_mobilenet_v3_large": ("deeplabv3", "mobilenet_v3_large"),
  "lraspp_mobilenet_v3_large": ("lraspp", "mobilenet_v3_large"),
}
# Where our defaults would compute something else with a family's weights.
FIELDS: dict[tuple[str, str], dict[str, Any]] = {
  ("keras", "efficientnet"): {"padding": "tf", "epsilon": 1e-3},
  ("keras", "mobilenet_v2"): {"padding": "tf", "epsilon": 1e-3},
  ("keras", "resnet"): {
    "stride_at": "1x1",
    "use_bias": True,
    "epsilon": 1.001e-5,
  },
  ("keras", "xception"): {"padding": "tf", "valid_stem": True},
}
DECODERS = ("unet", "linknet", "fpn", "pspnet", "deeplabv3", "deeplabv3plus")


class Found(NamedTuple):
  """What a model needs.

  Fields: rules for its whole checkpoint; normalization, a name of
  encoders.NORMALIZATIONS; fields of our network that the weights need.
  """

  rules: tuple[Rule, ...]
  normalization: str
  fields: Mapping[str, Any]


def find(source: str, model: str) -> Found:
  """The rules and the normalisation of a published model.

  Args:
    source: one of SOURCES.
    model: as the source names it. timm's tag after a point only settles the
      normalisation; smp's networks are 'DECODER-ENCODER'.

  Raises:
    UserError: unknown source or model (the nearest names are given), or a
      model that this source has no rules for.
  """
  if source not in SOURCES:
    raise UserError(
      f"--from={source} is not known: expected one of {', '.join(SOURCES)}."
    )
  name, _, tag = model.partition(".") if source == "timm" else (model, "", "")
  rules = _rules(source, name)
  if not rules:
    near = difflib.get_close_matches(model, models(source), 3, 0.6)
    if near:
      hint = f"did you mean {' or '.join(near)}?"
    else:
      known = [name for name in models(source) if "-" not in name]
      hint = f"known are {', '.join(known)}"
      if source == "smp":
        hint += f", and DECODER-ENCODER with {', '.join(DECODERS)} before them"
      hint += "."
    raise UserError(
      f"--model={model} of --from={source} has no renaming rules: {hint}"
    )
  fields = FIELDS.get((source, FAMILIES.get(name, name)), {})
  return Found(rules, _normalization(source, name, tag), fields)


def models(source: str) -> list[str]:
  """Names that `find` knows of a source, sorted."""
  names = {*FAMILIES}
  if source == "torchvision":
    names |= NETWORKS.keys()
  if source == "timm":
    names |= TIMM.keys()
  if source == "smp":
    names |= {f"{d}-{e}" for d in DECODERS for e in FAMILIES}
  return sorted(name for name in names if _rules(source, name))


def fingerprint(rules: tuple[Rule, ...]) -> str:
  """Another one for other rules: what those converted is out of date."""
  return hashlib.sha256(repr(rules).encode()).hexdigest()[:16]


def _rules(source: str, name: str) -> tuple[Rule, ...]:
  """Empty where there are none."""
  decoder, _, encoder = name.partition("-")
  if source == "smp" and decoder in DECODERS:
    family = decoder
  elif source == "torchvision" and name in NETWORKS:
    family, encoder = NETWORKS[name]
  else:
    make = _encoder(source, name)
    return make("", "encoder/", classifier=True) if make else ()
  make, own = _encoder(source, encoder), RULES.get((source, family))
  return own(encoder=make) if own and make else ()


def _encoder(source: str, name: str) -> Rules | None:
  """The rules of an encoder's family; None where there are none.

  smp took its encoders from torchvision and timm, names and all.
  """
  places: tuple[str, ...] = (source,)
  if source == "smp":
    name = name.replace("-", "_")
    places = ("smp", "torchvision", "timm")
    if name.startswith("timm_"):
      name, places = name.removeprefix("timm_"), ("timm",)
  family = FAMILIES.get(name)
  if "timm" in places:
    family = TIMM.get(name, family)
  for place in places:
    for key in ((place, name), (place, family)):
      if family and key in RULES:
        return RULES[key]
  return None


def _normalization(source: str, name: str, tag: str) -> str:
  """A name of encoders.NORMALIZATIONS."""
  inception = False
  if source == "keras":
    family = FAMILIES.get(name, name)
    if family in ("resnet", "vgg16", "vgg19"):
      return "caffe_vgg"
    inception = family != "efficientnet"
  elif source == "timm":
    tensorflow = ("tf_efficientnet_lite", "tf_mobilenetv3", "xception")
    inception = name.startswith((*tensorflow, "legacy_x"))
    inception |= tag.startswith(("ap_", "ra4_"))  # recipes of that kind
  elif source == "smp":  # its Lite and Xception are TensorFlow's
    inception = "lite" in name or "xception" in name
  return "inception" if inception else "imagenet"
