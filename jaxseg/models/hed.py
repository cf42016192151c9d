"""HED (Xie and Tu 2015, arXiv:1504.06375): side outputs, fused.

A 1x1 convolution on each of five maps of an encoder gives an answer of its own,
bilinear to the image; the network's answer is a weighted sum of the five. In
training the side outputs are answers too ('aux_HEAD_cK'), so that every stage
is supervised. Side outputs start at 0, the weights of the sum at 1 / 5.

On VGG-16 the maps are those before each pooling, conv1_2 ... conv5_3, of
strides 1 to 16; on any other encoder the five finest that it has, as a rule of
strides 2 to 32.

Differs from the paper in that images are filled up to the stride by repeating
their border, where the paper pads with zeros and crops, and in that the answer
is the fused one alone, not its average with the side outputs. With several
channels a head fuses each by itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers
from jaxseg.models import backbone
from jaxseg.ops import resize

Array = jax.Array
SIDES = 5
STRIDE = 32  # of the last map that an encoder makes


class HED(nn.Module):
  """Encoder and side outputs; any image size.

  Args:
    outputs: head name -> channels.
    encoder: a module of ENCODERS.
    dtype: compute dtype; parameters and logits are float32.
  """

  outputs: Mapping[str, int]
  encoder: nn.Module
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    backbone.settle(self, "hed", STRIDE)
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32.

    With `train` also aux_HEAD_cK of the same shape, one for each side.

    Raises:
      UserError: the image is empty, or the encoder's maps are not halves of
        each other.
    """
    layers.check_image(image, self.min_size, "hed")
    h, w = image.shape[1:3]
    x = resize.pad_to_stride(image, STRIDE)
    maps = self.encoder(x, train=train)
    first = 0 if "c0" in maps else 1
    levels = range(first, first + SIDES)
    backbone.check_maps(maps, levels, x.shape[1:3], STRIDE, "hed")
    out = {}
    for name, channels in sorted(self.outputs.items()):
      sides = []
      for level in levels:
        side = layers.Conv(
          channels,
          1,
          kernel_init=nn.initializers.zeros,
          name=f"side_{name}_c{level}",
        )(maps[f"c{level}"].astype(jnp.float32))
        side = resize.resize_bilinear(side, x.shape[1:3])
        sides.append(resize.crop(side, h, w))
        if train:
          out[f"aux_{name}_c{level}"] = sides[-1]
      out[name] = Fuse(name=f"fuse_{name}")(jnp.stack(sides, -1))
    return out


class Fuse(nn.Module):
  """A weighted sum of answers: a 1x1 convolution of each channel's."""

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """(b, h, w, channels, n) -> (b, h, w, channels)."""
    *_, channels, n = x.shape
    kernel = self.param(
      "kernel", nn.initializers.constant(1 / n), (n, channels)
    )
    bias = self.param("bias", nn.initializers.zeros, (channels,))
    return jnp.sum(x * kernel.T, -1) + bias
