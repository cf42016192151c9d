"""Fully convolutional networks on ResNet (Long et al. 2015,
arXiv:1411.4038): torchvision's, and that of "Dive into Deep Learning" (Zhang
et al., d2l.ai, chapter "Fully Convolutional Networks").

Differ from the paper: the encoder; the first dilates it to stride 8 and has a
3x3 head and no skips, the second learns one transposed convolution.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers
from jaxseg.models import backbone
from jaxseg.ops import conv, resize

Array = jax.Array


class FCNResNet(nn.Module):
  """Encoder of stride 8, FCN head, bilinear to the image; any image size.

  Args:
    outputs: head name -> channels.
    encoder: a module of ENCODERS with a dilated mode.
    output_stride: of the encoder.
    width: channels of the head's 3x3; None: a quarter of the encoder's.
    dropout: rate in the head.
    aux: in training a second head, on c4: 'aux_' + head.
    aux_width: its channels; None: a quarter of c4's.
    dtype: compute dtype; parameters and logits are float32.
    later: in training heads stay small, ops.grown.Grown, for a loss that
      enlarges them itself.
  """

  outputs: Mapping[str, int]
  encoder: nn.Module
  output_stride: int = 8
  width: int | None = None
  dropout: float = 0.1
  aux: bool = True
  aux_width: int | None = None
  dtype: str = "float32"
  later: bool = False

  min_size = 1

  def __post_init__(self):
    backbone.settle(self, "fcn_resnet", self.output_stride)
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32."""
    layers.check_image(image, self.min_size, "fcn_resnet")
    maps = self.encoder(image, train=train)
    out = backbone.FCNHead(
      self.outputs, self.width, self.dropout, dtype=self.dtype, name="head"
    )(maps["c5"], train=train)
    if self.aux:
      out |= backbone.auxiliary(self, maps["c4"], self.aux_width, train)
    return backbone.grown(out, image.shape[1:3], later=self.later and train)


def _bilinear_init(key: Array, shape: tuple[int, ...]) -> Array:
  return jnp.asarray(conv.bilinear_kernel(shape[0], shape[2]))


class D2LFCN(nn.Module):
  """Encoder of stride 32, 1x1 scores, a transposed convolution of stride 32.

  Its kernel has 64 x 64 taps and is dense over the channels; it starts as
  bilinear upsampling of every channel by itself.

  Args:
    outputs: head name -> channels.
    encoder: a module of ENCODERS.
    dtype: compute dtype of the encoder; the rest is float32.
  """

  outputs: Mapping[str, int]
  encoder: nn.Module
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    backbone.settle(self, "fcn_d2l", 32)
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32."""
    layers.check_image(image, self.min_size, "fcn_d2l")
    h, w = image.shape[1:3]
    x = resize.pad_to_stride(image, 32)
    maps = self.encoder(x, train=train)
    out = {}
    for name, x in layers.heads(maps["c5"], self.outputs).items():
      shape = (64, 64, *2 * x.shape[-1:])
      kernel = self.param(f"head_{name}_up", _bilinear_init, shape)
      bias = self.param(
        f"head_{name}_up_bias", nn.initializers.zeros, shape[-1:]
      )
      x = conv.conv_transpose(x, kernel, stride=32, padding=16)
      out[name] = resize.crop(x + bias, h, w)  # of 32 pixels per score
    return out
