"""The networks of `benchmarks.step` in PyTorch, for timing only.

U-Net as Ronneberger et al. (2015) have it with same padding and BatchNorm, the
rest from segmentation_models_pytorch. Installed by `make parity`.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any


def torchvision() -> Any:
  """torchvision, importable without its compiled operators.

  Some of its wheels are CUDA builds, whose operators do not load beside a
  CPU-only torch; what is read of it here is Python.
  """
  import torch

  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
      import torchvision
    except RuntimeError:
      # Declares the operators that it registers shape rules for.
      library = torch.library.Library("torchvision", "DEF")
      for name in ("nms", "qnms"):
        library.define(
          f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
      for name in [n for n in sys.modules if n.startswith("torchvision")]:
        del sys.modules[name]
      import torchvision

      torchvision.jaxseg_library = library  # lives as long as the module
  return torchvision


def unet(width: int, classes: int) -> Any:
  """The torch module that equals our `unet` with norm='batch'."""
  import torch
  from torch import nn

  def double(cin, cout):
    return nn.Sequential(
      nn.Conv2d(cin, cout, 3, padding=1, bias=False),
      nn.BatchNorm2d(cout),
      nn.ReLU(inplace=True),
      nn.Conv2d(cout, cout, 3, padding=1, bias=False),
      nn.BatchNorm2d(cout),
      nn.ReLU(inplace=True),
    )

  class UNet(nn.Module):
    def __init__(self):
      super().__init__()
      widths = [width * 2**i for i in range(5)]
      self.down = nn.ModuleList(
        double(a, b) for a, b in zip([3, *widths[:-1]], widths)
      )
      self.grow = nn.ModuleList(
        nn.ConvTranspose2d(2 * w, w, 2, 2) for w in widths[:-1]
      )
      self.up = nn.ModuleList(double(2 * w, w) for w in widths[:-1])
      self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x):
      skips = []
      for block in self.down:
        x = block(x if not skips else nn.functional.max_pool2d(x, 2))
        skips.append(x)
      for level in reversed(range(4)):
        x = torch.cat([self.grow[level](x), skips[level]], 1)
        x = self.up[level](x)
      return self.head(x)

  return UNet()


def network(name: str, classes: int) -> Any:
  """The torch module of a name of `benchmarks.step.NETWORKS`."""
  if name.startswith("unet_w"):
    return unet(int(name.removeprefix("unet_w")), classes)
  torchvision()  # smp imports it
  import segmentation_models_pytorch as smp

  kind, encoder = {
    "unet_mobilenet_v2": (smp.Unet, "mobilenet_v2"),
    "deeplabv3plus_resnet50": (smp.DeepLabV3Plus, "resnet50"),
    "unet_efficientnet_b0": (smp.Unet, "efficientnet-b0"),
    "fpn_resnext50": (smp.FPN, "resnext50_32x4d"),
  }[name]
  return kind(encoder, encoder_weights=None, classes=classes)


def randomize(module: Any, seed: int = 0) -> Any:
  """Evaluation mode, random affine and running statistics (else 1 and 0).

  Kernels that keep the scale, so that maps are not near constants.
  """
  import torch

  torch.manual_seed(seed)
  for m in module.modules():
    if isinstance(m, torch.nn.Conv2d):
      torch.nn.init.kaiming_normal_(m.weight)
    if isinstance(m, torch.nn.BatchNorm2d):
      torch.nn.init.uniform_(m.weight, 0.5, 1.5)
      torch.nn.init.normal_(m.bias, std=0.1)
      torch.nn.init.normal_(m.running_mean, std=0.1)
      torch.nn.init.uniform_(m.running_var, 0.5, 2.0)
  return module.eval()
