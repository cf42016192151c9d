"""EfficientNet (Tan and Le 2019, arXiv:1905.11946) and EfficientNet-Lite.

Lite is the authors' variant for phones: no squeeze-and-excitation, ReLU6, and
a stem, head, first and last stage that do not grow with the network.

Differs from the paper in that stochastic depth is off by default, and in what
stands in `output_stride`: dilation in place of the last strides.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers
from jaxseg.encoders import normalization as norms

Array = jax.Array
OUTPUT_STRIDES = (32, 16, 8)
PADDINGS = ("tf", "torch", "static")
C1 = ("stem", "last")


class Stage(NamedTuple):
  """Row of the paper's Table 1: what its first block does; others stride 1."""

  blocks: int
  kernel: int
  stride: int
  expand: int
  features: int


STAGES = (
  Stage(1, 3, 1, 1, 16),
  Stage(2, 3, 2, 6, 24),
  Stage(2, 5, 2, 6, 40),
  Stage(3, 3, 2, 6, 80),
  Stage(3, 5, 1, 6, 112),
  Stage(4, 5, 2, 6, 192),
  Stage(1, 3, 1, 6, 320),
)
# Stages whose map is the last of its stride.
ENDS = {1: "c2", 2: "c3", 4: "c4", 6: "c5"}

# Width, depth, resolution: of the paper's compound scaling.
_B = (
  (1.0, 1.0, 224),
  (1.0, 1.1, 240),
  (1.1, 1.2, 260),
  (1.2, 1.4, 300),
  (1.4, 1.8, 380),
  (1.6, 2.2, 456),
  (1.8, 2.6, 528),
  (2.0, 3.1, 600),
)
_LITE = (
  (1.0, 1.0, 224),
  (1.0, 1.1, 240),
  (1.1, 1.2, 260),
  (1.2, 1.4, 280),
  (1.4, 1.8, 300),
)
# Name -> fields of EfficientNet.
VARIANTS: dict[str, dict] = {
  **{
    f"efficientnet_b{i}": {"width": w, "depth": d, "resolution": r}
    for i, (w, d, r) in enumerate(_B)
  },
  **{
    f"efficientnet_lite{i}": {
      "width": w,
      "depth": d,
      "resolution": r,
      "lite": True,
      "normalization": "inception",
    }
    for i, (w, d, r) in enumerate(_LITE)
  },
}


