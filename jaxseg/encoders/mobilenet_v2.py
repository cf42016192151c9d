"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381).

Differs from the paper in nothing that torchvision's layout has; `epsilon` and
`momentum` are torch's (Keras: 0.001 and 0.999, with `padding='tf'`).
"""

from __future__ import annotations

import functools

import jax
from flax import linen as nn

from jaxseg import layers
from jaxseg.encoders import inverted_residual as ir
from jaxseg.encoders import normalization as norms

Array = jax.Array
# Per group: expansion, channels, blocks, stride of the first (paper, table 2).
GROUPS = (
  (1, 16, 1, 1),
  (6, 24, 2, 2),
  (6, 32, 3, 2),
  (6, 64, 4, 2),
  (6, 96, 3, 1),
  (6, 160, 3, 2),
  (6, 320, 1, 1),
)
STEM, HEAD = 32, 1280


class MobileNetV2(nn.Module):
  """A strided 3x3, seventeen inverted residuals, a 1x1.

  Args:
    width: multiplier of all channels, which are rounded to multiples of 8.
    head: end with the 1x1 to `head_width` channels (the default, 1280 of
      them, times `width` where that is above 1), else with the 320 before it.
    head_width: see there.
    output_stride: 32, 16 or 8; the parameters do not depend on it.
    dilate_first: the block that no longer strides takes the new dilation
      itself (segmentation_models_pytorch) instead of the blocks behind it.
    padding: 'torch', or 'tf' for weights of TensorFlow and Keras.
    normalization: name in NORMALIZATIONS or a record of its own.
    frozen_norm: running statistics in training too.
    momentum, epsilon: of the normalisation, see `layers.normalize`.
    dtype: compute dtype; parameters are float32.
  """

  width: float = 1.0
  head: bool = True
  head_width: int = HEAD
  output_stride: int = 32
  dilate_first: bool = False
  padding: str = "torch"
  normalization: str | norms.Normalization = "imagenet"
  frozen_norm: bool = False
  momentum: float = 0.9
  epsilon: float = 1e-5
  dtype: str = "float32"

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, 3) RGB in [0, 1] -> {'c1': ..., 'c5': ..., 'b0': ...}.

    c1 to c4 are the last maps of stride 2 to 16 (16, 24, 32 and 96 channels),
    c5 the last of all; those beyond `output_stride` have its size. b_i is the
    map of block i, b0 the stem's and b18 the head's.

    Raises:
      UserError: output_stride is not 32, 16 or 8, or the padding is unknown.
    """
    layers.check_choice("output_stride", self.output_stride, ir.OUTPUT_STRIDES)
    shared = {
      "padding": self.padding,
      "frozen": self.frozen_norm,
      "momentum": self.momentum,
      "epsilon": self.epsilon,
      "dtype": self.dtype,
    }
    conv = functools.partial(layers.ConvNormAct, act="relu6", **shared)
    rows = [
      (factor, channels, stride if i == 0 else 1)
      for factor, channels, depth, stride in GROUPS
      for i in range(depth)
    ]
    steps = ir.schedule(
      [2, *(stride for _, _, stride in rows)],
      self.output_stride,
      self.dilate_first,
    )
    x = norms.normalize(image, self.normalization).astype(self.dtype)
    stem = ir.round_channels(STEM * self.width)
    x = conv(stem, 3, stride=2, name="stem")(x, train=train)
    maps = {"b0": x}
    for i, ((factor, channels, stride), step) in enumerate(
      zip(rows, steps[1:]), 1
    ):
      features = ir.round_channels(channels * self.width)
      x = ir.InvertedResidual(
        factor * x.shape[-1],
        features,
        step=step,
        shortcut=stride == 1 and x.shape[-1] == features,
        **shared,
        name=f"block{i}",
      )(x, train=train)
      maps[f"b{i}"] = maps[f"c{step.level}"] = x
    if self.head:
      head = ir.round_channels(self.head_width * max(1.0, self.width))
      x = conv(head, 1, name="head")(x, train=train)
      maps[f"b{len(rows) + 1}"] = x
    return {**maps, "c5": x}
