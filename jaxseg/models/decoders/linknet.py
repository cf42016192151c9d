"""LinkNet's decoder (Chaurasia and Culurciello 2017, arXiv:1707.03718).

`LinkNetDecoder` is the form of segmentation_models_pytorch: 4x4 transposed
convolutions, and blocks up to the size of the image with a link at c1 too.
The paper's network is `models.linknet`, of the same blocks.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
from flax import linen as nn

from jaxseg import layers

Array = jax.Array


class LinkNetBlock(nn.Module):
  """1x1 to a quarter, transposed convolution, 1x1; each normalised, ReLU.

  Args:
    features: output channels.
    kernel: of the transposed convolution: 4 (no output padding), or the
      paper's 3 (one pixel of it where the stride is 2).
    stride: 2, or 1.
    use_bias: of the 1x1 convolutions; the transposed one has one always.
    epsilon: of the normalisation.
    dtype: compute dtype.
  """

  features: int
  kernel: int = 4
  stride: int = 2
  use_bias: bool = False
  epsilon: float = 1e-5
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """(b, h, w, c) -> (b, h * stride, w * stride, features)."""
    inner = max(x.shape[-1] // 4, 1)
    x = self._conv(x, inner, "conv1", train)
    x = layers.ConvTranspose(
      inner,
      self.kernel,
      stride=self.stride,
      padding=1,
      output_padding=self.stride - self.kernel + 2,
      dtype=self.dtype,
      name="up",
    )(x)
    x = layers.normalize(
      x,
      "batch",
      train=train,
      epsilon=self.epsilon,
      dtype=self.dtype,
      name="up_norm",
    )
    return self._conv(nn.relu(x), self.features, "conv2", train)

  def _conv(self, x: Array, features: int, name: str, train: bool) -> Array:
    return layers.ConvNormAct(
      features,
      1,
      use_bias=self.use_bias,
      epsilon=self.epsilon,
      dtype=self.dtype,
      name=name,
    )(x, train=train)


class LinkNetDecoder(nn.Module):
  """Blocks from c5 to the size of the image; c4 to c1 are added.

  Args:
    width: channels of the last block; the others have as many as the map
      that is added to them.
    dtype: compute dtype.
  """

  width: int = 32
  dtype: str = "float32"

  output_strides = (32,)  # of the encoder; the first is the default
  stride = 32  # divides the size of the image
  levels = (1, 2, 3, 4, 5)  # the encoder maps that are read
  head_kernel = 1
  min_size = 1

  @nn.compact
  def __call__(self, maps: Mapping[str, Array], *, train: bool) -> Array:
    """{'c1': (b, h / 2, w / 2, c), ...} -> (b, h, w, width)."""
    x = maps["c5"]
    for level in (4, 3, 2, 1, 0):
      skip = maps[f"c{level}"] if level else None
      width = skip.shape[-1] if level else self.width
      block = LinkNetBlock(width, dtype=self.dtype, name=f"up{level}")
      x = block(x, train=train)
      x = x + skip if level else x
    return x