def scale_width(features: int, width: float) -> int:
  """features * width as the nearest multiple of 8, at most 10% below it."""
  scaled = features * width
  rounded = max(8, int(scaled + 4) // 8 * 8)
  return rounded + 8 if rounded < 0.9 * scaled else rounded


def scale_depth(blocks: int, depth: float) -> int:
  """blocks * depth, rounded up."""
  return math.ceil(blocks * depth)


def static_pads(kernel: int, even: bool) -> tuple[int, int]:
  """Zeros before and after at stride 2 that 'SAME' takes on such a size."""
  total = kernel - 2 if even else kernel - 1
  return total // 2, total - total // 2


class MBConv(nn.Module):
  """Inverted residual: 1x1 to more channels, depthwise, squeeze, 1x1 back.

  Added to its input where the shapes agree and the block has not lost its
  stride to dilation.

  Args:
    features: output channels.
    kernel: of the depthwise convolution.
    stride: of it, 1 or 2.
    expand: factor on the input's channels inside; 1: no first convolution.
    dilation: of the depthwise convolution.
    residual: add the input, where the shapes agree.
    squeeze: channels of squeeze-and-excitation (Hu et al. 2017,
      arXiv:1709.01507); 0: none.
    act: name in layers.ACTIVATIONS.
    padding: 'tf', 'torch' or 'static'.
    even: with 'static' and stride 2, whether the size that the zeros are
      meant for is even.
    drop_path: probability that an example skips the block in training
      (Huang et al. 2016, arXiv:1603.09382).
    frozen_norm, momentum, epsilon: see `EfficientNet`.
    dtype: compute dtype.
  """

  features: int
  kernel: int = 3
  stride: int = 1
  expand: int = 6
  dilation: int = 1
  residual: bool = True
  squeeze: int = 0
  act: str = "silu"
  padding: str = "tf"
  even: bool = True
  drop_path: float = 0.0
  frozen_norm: bool = False
  momentum: float = 0.99
  epsilon: float = 1e-3
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """(b, h, w, c) -> (b, h / stride, w / stride, features), rounded up."""
    act = layers.ACTIVATIONS[self.act]
    shortcut = x
    if self.expand != 1:
      x = self._conv(x, self.expand * x.shape[-1], "expand")
      x = act(self._norm(x, "norm0", train))  # (b, h, w, expand * c)
    x = act(self._norm(self._depthwise(x), "norm1", train))
    if self.squeeze:
      x = x * self._gate(x)
    x = self._norm(self._conv(x, self.features, "project"), "norm2", train)
    if not self.residual or shortcut.shape != x.shape:
      return x
    if self.drop_path:
      x = nn.Dropout(
        self.drop_path,
        broadcast_dims=(1, 2, 3),  # whole examples
        deterministic=not train,
        name="drop",
      )(x)
    return x + shortcut

  def _conv(self, x: Array, features: int, name: str) -> Array:
    return layers.Conv(
      features, 1, use_bias=False, dtype=self.dtype, name=name
    )(x)

  def _depthwise(self, x: Array) -> Array:
    padding = "torch" if self.padding == "static" else self.padding
    if self.padding == "static" and self.stride != 1:
      ends = static_pads(self.kernel, self.even)
      x = jnp.pad(x, ((0, 0), ends, ends, (0, 0)))
      padding = "valid"
    return layers.Conv(
      x.shape[-1],
      self.kernel,
      stride=self.stride,
      padding=padding,
      dilation=self.dilation,
      groups=0,
      use_bias=False,
      dtype=self.dtype,
      name="depthwise",
    )(x)

  def _gate(self, x: Array) -> Array:
    """(b, h, w, c) -> (b, 1, 1, c) in (0, 1)."""
    act = layers.ACTIVATIONS[self.act]
    y = jnp.mean(x, (1, 2), keepdims=True, dtype=jnp.float32)
    y = layers.Conv(self.squeeze, 1, dtype=self.dtype, name="se_reduce")(y)
    y = layers.Conv(x.shape[-1], 1, dtype=self.dtype, name="se_expand")(act(y))
    return nn.sigmoid(y)

  def _norm(self, x: Array, name: str, train: bool) -> Array:
    return layers.normalize(
      x,
      "batch",
      train=train,
      dtype=self.dtype,
      name=name,
      frozen=self.frozen_norm,
      momentum=self.momentum,
      epsilon=self.epsilon,
    )


class EfficientNet(nn.Module):
  """3x3 stem of stride 2 and seven stages of MBConv blocks.

  Where a stage would exceed `output_stride` it dilates instead: the block
  that strides keeps the dilation it has, those behind it double theirs. The
  weights compute the same values, at more places (of Lite; squeezing averages
  over these places, so that B0 to B7 compute nearly the same).

  Args:
    width: factor on the channels (B0: 1), to multiples of 8.
    depth: factor on the blocks of a stage, rounded up.
    lite: EfficientNet-Lite.
    output_stride: 32, 16 or 8; the parameters do not depend on it.
    dilate_first: the first block of a dilated stage takes the new dilation
      (segmentation_models_pytorch), no longer the same function.
    c1: the map of stride 2: 'stem' (segmentation_models_pytorch's skip), or
      'last', after the first stage (timm's).
    padding: 'tf' (the published weights), 'torch', or 'static': TensorFlow's
      at the network's own `resolution`, whatever the image
      (segmentation_models_pytorch's efficientnet-b0 to -b7).
    resolution: pixels a side that 'static' zeros are meant for.
    drop_path: stochastic depth of the last block, growing linearly from the
      first (paper: 0.2); training then takes an rng 'dropout'.
    normalization: name in NORMALIZATIONS or a record of its own.
    frozen_norm: running statistics in training too.
    momentum: of the running statistics.
    epsilon: of the normalisation; timm's own efficientnet_b0 to _b7, with
      torch padding, have 1e-5.
    dtype: compute dtype; parameters are float32.
  """

  width: float = 1.0
  depth: float = 1.0
  lite: bool = False
  output_stride: int = 32
  dilate_first: bool = False
  c1: str = "stem"
  padding: str = "tf"
  resolution: int = 224
  drop_path: float = 0.0
  normalization: str | norms.Normalization = "imagenet"
  frozen_norm: bool = False
  momentum: float = 0.99
  epsilon: float = 1e-3
  dtype: str = "float32"

  @property
  def act(self) -> str:
    """Name of the activation."""
    return "relu6" if self.lite else "silu"

  @property
  def head_features(self) -> int:
    """Channels of the 1x1 convolution before the classifier's pooling."""
    return 1280 if self.lite else scale_width(1280, self.width)

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, 3) RGB in [0, 1] -> {'c1': ..., 'c5': ...}.

    c_k ends the blocks of stride 2^k (c1: see the field; c5: without the
    head's convolution). It has ceil(h / s) rows, s = 2^k or, where that is
    smaller, `output_stride`; with 'static' padding possibly one less.

    Raises:
      UserError: a field has a value that it cannot have.
    """
    layers.check_choice("output_stride", self.output_stride, OUTPUT_STRIDES)
    layers.check_choice("padding", self.padding, PADDINGS)
    layers.check_choice("c1", self.c1, C1)
    x = norms.normalize(image, self.normalization).astype(self.dtype)
    x = self._stem(x, train)  # (b, h / 2, w / 2, 32 * width)
    maps = {"c1": x}
    plan = self.plan()
    size = -(-self.resolution // 2)
    running, dilation, index = 2, 1, 0
    for number, stage in enumerate(plan):
      stride, previous = stage.stride, dilation
      if running * stride > self.output_stride:
        stride, dilation = 1, dilation * stride
      running *= stride
      for i in range(stage.blocks):
        first = i == 0
        x = MBConv(
          stage.features,
          kernel=stage.kernel,
          stride=stride if first else 1,
          expand=stage.expand,
          dilation=previous if first and not self.dilate_first else dilation,
          residual=not first or stage.stride == 1,
          # A quarter of the block's input, whatever the expansion.
          squeeze=0 if self.lite else x.shape[-1] // 4,
          act=self.act,
          padding=self.padding,
          even=size % 2 == 0,
          drop_path=self.drop_path * index / sum(s.blocks for s in plan),
          frozen_norm=self.frozen_norm,
          momentum=self.momentum,
          epsilon=self.epsilon,
          dtype=self.dtype,
          name=f"block{number}_{i}",
        )(x, train=train)
        index += 1
      size = -(-size // stage.stride)
      if number == 0 and self.c1 == "last":
        maps["c1"] = x
      if number in ENDS:
        maps[ENDS[number]] = x  # (b, h / running, w / running, features)
    return maps

  def plan(self) -> tuple[Stage, ...]:
    """The stages of this width and depth."""
    ends = (0, len(STAGES) - 1)
    return tuple(
      stage._replace(
        features=scale_width(stage.features, self.width),
        blocks=stage.blocks
        if self.lite and i in ends
        else scale_depth(stage.blocks, self.depth),
      )
      for i, stage in enumerate(STAGES)
    )

  def _stem(self, x: Array, train: bool) -> Array:
    padding = self.padding
    if padding == "static":
      ends = static_pads(3, self.resolution % 2 == 0)
      x, padding = jnp.pad(x, ((0, 0), ends, ends, (0, 0))), "valid"
    return layers.ConvNormAct(
      32 if self.lite else scale_width(32, self.width),
      stride=2,
      padding=padding,
      act=self.act,
      frozen=self.frozen_norm,
      momentum=self.momentum,
      epsilon=self.epsilon,
      dtype=self.dtype,
      name="stem",
    )(x, train=train)


class EfficientNetClassifier(nn.Module):
  """EfficientNet with its head: 1x1 convolution, average, dense layer.

  Args:
    encoder: the EfficientNet.
    classes: outputs.
    dropout: rate before the dense layer (paper: 0.2 for B0, 0.5 for B7).
  """

  encoder: EfficientNet
  classes: int = 1000
  dropout: float = 0.2

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> Array:
    """(b, h, w, 3) RGB in [0, 1] -> logits (b, classes), float32."""
    encoder = self.encoder
    x = encoder(image, train=train)["c5"]
    x = layers.ConvNormAct(
      encoder.head_features,
      1,
      act=encoder.act,
      frozen=encoder.frozen_norm,
      momentum=encoder.momentum,
      epsilon=encoder.epsilon,
      dtype=encoder.dtype,
      name="head",
    )(x, train=train)
    x = jnp.mean(x.astype(jnp.float32), (1, 2), keepdims=True)  # (b, 1, 1, c)
    x = nn.Dropout(self.dropout, deterministic=not train, name="drop")(x)
    return layers.Conv(self.classes, 1, name="fc")(x)[:, 0, 0]
