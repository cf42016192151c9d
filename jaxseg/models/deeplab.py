"""DeepLabv3 (Chen et al. 2017, arXiv:1706.05587), as torchvision has it, and
DeepLabv3+ (Chen et al. 2018, arXiv:1802.02611), as its authors have it.

v3 differs from the paper as torchvision does: a 3x3 convolution behind the
ASPP, dropout 0.5, an auxiliary head, no multi-grid (give the encoder
`multi_grid=(1, 2, 4)`). v3+ resizes with aligned corners and pads the image to
16 m + 1 pixels a side, on which that is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
from flax import linen as nn

from jaxseg import layers
from jaxseg.models import backbone
from jaxseg.models.decoders import deeplab

Array = jax.Array


class DeepLabV3(nn.Module):
  """Encoder of stride 8, ASPP, 3x3, 1x1 per head; any image size.

  Args:
    outputs: head name -> channels.
    encoder: a module of ENCODERS with a dilated mode.
    output_stride: of the encoder.
    width: channels of the ASPP and behind it.
    rates: dilations of the ASPP.
    dropout: rate after the ASPP.
    aux: in training an FCN head too: 'aux_' + head.
    aux_at: the encoder map that it sees.
    aux_width: its channels; None: a quarter of the map's.
    dtype: compute dtype; parameters and logits are float32.
    later: in training heads stay small, ops.grown.Grown, for a loss that
      enlarges them itself.
  """

  outputs: Mapping[str, int]
  encoder: nn.Module
  output_stride: int = 8
  width: int = 256
  rates: Sequence[int] = (12, 24, 36)
  dropout: float = 0.5
  aux: bool = True
  aux_at: str = "c4"
  aux_width: int | None = None
  dtype: str = "float32"
  later: bool = False

  min_size = 1

  def __post_init__(self):
    object.__setattr__(self, "rates", tuple(self.rates))
    backbone.settle(self, "deeplabv3", self.output_stride)
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32."""
    layers.check_image(image, self.min_size, "deeplabv3")
    maps = self.encoder(image, train=train)
    x = deeplab.DeepLabV3Decoder(
      self.width,
      self.rates,
      dropout=self.dropout,
      dtype=self.dtype,
      name="decoder",
    )(maps, train=train)
    out = layers.heads(x, self.outputs)
    if self.aux:
      out |= backbone.auxiliary(self, maps[self.aux_at], self.aux_width, train)
    return backbone.grown(out, image.shape[1:3], later=self.later and train)


class DeepLabV3Plus(nn.Module):
  """Encoder, ASPP, join with stride 4, two 3x3 convolutions; any image size.

  Args:
    outputs: head name -> channels.
    encoder: a module of ENCODERS with a dilated mode.
    output_stride: of the encoder; 16 to train, 8 to evaluate with the same
      weights.
    width: channels of the ASPP and the decoder.
    low: the encoder map of stride 4 that is joined.
    low_width: channels it is brought to.
    rates: dilations of the ASPP at stride 16, doubled at 8.
    separable: depthwise and 1x1 convolutions, normalised each, instead of
      dense ones.
    momentum: of the running statistics outside the encoder.
    dropout: rate after the ASPP.
    dtype: compute dtype; parameters and logits are float32.
    later: in training heads stay small, ops.grown.Grown, for a loss that
      enlarges them itself.
  """

  outputs: Mapping[str, int]
  encoder: nn.Module
  output_stride: int = 16
  width: int = 256
  low: str = "c2"
  low_width: int = 48
  rates: Sequence[int] = (6, 12, 18)
  separable: bool = True
  momentum: float = 0.9997
  dropout: float = 0.1
  dtype: str = "float32"
  later: bool = False

  min_size = 1

  def __post_init__(self):
    object.__setattr__(self, "rates", tuple(self.rates))
    backbone.settle(self, "deeplabv3plus", self.output_stride)
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32."""
    layers.check_image(image, self.min_size, "deeplabv3plus")
    x = backbone.pad_to_grid(image, 16)
    maps = self.encoder(x, train=train)
    y = deeplab.DeepLabV3PlusDecoder(
      self.width,
      self.low,
      self.low_width,
      tuple(rate * 16 // self.output_stride for rate in self.rates),
      separable=self.separable,
      inner_norm=True,
      momentum=self.momentum,
      convs=(0, 2),
      dropout=self.dropout,
      dtype=self.dtype,
      name="decoder",
    )(maps, train=train)
    return backbone.grown(
      layers.heads(y, self.outputs),
      x.shape[1:3],
      image.shape[1:3],
      align_corners=True,
      later=self.later and train,
    )
