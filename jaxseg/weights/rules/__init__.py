"""Renaming rules by (source, family).

`RULES[('torchvision', 'resnet')](prefix, target)` gives the tuple of rules
for one place in a checkpoint and one place in our tree:

  prefix  what stands before the family's own names in the checkpoint, a
          regular expression without groups, such as r'backbone\\.' ('')
  target  what stands before ours, with its slash, such as 'encoder/' ('')

Encoders' families have a further `classifier=False`: the arrays of the
classification head are dropped, or with True become those of
`encoders.Classifier` and the like, whose trunk is at target='encoder/'.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from jaxseg.weights.rule import Rule
from jaxseg.weights.rules import (
  alexnet,
  efficientnet,
  mobilenet_v2,
  mobilenet_v3,
  resnet,
  smp_kit,
  torchvision_segmentation,
  vgg,
  xception,
)

Rules = Callable[..., tuple[Rule, ...]]

RULES: dict[tuple[str, str], Rules] = {
  # By name: these families have members that Keras has not.
  **{("keras", f"efficientnet_b{i}"): efficientnet.keras for i in range(8)},
  **{("keras", f"resnet{n}"): resnet.keras for n in (50, 101, 152)},
  ("keras", "mobilenet_v2"): mobilenet_v2.keras,
  ("keras", "vgg16"): vgg.keras,
  ("keras", "vgg19"): vgg.keras,
  ("keras", "xception"): xception.keras,
  # By the network's name: the rules of these depend on its depth.
  **{("smp", name): make for name, make in efficientnet.LUKEMELAS.items()},
  **{("smp", name): make for name, make in smp_kit.NETWORKS.items()},
  ("smp", "xception"): xception.legacy,
  ("timm", "aligned_xception"): xception.aligned,
  ("timm", "efficientnet"): efficientnet.timm,
  ("timm", "resnet"): resnet.rules,
  ("timm", "xception"): xception.legacy,
  ("torchvision", "alexnet"): alexnet.rules,
  ("torchvision", "deeplabv3"): torchvision_segmentation.deeplabv3,
  (
    "torchvision",
    "deeplabv3_mobilenet_v3",
  ): torchvision_segmentation.deeplabv3_mobilenet_v3,
  ("torchvision", "fcn_resnet"): torchvision_segmentation.fcn,
  ("torchvision", "feature_pyramid"): torchvision_segmentation.feature_pyramid,
  ("torchvision", "lraspp"): torchvision_segmentation.lraspp,
  ("torchvision", "mobilenet_v2"): mobilenet_v2.rules,
  ("torchvision", "mobilenet_v3"): mobilenet_v3.rules,
  ("torchvision", "resnet"): resnet.rules,
  ("torchvision", "vgg16"): functools.partial(vgg.rules, layers=16),
  ("torchvision", "vgg16_bn"): functools.partial(
    vgg.rules, layers=16, batch_norm=True
  ),
  ("torchvision", "vgg19"): functools.partial(vgg.rules, layers=19),
  ("torchvision", "vgg19_bn"): functools.partial(
    vgg.rules, layers=19, batch_norm=True
  ),
}
