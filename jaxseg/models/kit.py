"""Any encoder meets any decoder: structure and parameters as in
segmentation_models_pytorch 0.6 (Iakubovskii 2019, github.com/qubvel).

Differs from it: images of any size are padded to the stride by repeating
their last row and column, and the logits are cropped (it refuses such sizes);
so equal logits are to be had on padded images. Dilated encoders keep the
function of the undilated weights; its own dilate the first block of a stage
as well: for its weights pass an encoder with `dilate_first=True`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import linen as nn
from flax.core import FrozenDict

from jaxseg import layers
from jaxseg.models import backbone
from jaxseg.models.decoders import deeplab, fpn, linknet, pspnet, unet
from jaxseg.ops import resize

Array = jax.Array

DECODERS: dict[str, Callable[..., nn.Module]] = {
  "deeplabv3": deeplab.DeepLabV3Decoder,
  "deeplabv3plus": deeplab.DeepLabV3PlusDecoder,
  "fpn": fpn.FPNDecoder,
  "linknet": linknet.LinkNetDecoder,
  "pspnet": pspnet.PSPDecoder,
  "unet": unet.UNetDecoder,
}


class EncoderDecoder(nn.Module):
  """Encoder, decoder, one convolution per head, bilinear to the image.

  Args:
    outputs: head name -> channels; a 3x3 (unet, pspnet) or 1x1 convolution.
    encoder: a module of ENCODERS; it is given the output stride and dtype.
    decoder: a module of DECODERS; `build` makes it by name.
    output_stride: of the encoder; None: the decoder's choice (32; 16 for
      deeplabv3plus, 8 for deeplabv3).
    own_decoders: a decoder for every head, `decoder_{head}`, in place of one
      that all of them read; for heads of several tasks, of which each then
      has its own way through the pyramid and all share the encoder.
    dtype: compute dtype; parameters and logits are float32.
    later: in training heads stay small, ops.grown.Grown, for a loss that
      enlarges them itself.
  """

  outputs: Mapping[str, int]
  encoder: nn.Module
  decoder: nn.Module
  output_stride: int | None = None
  own_decoders: bool = False
  dtype: str = "float32"
  later: bool = False

  def __post_init__(self):
    object.__setattr__(self, "outputs", FrozenDict(self.outputs))
    strides = self.decoder.output_strides
    stride = self.output_stride or strides[0]
    layers.check_choice("output_stride", stride, strides)
    encoder = backbone.fit(self.encoder, self.title, stride, self.dtype)
    object.__setattr__(self, "encoder", encoder)
    object.__setattr__(self, "output_stride", stride)
    super().__post_init__()

  @property
  def title(self) -> str:
    """The decoder's name in DECODERS, for messages."""
    names = {decoder: name for name, decoder in DECODERS.items()}
    return names.get(type(self.decoder), type(self.decoder).__name__)

  @property
  def min_size(self) -> int:
    """Smallest height and width of an image."""
    return self.decoder.min_size

  @property
  def total_stride(self) -> int:
    """Of the smallest map; sizes of images that it divides are not padded."""
    return self.decoder.stride or self.output_stride

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32.

    Raises:
      UserError: the image is smaller than `min_size`, or the encoder's maps
        are not halves of each other.
    """
    layers.check_image(image, self.min_size, self.title)
    x = resize.pad_to_stride(image, self.total_stride)
    maps = self.encoder(x, train=train)
    backbone.check_maps(
      maps,
      self.decoder.levels,
      x.shape[1:3],
      self.output_stride,
      self.title,
    )
    out = {}
    for decoder, outputs in self._decoders():
      y = decoder(maps, train=train)
      out |= layers.heads(y, outputs, decoder.head_kernel)
    return backbone.grown(
      out,
      x.shape[1:3],
      image.shape[1:3],
      align_corners=True,
      later=self.later and train,
    )

  def _decoders(self) -> list[tuple[nn.Module, Mapping[str, int]]]:
    """Each with the heads that read it."""
    if not self.own_decoders:
      return [(self.decoder, self.outputs)]
    return [
      (
        self.decoder.clone(name=f"decoder_{name}", parent=self),
        {name: channels},
      )
      for name, channels in sorted(self.outputs.items())
    ]


def build(
  name: str,
  *,
  outputs: Mapping[str, int],
  encoder: nn.Module,
  output_stride: int | None = None,
  own_decoders: bool = False,
  dtype: str = "float32",
  **fields: Any,
) -> EncoderDecoder:
  """The network with the decoder `name` of DECODERS and its `fields`.

  Raises:
    TypeError: a field that the decoder does not have.
    UserError: the encoder cannot have the output stride.
  """
  layers.check_choice("decoder", name, tuple(DECODERS))
  decoder = DECODERS[name](dtype=dtype, **fields)
  return EncoderDecoder(
    outputs, encoder, decoder, output_stride, own_decoders, dtype
  )


KIT: dict[str, Callable[..., EncoderDecoder]] = {
  name: functools.partial(build, name) for name in DECODERS
}
