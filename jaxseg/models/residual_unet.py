"""Deep residual U-Net (Zhang, Liu, Wang 2018, arXiv:1711.10684).

U-Net with residual blocks in place of the double convolutions, and strided
convolutions in place of the poolings. Differs from the paper: logits instead
of a sigmoid, any number of heads, the upsampling is nearest-neighbour.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.core import FrozenDict

from jaxseg import layers
from jaxseg.ops import resize

Array = jax.Array


class PreActivationBlock(nn.Module):
  """Normalisation, ReLU, 3x3, twice; a normalised 1x1 as shortcut.

  Args:
    features: output channels.
    stride: of the first 3x3 and of the shortcut.
    first: the block sees the image: no normalisation and ReLU before its
      first convolution.
    norm: 'batch', 'group' or 'none'.
    dtype: compute dtype.
  """

  features: int
  stride: int = 1
  first: bool = False
  norm: str = "batch"
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """(b, h, w, c) -> (b, h / stride, w / stride, features)."""
    y = x if self.first else self._norm_relu(x, "norm1", train)
    y = layers.conv_norm_act(
      self._conv(3, self.stride, "conv1"),
      y,
      self.norm,
      "relu",
      train=train,
      name="norm2",
    )
    y = self._conv(3, 1, "conv2")(y)
    return y + layers.conv_norm_act(
      self._conv(1, self.stride, "shortcut"),
      x,
      self.norm,
      "none",
      train=train,
      name="shortcut_norm",
    )

  def _conv(self, kernel: int, stride: int, name: str) -> layers.Conv:
    return layers.Conv(
      self.features,
      kernel,
      stride=stride,
      use_bias=self.norm == "none",
      dtype=self.dtype,
      name=name,
    )

  def _norm_relu(self, x: Array, name: str, train: bool) -> Array:
    return nn.relu(
      layers.normalize(x, self.norm, train=train, dtype=self.dtype, name=name)
    )


class ResidualUNet(nn.Module):
  """Residual blocks down to a bridge and up again, skips concatenated.

  Any image size works: it is padded to the stride inside.

  Args:
    outputs: head name -> channels; every head is a 1x1 convolution.
    width: channels of the first level; doubled by every level.
    depth: number of halvings (the paper: 3).
    norm: 'batch' (the paper), 'group' or 'none'.
    dtype: compute dtype; parameters and logits are float32.
  """

  outputs: Mapping[str, int]
  width: int = 64
  depth: int = 3
  norm: str = "batch"
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    object.__setattr__(self, "outputs", FrozenDict(self.outputs))
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32."""
    layers.check_image(image, self.min_size, "residual_unet")
    layers.check_choice("norm", self.norm, layers.NORMS)
    x = resize.pad_to_stride(image.astype(self.dtype), 2**self.depth)
    skips = []
    for level in range(self.depth + 1):
      stride = 2 if level else 1
      x = self._block(x, level, f"down{level}", train, stride)
      skips.append(x)  # (b, H / 2^level, W / 2^level, width 2^level)
    for level in reversed(range(self.depth)):
      x = resize.resize_nearest(x, skips[level].shape[1:3])
      x = jnp.concatenate([x, skips[level]], -1)
      x = self._block(x, level, f"up{level}", train, 1)
    return layers.heads(resize.crop(x, *image.shape[1:3]), self.outputs)

  def _block(self, x, level, name, train, stride) -> Array:
    return PreActivationBlock(
      self.width * 2**level,
      stride=stride,
      first=name == "down0",
      norm=self.norm,
      dtype=self.dtype,
      name=name,
    )(x, train=train)
