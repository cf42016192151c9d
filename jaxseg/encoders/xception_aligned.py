"""Aligned Xception-41, -65 and -71 of DeepLab v3+ (Chen et al. 2018,
arXiv:1802.02611).

Against Chollet's Xception: strided separable convolutions in place of the
poolings, normalisation after each depthwise convolution too, more blocks.

Differs from DeepLab in the momentum of the running statistics (there 0.9997,
for 30000 steps and more).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
from flax import linen as nn

from jaxseg import layers, types
from jaxseg.encoders import normalization as norms
from jaxseg.encoders.xception import SeparableConv

Array = jax.Array
OUTPUT_STRIDES = (32, 16, 8)


class Plan(NamedTuple):
  """One block: channels of its three separable convolutions, and stride."""

  features: tuple[int, int, int]
  stride: int


class XceptionAligned(nn.Module):
  """Two 3x3 convolutions and blocks of three separable convolutions each.

  The last separable convolution of a block strides. Where a block would
  exceed `output_stride` nothing strides and all convolutions behind the block
  dilate instead: the weights compute the same values, at more places. Before
  every separable convolution stands a ReLU, but the last block has them
  inside, after each of its convolutions, and no shortcut.

  Args:
    width: factor on all channels.
    middle: blocks of 728 channels in the middle (X41: 8; X65, X71: 16).
    long_entry: five entry blocks (X71), not three.
    output_stride: 32, 16 or 8; the parameters do not depend on it.
    multi_grid: three factors on the dilation in the last block; none if
      empty.
    normalization: name in NORMALIZATIONS or a record of its own.
    frozen_norm: running statistics in training too.
    momentum: of the running statistics.
    epsilon: of the normalisation.
    dtype: compute dtype; parameters are float32.
  """

  width: float = 1.0
  middle: int = 16
  long_entry: bool = False
  output_stride: int = 32
  multi_grid: Sequence[int] = ()
  normalization: str | norms.Normalization = "inception"
  frozen_norm: bool = False
  momentum: float = 0.9
  epsilon: float = 1e-3
  dtype: str = "float32"

  def __post_init__(self):
    # Hashable, also where a config gives a list.
    object.__setattr__(self, "multi_grid", tuple(self.multi_grid))
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, 3) RGB in [0, 1] -> {'c1': ..., 'c5': ...}.

    c1 to c4 lie inside the blocks that stride: what their second separable
    convolution gives, before the ReLU. c2 is the low-level feature that
    DeepLab's decoder reads. c5 ends the network, after its ReLU. c_k has
    ceil(h / s) rows, s = 2^k or, where that is smaller, `output_stride`.

    Raises:
      UserError: a field has a value that it cannot have.
    """
    self._check()
    x = norms.normalize(image, self.normalization).astype(self.dtype)
    for i, (features, stride) in enumerate(((32, 2), (64, 1)), 1):
      features = self._scale(features)
      x = self._conv(x, features, f"stem{i}", train, stride=stride)
    maps: dict[str, Array] = {}
    running, dilation = 2, 1
    plans = self.plan()
    for number, plan in enumerate(plans):
      stride, here = plan.stride, dilation
      if running * stride > self.output_stride:
        stride, dilation = 1, dilation * stride
      running *= stride
      last = number == len(plans) - 1
      grid = self.multi_grid if last and self.multi_grid else (1, 1, 1)
      shortcut = x
      # Wherever DeepLab has one, also if a stride became a dilation.
      if not last and (plan.stride != 1 or x.shape[-1] != plan.features[-1]):
        shortcut = self._conv(
          x,
          plan.features[-1],
          f"block{number}_shortcut",
          train,
          kernel=1,
          stride=stride,
          act="none",
        )
      for i, (features, factor) in enumerate(zip(plan.features, grid), 1):
        x = SeparableConv(
          features,
          stride=stride if i == 3 else 1,
          dilation=here * factor,
          inner_norm=True,
          inner_act=last,
          dtype=self.dtype,
          name=f"block{number}_sep{i}",
          **self._norm(),
        )(x if last else nn.relu(x), train=train)
        if last:
          x = nn.relu(x)
        elif i == 2 and plan.stride != 1:
          maps[f"c{len(maps) + 1}"] = x
      x = x if last else x + shortcut
    return {**maps, "c5": x}

  def plan(self) -> tuple[Plan, ...]:
    """All blocks of this width, in order."""
    entry = ((128, 2), (256, 2), (728, 2))
    if self.long_entry:
      entry = ((128, 2), (256, 1), (256, 2), (728, 1), (728, 2))
    rows = [
      *(((c, c, c), stride) for c, stride in entry),
      *[((728, 728, 728), 1)] * self.middle,
      ((728, 1024, 1024), 2),
      ((1536, 1536, 2048), 1),
    ]
    return tuple(
      Plan(tuple(self._scale(c) for c in features), stride)
      for features, stride in rows
    )

  def _check(self) -> None:
    layers.check_choice("output_stride", self.output_stride, OUTPUT_STRIDES)
    if self.multi_grid and len(self.multi_grid) != 3:
      raise types.UserError(
        f"multi_grid={self.multi_grid} has {len(self.multi_grid)} factors;"
        " expected three, one per convolution of the last block."
      )

  def _scale(self, features: int) -> int:
    return max(1, round(features * self.width))

  def _norm(self) -> dict:
    return {
      "frozen": self.frozen_norm,
      "momentum": self.momentum,
      "epsilon": self.epsilon,
    }

  def _conv(
    self,
    x: Array,
    features: int,
    name: str,
    train: bool,
    kernel: int = 3,
    stride: int = 1,
    act: str = "relu",
  ) -> Array:
    return layers.ConvNormAct(
      features,
      kernel,
      stride=stride,
      act=act,
      dtype=self.dtype,
      name=name,
      **self._norm(),
    )(x, train=train)
