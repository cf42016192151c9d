"""Atrous spatial pyramid pooling and the decoders of DeepLabv3 (Chen et al.
2017, arXiv:1706.05587) and v3+ (Chen et al. 2018, arXiv:1802.02611).

Defaults are those of torchvision and segmentation_models_pytorch; the v3+ of
the paper is `models.deeplab`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers
from jaxseg.ops import resize

Array = jax.Array


class ConvBlock(nn.Module):
  """3x3 convolution, normalisation, ReLU; dense, or depthwise and 1x1.

  Args:
    features: output channels.
    dilation: distance of the taps.
    separable: depthwise 3x3, then 1x1.
    inner_norm: with `separable`, normalise and ReLU between the two as well.
    momentum: of the running statistics.
    dtype: compute dtype.
  """

  features: int
  dilation: int = 1
  separable: bool = False
  inner_norm: bool = False
  momentum: float = 0.9
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """(b, h, w, c) -> (b, h, w, features)."""
    if not self.separable:
      return self._block(
        x, train, "dense", self.features, dilation=self.dilation
      )
    x = self._block(
      x,
      train,
      "depthwise",
      x.shape[-1],
      dilation=self.dilation,
      groups=0,
      norm="batch" if self.inner_norm else "none",
      act="relu" if self.inner_norm else "none",
    )
    return self._block(x, train, "pointwise", self.features, kernel=1)

  def _block(self, x, train, name, features, **fields) -> Array:
    return layers.ConvNormAct(
      features,
      momentum=self.momentum,
      dtype=self.dtype,
      name=name,
      **fields,
    )(x, train=train)


class ASPP(nn.Module):
  """A 1x1 and dilated 3x3 convolutions beside the average of the whole map.

  Args:
    features: channels of every branch and of the 1x1 that joins them.
    rates: dilations of the 3x3 convolutions.
    separable, inner_norm, momentum: see `ConvBlock`.
    dropout: rate after the join.
    dtype: compute dtype.
  """

  features: int = 256
  rates: Sequence[int] = (12, 24, 36)
  separable: bool = False
  inner_norm: bool = False
  momentum: float = 0.9
  dropout: float = 0.5
  dtype: str = "float32"

  def __post_init__(self):
    object.__setattr__(self, "rates", tuple(self.rates))
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """(b, h, w, c) -> (b, h, w, features)."""
    branches = [self._conv(x, "point", train)]
    branches += [
      ConvBlock(
        self.features,
        dilation=rate,
        separable=self.separable,
        inner_norm=self.inner_norm,
        momentum=self.momentum,
        dtype=self.dtype,
        name=f"atrous{i}",
      )(x, train=train)
      for i, rate in enumerate(self.rates, 1)
    ]
    mean = jnp.mean(x, (1, 2), keepdims=True, dtype=jnp.float32)
    mean = self._conv(mean, "image", train)  # (b, 1, 1, features)
    branches.append(jnp.broadcast_to(mean, branches[0].shape))
    x = self._conv(jnp.concatenate(branches, -1), "join", train)
    drop = nn.Dropout(self.dropout, deterministic=not train, name="drop")
    return drop(x)

  def _conv(self, x: Array, name: str, train: bool) -> Array:
    return layers.ConvNormAct(
      self.features, 1, momentum=self.momentum, dtype=self.dtype, name=name
    )(x, train=train)


class DeepLabV3Decoder(nn.Module):
  """ASPP on c5, then a 3x3 convolution.

  Args:
    width: channels.
    rates: dilations of the ASPP.
    separable: depthwise and 1x1 instead of dense dilated convolutions.
    dropout: rate after the ASPP.
    dtype: compute dtype.
  """

  width: int = 256
  rates: Sequence[int] = (12, 24, 36)
  separable: bool = False
  dropout: float = 0.5
  dtype: str = "float32"

  output_strides = (8, 16, 32)  # of the encoder; the first is the default
  stride = None  # divides the size of the image; None: the output stride
  levels = (5,)  # the encoder maps that are read
  head_kernel = 1
  min_size = 1

  def __post_init__(self):
    object.__setattr__(self, "rates", tuple(self.rates))
    super().__post_init__()

  @nn.compact
  def __call__(self, maps: Mapping[str, Array], *, train: bool) -> Array:
    """{'c5': (b, h, w, c), ...} -> (b, h, w, width)."""
    x = ASPP(
      self.width,
      self.rates,
      separable=self.separable,
      dropout=self.dropout,
      dtype=self.dtype,
      name="aspp",
    )(maps["c5"], train=train)
    return ConvBlock(self.width, dtype=self.dtype, name="conv")(x, train=train)


class DeepLabV3PlusDecoder(nn.Module):
  """ASPP on c5, grown and joined with a map of stride 4.

  Args:
    width: channels.
    low: the encoder map of stride 4 that is joined.
    low_width: channels it is brought to by a 1x1 convolution.
    rates: dilations of the ASPP.
    separable: depthwise and 1x1 instead of dense 3x3 convolutions.
    inner_norm, momentum: see `ConvBlock`.
    convs: 3x3 convolutions before the growth and after the join (the paper:
      0 and 2).
    dropout: rate after the ASPP.
    dtype: compute dtype.
  """

  width: int = 256
  low: str = "c2"
  low_width: int = 48
  rates: Sequence[int] = (12, 24, 36)
  separable: bool = True
  inner_norm: bool = False
  momentum: float = 0.9
  convs: Sequence[int] = (1, 1)
  dropout: float = 0.5
  dtype: str = "float32"

  output_strides = (16, 8, 32)  # of the encoder; the first is the default
  stride = None  # divides the size of the image; None: the output stride
  levels = (2, 5)  # the encoder maps that are read
  head_kernel = 1
  min_size = 1

  def __post_init__(self):
    object.__setattr__(self, "rates", tuple(self.rates))
    object.__setattr__(self, "convs", tuple(self.convs))
    super().__post_init__()

  @nn.compact
  def __call__(self, maps: Mapping[str, Array], *, train: bool) -> Array:
    """{'c2': (b, h / 4, w / 4, c), ...} -> (b, h / 4, w / 4, width)."""
    kind = {
      "separable": self.separable,
      "inner_norm": self.inner_norm,
      "momentum": self.momentum,
      "dtype": self.dtype,
    }

    def convs(x: Array, name: str, count: int) -> Array:
      for i in range(1, count + 1):
        x = ConvBlock(self.width, name=f"{name}{i}", **kind)(x, train=train)
      return x

    x = ASPP(self.width, self.rates, dropout=self.dropout, name="aspp", **kind)(
      maps["c5"], train=train
    )
    x = convs(x, "before", self.convs[0])
    low = layers.ConvNormAct(
      self.low_width, 1, momentum=self.momentum, dtype=self.dtype, name="low"
    )(maps[self.low], train=train)
    x = resize.resize_bilinear(x, low.shape[1:3], align_corners=True)
    return convs(jnp.concatenate([x, low], -1), "after", self.convs[1])
