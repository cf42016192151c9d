"""ResNet (He et al. 2015, arXiv:1512.03385) and ResNeXt (Xie et al. 2016,
arXiv:1611.05431), with strides or dilation.

Differs from the paper in the place of the stride: `stride_at='3x3'` is the
"v1.5" of torchvision, '1x1' the paper's. `stem='deep'` is PSPNet's (Zhao et
al. 2017, arXiv:1612.01105) three 3x3 convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
from flax import linen as nn

from jaxseg import layers, types
from jaxseg.encoders import normalization as norms
from jaxseg.ops import pooling

Array = jax.Array
STEMS = ("7x7", "deep")
STRIDES_AT = ("3x3", "1x1")
OUTPUT_STRIDES = (32, 16, 8)


class Block(nn.Module):
  """Residual block: convolutions beside a shortcut, added, ReLU.

  Basic: 3x3 (stride), 3x3. Bottleneck: 1x1, 3x3, 1x1 to four times the
  channels, the stride in the 3x3 or the first 1x1. The shortcut is a strided
  1x1 convolution wherever the shapes differ.

  Args:
    features: channels of the stage before the bottleneck's factor 4.
    inner: channels of the bottleneck's 3x3.
    bottleneck: three convolutions, else two.
    groups: of the bottleneck's 3x3.
    stride: of the block.
    stride_at: which convolution of a bottleneck strides.
    first_dilation: of the 3x3 that strides (or would, without dilation).
    dilation: of every 3x3 behind it.
    use_bias: convolutions have biases too.
    frozen_norm: running statistics in training too.
    momentum, epsilon: of the normalisations, see `layers.normalize`.
    dtype: compute dtype.
  """

  features: int
  inner: int
  bottleneck: bool = True
  groups: int = 1
  stride: int = 1
  stride_at: str = "3x3"
  first_dilation: int = 1
  dilation: int = 1
  use_bias: bool = False
  frozen_norm: bool = False
  momentum: float = 0.9
  epsilon: float = 1e-5
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """(b, h, w, c) -> (b, ceil(h / stride), ceil(w / stride), features)."""
    # One row per convolution: channels, kernel, stride, dilation, groups.
    if not self.bottleneck:
      out = self.features
      plan = (
        (out, 3, self.stride, self.first_dilation, 1),
        (out, 3, 1, self.dilation, 1),
      )
    else:
      out = 4 * self.features
      if self.stride_at == "3x3":
        strides, dilation = (1, self.stride), self.first_dilation
      else:
        strides, dilation = (self.stride, 1), self.dilation
      plan = (
        (self.inner, 1, strides[0], 1, 1),
        (self.inner, 3, strides[1], dilation, self.groups),
        (out, 1, 1, 1, 1),
      )
    shortcut = x
    if self.stride != 1 or x.shape[-1] != out:
      shortcut = layers.ConvNormAct(
        out,
        1,
        stride=self.stride,
        use_bias=self.use_bias,
        act="none",
        frozen=self.frozen_norm,
        momentum=self.momentum,
        epsilon=self.epsilon,
        dtype=self.dtype,
        name="project",
      )(x, train=train)
    for i, (features, kernel, stride, dilation, groups) in enumerate(plan, 1):
      conv = layers.Conv(
        features,
        kernel,
        stride=stride,
        dilation=dilation,
        groups=groups,
        use_bias=self.use_bias,
        dtype=self.dtype,
        name=f"conv{i}",
      )
      x = layers.conv_norm_act(
        conv,
        x,
        "batch",
        "relu" if i < len(plan) else "none",
        train=train,
        frozen=self.frozen_norm,
        momentum=self.momentum,
        epsilon=self.epsilon,
        name=f"norm{i}",
      )
    return nn.relu(x + shortcut)


class ResNet(nn.Module):
  """Stem, max-pooling and four stages of residual blocks.

  Where a stage would exceed `output_stride` it dilates instead: the
  convolution that strides keeps the dilation it has, those behind it double
  theirs. The weights compute the same values, at more places.

  Args:
    blocks: of the four stages; (3, 4, 6, 3) is ResNet-50 (and 34).
    bottleneck: blocks of three convolutions, else of two.
    width: channels of the 7x7 stem; stages have 1, 2, 4, 8 widths, times 4
      with bottlenecks.
    groups: of the 3x3 in a bottleneck (ResNeXt: 32).
    group_width: channels of each group in the first stage at width 64.
    stem: '7x7', or 'deep' (3x3 stride 2, 3x3, 3x3; 1, 1, 2 widths).
    stride_at: '3x3' or '1x1', where a bottleneck strides.
    output_stride: 32, 16 or 8; the parameters do not depend on it.
    multi_grid: one factor on the dilation per block of the last stage
      (DeepLabv3: 1, 2, 4); none if empty.
    dilate_first: the first block of a dilated stage takes the new dilation as
      a whole: no longer the same function, but that of some references
      (segmentation_models_pytorch; DeepLabv3's 2, 4, 8 with `multi_grid`).
    normalization: name in NORMALIZATIONS or a record of its own.
    use_bias: convolutions have biases beside the normalisation (Keras).
    frozen_norm: running statistics in training too.
    momentum, epsilon: of the normalisation, see `layers.normalize` (Keras:
      0.99 and 1.001e-5).
    dtype: compute dtype; parameters are float32.
  """

  blocks: Sequence[int] = (3, 4, 6, 3)
  bottleneck: bool = True
  width: int = 64
  groups: int = 1
  group_width: int = 64
  stem: str = "7x7"
  stride_at: str = "3x3"
  output_stride: int = 32
  multi_grid: Sequence[int] = ()
  dilate_first: bool = False
  normalization: str | norms.Normalization = "imagenet"
  use_bias: bool = False
  frozen_norm: bool = False
  momentum: float = 0.9
  epsilon: float = 1e-5
  dtype: str = "float32"

  def __post_init__(self):
    # Hashable, also where a config gives lists.
    object.__setattr__(self, "blocks", tuple(self.blocks))
    object.__setattr__(self, "multi_grid", tuple(self.multi_grid))
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, 3) RGB in [0, 1] -> {'c1': ..., 'c5': ...}.

    c1 is the stem's map, before the pooling; c2 to c5 end the stages. c_k has
    ceil(h / s) rows with s = 2^k or, where that is smaller, `output_stride`.

    Raises:
      UserError: a field has a value that it cannot have.
    """
    self._check()
    x = norms.normalize(image, self.normalization).astype(self.dtype)
    x = self._stem(x, train)
    maps = {"c1": x}
    x = pooling.max_pool(x, 3, stride=2, padding=1)
    running, dilation = 4, 1  # stride of x, and what is left of strides
    for stage, depth in enumerate(self.blocks, 1):
      stride, previous = (1 if stage == 1 else 2), dilation
      if running * stride > self.output_stride:
        stride, dilation = 1, dilation * stride
      running *= stride
      last = stage == len(self.blocks)
      for i in range(depth):
        factor = self.multi_grid[i] if self.multi_grid and last else 1
        first = previous if i == 0 and not self.dilate_first else dilation
        features = self.width * 2 ** (stage - 1)
        x = Block(
          features,
          inner=features * self.groups * self.group_width // 64,
          bottleneck=self.bottleneck,
          groups=self.groups,
          stride=stride if i == 0 else 1,
          stride_at=self.stride_at,
          first_dilation=first * factor,
          dilation=dilation * factor,
          use_bias=self.use_bias,
          frozen_norm=self.frozen_norm,
          momentum=self.momentum,
          epsilon=self.epsilon,
          dtype=self.dtype,
          name=f"layer{stage}_{i}",
        )(x, train=train)
      maps[f"c{stage + 1}"] = x  # (b, h / running, w / running, features)
    return maps

  def _check(self) -> None:
    layers.check_choice("output_stride", self.output_stride, OUTPUT_STRIDES)
    layers.check_choice("stem", self.stem, STEMS)
    layers.check_choice("stride_at", self.stride_at, STRIDES_AT)
    if self.multi_grid and len(self.multi_grid) != self.blocks[-1]:
      raise types.UserError(
        f"multi_grid={self.multi_grid} has {len(self.multi_grid)} factors;"
        f" expected one per block of the last stage, {self.blocks[-1]}."
      )

  def _stem(self, x: Array, train: bool) -> Array:
    plan = {
      "7x7": {"stem": (self.width, 7, 2)},
      "deep": {
        "stem1": (self.width, 3, 2),
        "stem2": (self.width, 3, 1),
        "stem3": (2 * self.width, 3, 1),
      },
    }[self.stem]
    for name, (features, kernel, stride) in plan.items():
      x = layers.ConvNormAct(
        features,
        kernel,
        stride=stride,
        use_bias=self.use_bias,
        frozen=self.frozen_norm,
        momentum=self.momentum,
        epsilon=self.epsilon,
        dtype=self.dtype,
        name=name,
      )(x, train=train)
    return x
