"""Networks by name: `MODELS[name](outputs={...}, **fields)` builds a module.

MODELS are published networks, those on an encoder with the encoder of their
paper unless `encoder=` is given; `KIT[decoder](outputs={...}, encoder=...)`
pairs any encoder with any decoder. CLIP_MODELS are called with more than an
image: their class says in `reads` with which keys of a batch. A field that the
network does not have is a TypeError that names it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from flax import linen as nn

from jaxseg.encoders import ENCODERS, Normalization
from jaxseg.encoders.mobilenet_v2 import MobileNetV2
from jaxseg.models.adabins import AdaBins
from jaxseg.models.autoencoder import Autoencoder
from jaxseg.models.colorization import ColorNet
from jaxseg.models.context import DilatedVGG
from jaxseg.models.deconvnet import DeconvNet
from jaxseg.models.deeplab import DeepLabV3, DeepLabV3Plus
from jaxseg.models.dorn import DORN
from jaxseg.models.eigen import Eigen
from jaxseg.models.farabet import Farabet
from jaxseg.models.fcn import FCN
from jaxseg.models.fcn_resnet import D2LFCN, FCNResNet
from jaxseg.models.fpn import SemanticFPN
from jaxseg.models.fullres import FullResolution
from jaxseg.models.hed import HED
from jaxseg.models.hypercolumn import Hypercolumn
from jaxseg.models.kit import KIT
from jaxseg.models.linknet import LinkNet
from jaxseg.models.lraspp import LRASPP
from jaxseg.models.m4depth import M4Depth
from jaxseg.models.patch import PatchClassifier
from jaxseg.models.pets_unet import PetsUNet
from jaxseg.models.pinheiro import RecurrentCNN
from jaxseg.models.pspnet import PSPNet
from jaxseg.models.regressor import Regressor
from jaxseg.models.residual_unet import ResidualUNet
from jaxseg.models.segnet import SegNet, SegNetBasic
from jaxseg.models.simple_baseline import SimpleBaseline
from jaxseg.models.ssn import SSN
from jaxseg.models.unet import UNet

__all__ = ["CLIP_MODELS", "KIT", "MODELS", "Entry"]

# DeepLab's ResNets: dilations 2, 4, 8 in the last stage at output stride 16.
GRID = {"multi_grid": (1, 2, 4), "dilate_first": True}


@dataclasses.dataclass(frozen=True)
class Entry:
  """A network of the registry: its class and fields, which may be replaced."""

  module: type[nn.Module]
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def __call__(self, **fields: Any) -> nn.Module:
    """The module with these fields; TypeError for one it does not have."""
    return self.module(**{**self.fields, **fields})


MODELS: dict[str, Entry] = {
  # The map of stride 2 behind the first blocks, of 24 channels.
  "adabins": Entry(
    AdaBins, {"encoder": ENCODERS["efficientnet_b5"](c1="last")}
  ),
  "autoencoder": Entry(Autoencoder),
  "colorization": Entry(ColorNet),
  "deconvnet": Entry(DeconvNet),
  "deeplabv3_mobilenet_v3_large": Entry(
    DeepLabV3,
    {
      "encoder": ENCODERS["mobilenet_v3_large"](dilate_first=True),
      "output_stride": 16,
      "aux_at": "b4",
    },
  ),
  "deeplabv3_resnet101": Entry(DeepLabV3, {"encoder": ENCODERS["resnet101"]()}),
  "deeplabv3_resnet50": Entry(DeepLabV3, {"encoder": ENCODERS["resnet50"]()}),
  "deeplabv3plus_resnet101": Entry(
    DeepLabV3Plus,
    {"encoder": ENCODERS["resnet101"](**GRID), "separable": False},
  ),
  "deeplabv3plus_resnet50": Entry(
    DeepLabV3Plus,
    {"encoder": ENCODERS["resnet50"](**GRID), "separable": False},
  ),
  "deeplabv3plus_xception65": Entry(
    DeepLabV3Plus, {"encoder": ENCODERS["xception65"](momentum=0.9997)}
  ),
  "dilated_vgg": Entry(DilatedVGG),
  "dilated_vgg_context": Entry(DilatedVGG, {"context": "basic"}),
  "dilated_vgg_context_large": Entry(DilatedVGG, {"context": "large"}),
  "dorn": Entry(DORN, {"encoder": ENCODERS["resnet101_deep"]()}),
  "eigen": Entry(Eigen, {"encoder": ENCODERS["vgg16"](normalization="caffe")}),
  "farabet": Entry(Farabet),
  "fcn16s": Entry(FCN, {"stride": 16}),
  "fcn32s": Entry(FCN, {"stride": 32}),
  "fcn8s": Entry(FCN, {"stride": 8}),
  "fcn_d2l": Entry(D2LFCN, {"encoder": ENCODERS["resnet18"]()}),
  "fcn_resnet101": Entry(FCNResNet, {"encoder": ENCODERS["resnet101"]()}),
  "fcn_resnet50": Entry(FCNResNet, {"encoder": ENCODERS["resnet50"]()}),
  "fpn": Entry(SemanticFPN, {"encoder": ENCODERS["resnet50"]()}),
  "fullres": Entry(FullResolution),
  "hed": Entry(HED, {"encoder": ENCODERS["vgg16"]()}),
  "hypercolumn": Entry(Hypercolumn),
  "linknet": Entry(LinkNet, {"encoder": ENCODERS["resnet18"]()}),
  "lraspp_mobilenet_v3_large": Entry(
    LRASPP,
    {
      "encoder": ENCODERS["mobilenet_v3_large"](dilate_first=True),
      "low": "b4",
    },
  ),
  "patch": Entry(PatchClassifier),
  "pinheiro": Entry(RecurrentCNN),
  "pspnet_resnet101": Entry(PSPNet, {"encoder": ENCODERS["resnet101_deep"]()}),
  "pspnet_resnet50": Entry(PSPNet, {"encoder": ENCODERS["resnet50_deep"]()}),
  "regressor": Entry(Regressor, {"encoder": ENCODERS["resnet18"]()}),
  "residual_unet": Entry(ResidualUNet),
  "segnet": Entry(SegNet),
  "segnet_basic": Entry(SegNetBasic),
  "simple_baseline": Entry(SimpleBaseline, {"encoder": ENCODERS["resnet50"]()}),
  "ssn": Entry(SSN),
  "unet": Entry(UNet),
  "unet_mobilenet_v2": Entry(
    PetsUNet,
    {
      "encoder": MobileNetV2(
        head=False,
        padding="tf",
        normalization=Normalization((0.5,) * 3, (0.5,) * 3),
        momentum=0.999,
        epsilon=1e-3,
      )
    },
  ),
}

CLIP_MODELS: dict[str, Entry] = {"m4depth": Entry(M4Depth)}
