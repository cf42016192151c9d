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
from jaxseg.encoders import inverted_residual as ir
from jaxseg.encoders import normalization as norms

Array = jax.Array
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
STEM, HEAD = 32, 1280

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


def static_pads(kernel: int, size: int) -> tuple[tuple[int, int], ...]:
  """((top, bottom), (left, right)) that 'SAME' takes at stride 2 on size^2."""
  total = kernel - 2 if size % 2 == 0 else kernel - 1
  ends = total // 2, total - total // 2
  return ends, ends


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
    return HEAD if self.lite else ir.round_channels(HEAD * self.width)

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, 3) RGB in [0, 1] -> {'c1': ..., 'c5': ...}.

    c_k ends the blocks of stride 2^k (c1: see the field; c5: without the
    head's convolution). It has ceil(h / s) rows, s = 2^k or, where that is
    smaller, `output_stride`; with 'static' padding possibly one less.

    Raises:
      UserError: a field has a value that it cannot have.
    """
    layers.check_choice("output_stride", self.output_stride, ir.OUTPUT_STRIDES)
    layers.check_choice("padding", self.padding, PADDINGS)
    layers.check_choice("c1", self.c1, C1)
    x = norms.normalize(image, self.normalization).astype(self.dtype)
    shared = {
      "act": self.act,
      "frozen": self.frozen_norm,
      "momentum": self.momentum,
      "epsilon": self.epsilon,
      "dtype": self.dtype,
    }
    x = layers.ConvNormAct(
      STEM if self.lite else ir.round_channels(STEM * self.width),
      stride=2,
      padding=self._padding(3, 2, self.resolution),
      **shared,
      name="stem",
    )(x, train=train)  # (b, h / 2, w / 2, 32 * width)
    maps = {"c1": x}
    # Place in the stage, its row, the stride of the block.
    rows = [
      (f"{number}_{i}", stage, stage.stride if i == 0 else 1)
      for number, stage in enumerate(self.plan())
      for i in range(stage.blocks)
    ]
    strides = [2, *(stride for _, _, stride in rows)]
    steps = ir.schedule(strides, self.output_stride, self.dilate_first)
    size = -(-self.resolution // 2)
    for index, ((place, stage, stride), step) in enumerate(
      zip(rows, steps[1:])
    ):
      channels = x.shape[-1]
      x = ir.InvertedResidual(
        stage.expand * channels,
        stage.features,
        kernel=stage.kernel,
        step=step,
        shortcut=stride == 1 and channels == stage.features,
        # A quarter of the block's input, whatever the expansion.
        squeeze=0 if self.lite else channels // 4,
        squeeze_act=self.act,
        gate="sigmoid",
        drop_path=self.drop_path * index / len(rows),
        padding=self._padding(stage.kernel, step.stride, size),
        **shared,
        name=f"block{place}",
      )(x, train=train)
      size = -(-size // stride)
      if step.level > 1 or self.c1 == "last":
        maps[f"c{step.level}"] = x
    return maps

  def plan(self) -> tuple[Stage, ...]:
    """The stages of this width and depth."""
    ends = (0, len(STAGES) - 1)
    return tuple(
      stage._replace(
        features=ir.round_channels(stage.features * self.width),
        blocks=stage.blocks
        if self.lite and i in ends
        else math.ceil(stage.blocks * self.depth),
      )
      for i, stage in enumerate(STAGES)
    )

  def _padding(self, kernel: int, stride: int, size: int) -> layers.Padding:
    """Of a convolution on maps that have `size` pixels at `resolution`."""
    if self.padding != "static":
      return self.padding
    return "torch" if stride == 1 else static_pads(kernel, size)


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
