"""Our networks on ResNet-50 in PyTorch alone, for timing beside them.

`benchmarks.gpu` runs where nothing but torch may be installed. Written from the
papers that jaxseg.models.deeplab and .pspnet name, layer by layer what these
do: as many parameters and multiply-adds, which the tests count. Outputs are
logits (b, k, h, w), in training a list with the auxiliary head's behind.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from benchmarks import peers


def conv(cin: int, cout: int, kernel: int = 1, act: bool = True, **options):
  """Convolution that keeps the size at stride 1, BatchNorm, ReLU."""
  padding = options.get("dilation", 1) * (kernel // 2)
  parts = [
    nn.Conv2d(cin, cout, kernel, padding=padding, bias=False, **options),
    nn.BatchNorm2d(cout),
  ]
  return nn.Sequential(*parts, *([nn.ReLU(inplace=True)] if act else []))


def grow(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
  """Bilinearly to the size of another, corners aligned."""
  return functional.interpolate(
    x, like.shape[-2:], mode="bilinear", align_corners=True
  )


class Bottleneck(nn.Module):
  """1x1, 3x3 that strides or dilates, 1x1, and the shortcut."""

  def __init__(self, cin: int, inner: int, stride: int, dilation: int):
    super().__init__()
    self.body = nn.Sequential(
      conv(cin, inner),
      conv(inner, inner, 3, stride=stride, dilation=dilation),
      conv(inner, 4 * inner, act=False),
    )
    same = stride == 1 and cin == 4 * inner
    self.short = (
      nn.Identity() if same else conv(cin, 4 * inner, act=False, stride=stride)
    )

  def forward(self, x):
    """(b, cin, h, w) -> (b, 4 inner, h / stride, w / stride)."""
    return functional.relu(self.body(x) + self.short(x))


class ResNet50(nn.Module):
  """The maps of stride 4 and 16 and the last one.

  Args:
    strides: of the four stages.
    dilations: of the 3x3 of each block, stage by stage.
    deep: three 3x3 in the place of the 7x7.
  """

  def __init__(self, strides, dilations, deep: bool):
    super().__init__()
    stem = [conv(3, 64, 7, stride=2)]
    if deep:
      stem = [conv(3, 64, 3, stride=2), conv(64, 64, 3), conv(64, 128, 3)]
    self.stem = nn.Sequential(*stem, nn.MaxPool2d(3, 2, 1))
    self.stages = nn.ModuleList()
    cin = 128 if deep else 64
    for k, (stride, rates) in enumerate(zip(strides, dilations)):
      inner, blocks = 64 * 2**k, []
      for i, rate in enumerate(rates):
        blocks.append(Bottleneck(cin, inner, stride if i == 0 else 1, rate))
        cin = 4 * inner
      self.stages.append(nn.Sequential(*blocks))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
    self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

  def forward(self, x):
    """RGB in [0, 1] -> c2, c4, c5."""
    x = self.stem((x - self.mean) / self.std)
    maps = []
    for stage in self.stages:
      x = stage(x)
      maps.append(x)
    return maps[0], maps[2], maps[3]


class DeepLabV3Plus(nn.Module):
  """Of stride 16, multi-grid 1, 2, 4; dense convolutions."""

  def __init__(self, classes: int, width: int = 256):
    super().__init__()
    ones = ((1,) * 3, (1,) * 4, (1,) * 6)
    self.encoder = ResNet50((1, 2, 2, 1), (*ones, (2, 4, 8)), deep=False)
    self.branches = nn.ModuleList(
      [
        conv(2048, width),
        *(conv(2048, width, 3, dilation=rate) for rate in (6, 12, 18)),
      ]
    )
    self.image = conv(2048, width)
    self.join = nn.Sequential(conv(5 * width, width), nn.Dropout(0.1))
    self.low = conv(256, 48)
    self.after = nn.Sequential(
      conv(width + 48, width, 3), conv(width, width, 3)
    )
    self.head = nn.Conv2d(width, classes, 1)

  def forward(self, image):
    """See the module."""
    low, _, top = self.encoder(image)
    x = [branch(top) for branch in self.branches]
    mean = self.image(top.mean((2, 3), keepdim=True))
    x = self.join(torch.cat([*x, mean.expand_as(x[0])], 1))
    low = self.low(low)
    x = self.after(torch.cat([grow(x, low), low], 1))
    x = grow(self.head(x), image)
    return [x] if self.training else x


class PSPNet(nn.Module):
  """Of stride 8 on the deep stem, bins 1, 2, 3, 6, an auxiliary head."""

  def __init__(self, classes: int):
    super().__init__()
    self.encoder = ResNet50(
      (1, 2, 1, 1),
      ((1,) * 3, (1,) * 4, (1, 2, 2, 2, 2, 2), (2, 4, 4)),
      deep=True,
    )
    self.pools = nn.ModuleList(
      nn.Sequential(nn.AdaptiveAvgPool2d(bins), conv(2048, 512))
      for bins in (1, 2, 3, 6)
    )

    def head(cin, width):
      parts = conv(cin, width, 3), nn.Dropout(0.1)
      return nn.Sequential(*parts, nn.Conv2d(width, classes, 1))

    self.head, self.aux = head(4096, 512), head(1024, 256)

  def forward(self, image):
    """See the module."""
    _, middle, top = self.encoder(image)
    x = [top, *(grow(pool(top), top) for pool in self.pools)]
    x = grow(self.head(torch.cat(x, 1)), image)
    return [x, grow(self.aux(middle), image)] if self.training else x


class UNet(nn.Module):
  """That of `benchmarks.peers`, with the outputs of the others."""

  def __init__(self, width: int, classes: int):
    super().__init__()
    self.net = peers.unet(width, classes)

  def forward(self, image):
    """See the module."""
    x = self.net(image)
    return [x] if self.training else x
