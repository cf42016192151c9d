"""Xception (Chollet 2016, arXiv:1610.02357).

Differs from the paper in the stem, whose two convolutions are padded so that
maps of stride 2^k have size / 2^k, rounded up; `valid_stem` is the paper's.
Blocks are numbered from 1; Keras calls the stem block 1 and these 2 to 13.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers
from jaxseg.encoders import normalization as norms
from jaxseg.ops import pooling

Array = jax.Array
PADDINGS = ("torch", "tf")


class SeparableConv(nn.Module):
  """3x3 depthwise, 1x1 to `features`, and normalisation: no activation.

  Args:
    features: output channels.
    stride: of the depthwise convolution.
    dilation: of its taps.
    padding: see `layers.pads`.
    inner_norm: normalise after the depthwise convolution too (aligned
      Xception).
    inner_act: ReLU behind that.
    frozen, momentum, epsilon: see `layers.normalize`.
    dtype: compute dtype.
  """

  features: int
  stride: int = 1
  dilation: int = 1
  padding: str = "torch"
  inner_norm: bool = False
  inner_act: bool = False
  frozen: bool = False
  momentum: float = 0.99
  epsilon: float = 1e-3
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """(b, h, w, c) -> (b, h / stride, w / stride, features), rounded up."""
    x = layers.Conv(
      x.shape[-1],
      stride=self.stride,
      padding=self.padding,
      dilation=self.dilation,
      groups=0,
      use_bias=False,
      dtype=self.dtype,
      name="depthwise",
    )(x)
    if self.inner_norm:
      x = self._norm(x, "depthwise_norm", train)
    x = nn.relu(x) if self.inner_act else x
    x = layers.Conv(
      self.features, 1, use_bias=False, dtype=self.dtype, name="pointwise"
    )(x)
    return self._norm(x, "norm", train)

  def _norm(self, x: Array, name: str, train: bool) -> Array:
    return layers.normalize(
      x,
      "batch",
      train=train,
      dtype=self.dtype,
      name=name,
      frozen=self.frozen,
      momentum=self.momentum,
      epsilon=self.epsilon,
    )


class Xception(nn.Module):
  """Stem, three blocks that halve, eight that do not, one more that does.

  A block is two or three separable convolutions, each after a ReLU, then 3x3
  max-pooling of stride 2 where it halves; a strided 1x1 convolution, or
  nothing, is its shortcut. Two separable convolutions end the network.

  The strides are poolings: only output_stride=32 (`XceptionAligned` has 16
  and 8).

  Args:
    width: factor on all channels.
    middle: blocks between the halving ones.
    output_stride: 32.
    valid_stem: no padding in the stem (the paper, Keras, timm): maps are then
      a few pixels smaller than size / 2^k.
    padding: 'torch' (also timm's and segmentation_models_pytorch's copy of
      the weights) or 'tf' (Keras).
    normalization: name in NORMALIZATIONS or a record of its own.
    frozen_norm: running statistics in training too.
    momentum: of the running statistics.
    epsilon: of the normalisation; timm and segmentation_models_pytorch have
      1e-5.
    dtype: compute dtype; parameters are float32.
  """

  width: float = 1.0
  middle: int = 8
  output_stride: int = 32
  valid_stem: bool = False
  padding: str = "torch"
  normalization: str | norms.Normalization = "inception"
  frozen_norm: bool = False
  momentum: float = 0.99
  epsilon: float = 1e-3
  dtype: str = "float32"

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, 3) RGB in [0, 1] -> {'c1': ..., 'c5': ...}.

    c1 is the stem's map, c2 to c4 the last sum of their stride (no ReLU
    behind it), c5 the last map, after its ReLU. With `valid_stem` the image
    has at least 7 pixels a side.

    Raises:
      UserError: a field has a value that it cannot have.
    """
    layers.check_choice("output_stride", self.output_stride, (32,))
    layers.check_choice("padding", self.padding, PADDINGS)
    x = norms.normalize(image, self.normalization).astype(self.dtype)
    for i, (features, stride) in enumerate(((32, 2), (64, 1)), 1):
      x = layers.ConvNormAct(
        self._scale(features),
        stride=stride,
        padding="valid" if self.valid_stem else self.padding,
        dtype=self.dtype,
        name=f"stem{i}",
        **self._norm(),
      )(x, train=train)
    maps = {"c1": x}  # (b, h / 2, w / 2, 64)
    x = self._block(x, 1, (128, 128), train, first_act=False)
    maps["c2"] = x
    x = self._block(x, 2, (256, 256), train)
    maps["c3"] = x
    x = self._block(x, 3, (728, 728), train)
    last = self.middle + 4
    for number in range(4, last):
      x = self._block(x, number, (728, 728, 728), train, halve=False)
    maps["c4"] = x  # (b, h / 16, w / 16, 728)
    x = self._block(x, last, (728, 1024), train)
    for i, features in enumerate((1536, 2048), 1):
      x = nn.relu(self._separable(x, features, f"exit{i}", train))
    return {**maps, "c5": x}  # (b, h / 32, w / 32, 2048)

  def _scale(self, features: int) -> int:
    return max(1, round(features * self.width))

  def _norm(self) -> dict:
    return {
      "frozen": self.frozen_norm,
      "momentum": self.momentum,
      "epsilon": self.epsilon,
    }

  def _separable(self, x: Array, features: int, name: str, train: bool):
    return SeparableConv(
      self._scale(features),
      padding=self.padding,
      dtype=self.dtype,
      name=name,
      **self._norm(),
    )(x, train=train)

  def _block(
    self,
    x: Array,
    number: int,
    features: Sequence[int],
    train: bool,
    halve: bool = True,
    first_act: bool = True,
  ) -> Array:
    shortcut = x
    if halve:
      shortcut = layers.ConvNormAct(
        self._scale(features[-1]),
        1,
        stride=2,
        act="none",
        dtype=self.dtype,
        name=f"block{number}_shortcut",
        **self._norm(),
      )(x, train=train)
    for i, channels in enumerate(features, 1):
      x = nn.relu(x) if i > 1 or first_act else x
      x = self._separable(x, channels, f"block{number}_sep{i}", train)
    return (_halve(x, self.padding) if halve else x) + shortcut


def _halve(x: Array, padding: str) -> Array:
  """3x3 max-pooling of stride 2: (b, h, w, c) -> (b, h / 2, w / 2, c)."""
  if padding == "torch":
    return pooling.max_pool(x, 3, stride=2, padding=1)
  # 'SAME' starts at the first pixel of an even size, before that of an odd.
  rows, cols = ((n % 2, 1) for n in x.shape[1:3])
  low = -jnp.inf
  x = jnp.pad(x, ((0, 0), rows, cols, (0, 0)), constant_values=low)
  return pooling.max_pool(x, 3, stride=2)
