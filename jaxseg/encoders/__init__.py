"""Encoders by name: `ENCODERS[name](**fields)` builds a Linen module.

`encoder(image, train=) -> {'c1': ..., 'c5': ...}`: RGB in [0, 1] in, maps of
stride 2, 4 ... out. Each holds its own normalisation of the image.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from flax import linen as nn

from jaxseg.encoders.alexnet import AlexNet, AlexNetClassifier
from jaxseg.encoders.classifier import Classifier
from jaxseg.encoders.efficientnet import (
  VARIANTS,
  EfficientNet,
  EfficientNetClassifier,
)
from jaxseg.encoders.mobilenet_v2 import MobileNetV2
from jaxseg.encoders.mobilenet_v3 import MobileNetV3
from jaxseg.encoders.normalization import NORMALIZATIONS, Normalization
from jaxseg.encoders.resnet import ResNet
from jaxseg.encoders.vgg import VGG, VGGClassifier
from jaxseg.encoders.xception import Xception
from jaxseg.encoders.xception_aligned import XceptionAligned

__all__ = [
  "ENCODERS",
  "NORMALIZATIONS",
  "VGG",
  "AlexNet",
  "AlexNetClassifier",
  "Classifier",
  "EfficientNet",
  "EfficientNetClassifier",
  "MobileNetV2",
  "MobileNetV3",
  "Normalization",
  "ResNet",
  "VGGClassifier",
  "Xception",
  "XceptionAligned",
]

_basic = functools.partial(ResNet, bottleneck=False)
_resnext = functools.partial(ResNet, groups=32)

ENCODERS: dict[str, Callable[..., nn.Module]] = {
  "alexnet": AlexNet,
  **{
    name: functools.partial(EfficientNet, **fields)
    for name, fields in VARIANTS.items()
  },
  "mobilenet_v2": MobileNetV2,
  "mobilenet_v3_large": functools.partial(MobileNetV3, size="large"),
  "mobilenet_v3_small": functools.partial(MobileNetV3, size="small"),
  "resnet18": functools.partial(_basic, blocks=(2, 2, 2, 2)),
  "resnet34": functools.partial(_basic, blocks=(3, 4, 6, 3)),
  "resnet50": functools.partial(ResNet, blocks=(3, 4, 6, 3)),
  "resnet50_deep": functools.partial(ResNet, blocks=(3, 4, 6, 3), stem="deep"),
  "resnet101": functools.partial(ResNet, blocks=(3, 4, 23, 3)),
  "resnet101_deep": functools.partial(
    ResNet, blocks=(3, 4, 23, 3), stem="deep"
  ),
  "resnet152": functools.partial(ResNet, blocks=(3, 8, 36, 3)),
  "resnext50_32x4d": functools.partial(
    _resnext, blocks=(3, 4, 6, 3), group_width=4
  ),
  "resnext101_32x8d": functools.partial(
    _resnext, blocks=(3, 4, 23, 3), group_width=8
  ),
  "resnext101_64x4d": functools.partial(
    ResNet, blocks=(3, 4, 23, 3), groups=64, group_width=4
  ),
  "vgg16": functools.partial(VGG, layers=16),
  "vgg16_bn": functools.partial(VGG, layers=16, batch_norm=True),
  "vgg19": functools.partial(VGG, layers=19),
  "vgg19_bn": functools.partial(VGG, layers=19, batch_norm=True),
  "xception": Xception,
  "xception41": functools.partial(XceptionAligned, middle=8),
  "xception65": functools.partial(XceptionAligned, middle=16),
  "xception71": functools.partial(XceptionAligned, middle=16, long_entry=True),
}
