"""What makes every network of the registries small, for tests that run them."""

from jaxseg.encoders import ENCODERS
from jaxseg.models import MODELS

# Fields of the kit's decoders.
DECODERS = {
  "deeplabv3plus": {"width": 4, "low_width": 4},
  "linknet": {"width": 4},
  "unet": {"widths": (8, 4, 4, 4, 4)},
}

# One small encoder for all that take any: encoders have tests of their own.
RESNET = {"width": 4, "blocks": (1, 1, 1, 1)}
BASIC = ENCODERS["resnet18"](**RESNET)
VGG = {"width": 4, "fc_width": 16, "dropout": 0.0}
DEEPLAB = {"encoder": BASIC, "width": 4, "aux_width": 4, "dropout": 0.0}
PLUS = {"encoder": BASIC, "width": 4, "low_width": 4, "dropout": 0.0}
PSP = {**DEEPLAB, "pool_width": 2}

# Fields of MODELS; score layers that start at zero are woken up.
TINY = {
  "adabins": {
    "encoder": BASIC,
    "width": 32,
    "embed": 8,
    "queries": 4,
    "patch": 4,
    "depth": 1,
    "heads": 2,
    "hidden": 8,
    "positions": 24,
    "regressor_width": 8,
    "dropout": 0.0,
  },
  "autoencoder": {"width": 4, "depth": 2, "code": 4},
  "colorization": {"width": 4},
  "deconvnet": {"width": 4, "fc_width": 16},
  "deeplabv3_mobilenet_v3_large": {**DEEPLAB, "aux_at": "c3"},
  "deeplabv3_resnet101": DEEPLAB,
  "deeplabv3_resnet50": DEEPLAB,
  "deeplabv3plus_resnet101": PLUS,
  "deeplabv3plus_resnet50": PLUS,
  "deeplabv3plus_xception65": PLUS,
  "dilated_vgg": VGG,
  "dilated_vgg_context": VGG,
  "dilated_vgg_context_large": VGG,
  "dorn": {
    "encoder": BASIC,
    "input_size": (41, 49),
    "window": 3,
    "width": 4,
    "hidden": 8,
    "dropout": 0.0,
  },
  "eigen": {
    "encoder": ENCODERS["vgg16"](width=4),
    "input_size": (48, 64),
    "width": 4,
    "image_width": 4,
    "fc_width": 16,
    "dropout": 0.0,
  },
  "farabet": {"width": 2, "hidden": 16},
  "fcn16s": {**VGG, "zero_init": False},
  "fcn32s": {**VGG, "zero_init": False},
  "fcn8s": {**VGG, "zero_init": False},
  "fcn_d2l": {"encoder": BASIC},
  "fcn_resnet101": DEEPLAB,
  "fcn_resnet50": DEEPLAB,
  "fpn": {"encoder": BASIC, "pyramid_width": 8, "width": 4},
  "fullres": {"width": 4, "depth": 3},
  "hed": {"encoder": ENCODERS["vgg16"](width=4)},
  "hypercolumn": VGG,
  "linknet": {"encoder": BASIC, "width": 4},
  "lraspp_mobilenet_v3_large": {"encoder": BASIC, "low": "c3", "width": 4},
  "patch": {"patch": 9, "width": 4, "fc_width": 8},
  "pinheiro": {"width": 4},
  "pspnet_resnet101": PSP,
  "pspnet_resnet50": PSP,
  "regressor": {"encoder": BASIC, "grid": 2, "hidden": 8},
  "residual_unet": {"width": 4, "depth": 2},
  "segnet": {"width": 4},
  "segnet_basic": {"width": 4},
  "simple_baseline": {"encoder": BASIC, "width": 4},
  "ssn": {"width": 4},
  "unet": {"width": 4, "depth": 2},
  "unet_mobilenet_v2": {
    "encoder": MODELS["unet_mobilenet_v2"].fields["encoder"].clone(width=0.1),
    "widths": (4, 4, 4, 4),
  },
}

# Fields of CLIP_MODELS.
CLIP_TINY = {
  "m4depth": {
    "widths": (4, 4, 8),
    "refiner": (4,),
    "reach": 2,
    "radius": 1,
  }
}

# Networks that differ in their encoder alone are one network when tiny.
DISTINCT = sorted(
  {
    MODELS[name](outputs={"logits": 3}, **TINY[name]): name
    for name in sorted(MODELS, reverse=True)
  }.values()
)
