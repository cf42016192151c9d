"""MobileNetV3, large and small (Howard et al. 2019, arXiv:1905.02244).

Differs from the paper as torchvision does: the squeezed channels are rounded
to multiples of 8, and the last 1x1 stands before the average, normalised.
"""

from __future__ import annotations

import functools

import jax
from flax import linen as nn

from jaxseg import layers
from jaxseg.encoders import inverted_residual as ir
from jaxseg.encoders import normalization as norms

Array = jax.Array
STEM = 16
# Per block: kernel, expanded channels, output channels, squeeze-and-
# excitation, hard swish (else ReLU), stride (paper, tables 1 and 2).
LARGE = (
  (3, 16, 16, False, False, 1),
  (3, 64, 24, False, False, 2),
  (3, 72, 24, False, False, 1),
  (5, 72, 40, True, False, 2),
  (5, 120, 40, True, False, 1),
  (5, 120, 40, True, False, 1),
  (3, 240, 80, False, True, 2),
  (3, 200, 80, False, True, 1),
  (3, 184, 80, False, True, 1),
  (3, 184, 80, False, True, 1),
  (3, 480, 112, True, True, 1),
  (3, 672, 112, True, True, 1),
  (5, 672, 160, True, True, 2),
  (5, 960, 160, True, True, 1),
  (5, 960, 160, True, True, 1),
)
SMALL = (
  (3, 16, 16, True, False, 2),
  (3, 72, 24, False, False, 2),
  (3, 88, 24, False, False, 1),
  (5, 96, 40, True, True, 2),
  (5, 240, 40, True, True, 1),
  (5, 240, 40, True, True, 1),
  (5, 120, 48, True, True, 1),
  (5, 144, 48, True, True, 1),
  (5, 288, 96, True, True, 2),
  (5, 576, 96, True, True, 1),
  (5, 576, 96, True, True, 1),
)
BLOCKS = {"large": LARGE, "small": SMALL}


class MobileNetV3(nn.Module):
  """A strided 3x3, inverted residuals, a 1x1 to six times the channels.

  Args:
    size: 'large' or 'small'.
    width: multiplier of all channels, which are rounded to multiples of 8.
    head: end with the last 1x1 (large: 960 channels), else before it (160).
    output_stride: 32, 16 or 8; the parameters do not depend on it.
    dilate_first: the block that no longer strides takes the new dilation
      itself (torchvision's LR-ASPP and DeepLabv3) instead of the blocks
      behind it.
    padding: 'torch', or 'tf' for weights of TensorFlow.
    normalization: name in NORMALIZATIONS or a record of its own.
    frozen_norm: running statistics in training too.
    dtype: compute dtype; parameters are float32.
  """

  size: str = "large"
  width: float = 1.0
  head: bool = True
  output_stride: int = 32
  dilate_first: bool = False
  padding: str = "torch"
  normalization: str | norms.Normalization = "imagenet"
  frozen_norm: bool = False
  dtype: str = "float32"

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, 3) RGB in [0, 1] -> {'c1': ..., 'c5': ..., 'b0': ...}.

    c1 to c4 are the last maps of stride 2 to 16 (large: 16, 24, 40 and 112
    channels), c5 the last of all; those beyond `output_stride` have its size.
    b_i is the map of block i, b0 the stem's. LR-ASPP's low map is large b4.

    Raises:
      UserError: size, output_stride or padding is none of those it can be.
    """
    layers.check_choice("size", self.size, tuple(BLOCKS))
    layers.check_choice("output_stride", self.output_stride, ir.OUTPUT_STRIDES)
    shared = {
      "padding": self.padding,
      "frozen": self.frozen_norm,
      "momentum": 0.99,
      "epsilon": 1e-3,
      "dtype": self.dtype,
    }
    conv = functools.partial(layers.ConvNormAct, act="hard_swish", **shared)
    rows = BLOCKS[self.size]
    steps = ir.schedule(
      [2, *(row[-1] for row in rows)], self.output_stride, self.dilate_first
    )
    x = norms.normalize(image, self.normalization).astype(self.dtype)
    stem = ir.round_channels(STEM * self.width)
    x = conv(stem, 3, stride=2, name="stem")(x, train=train)
    maps = {"b0": x, "c1": x}
    for i, (row, step) in enumerate(zip(rows, steps[1:]), 1):
      kernel, expanded, channels, squeeze, swish, stride = row
      hidden = ir.round_channels(expanded * self.width)
      features = ir.round_channels(channels * self.width)
      x = ir.InvertedResidual(
        hidden,
        features,
        kernel=kernel,
        step=step,
        shortcut=stride == 1 and x.shape[-1] == features,
        squeeze=ir.round_channels(hidden // 4) if squeeze else 0,
        act="hard_swish" if swish else "relu",
        **shared,
        name=f"block{i}",
      )(x, train=train)
      maps[f"b{i}"] = maps[f"c{step.level}"] = x
    if self.head:
      x = conv(6 * x.shape[-1], 1, name="head")(x, train=train)
      maps[f"b{len(rows) + 1}"] = x
    return {**maps, "c5": x}
