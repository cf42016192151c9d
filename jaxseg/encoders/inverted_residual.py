"""The block of MobileNets and EfficientNets; strides turned into dilation.

Sandler et al. 2018, arXiv:1801.04381; squeeze-and-excitation after Hu et al.
2017, arXiv:1709.01507, as in Howard et al. 2019, arXiv:1905.02244, and in Tan
and Le 2019, arXiv:1905.11946.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers

Array = jax.Array
OUTPUT_STRIDES = (32, 16, 8)
GATES = {"hard_sigmoid": nn.hard_sigmoid, "sigmoid": nn.sigmoid}


class Step(NamedTuple):
  """Stride and dilation of one block.

  Fields: stride and dilation of its depthwise convolution; level, log2 of the
  stride that its map has where nothing is dilated.
  """

  stride: int
  dilation: int
  level: int


def schedule(
  strides: Iterable[int], output_stride: int, dilate_first: bool
) -> list[Step]:
  """One step per block: strides up to `output_stride`, then dilation.

  The image has level 0. A convolution that strides no more keeps the dilation
  of those before it, and those behind it double theirs, which is the same
  function at more places; with `dilate_first` it doubles its own already.
  """
  steps, running, level, dilation = [], 1, 0, 1
  for stride in strides:
    level += stride.bit_length() - 1
    if running * stride <= output_stride:
      running *= stride
      steps.append(Step(stride, dilation, level))
      continue
    previous, dilation = dilation, dilation * stride
    steps.append(Step(1, dilation if dilate_first else previous, level))
  return steps


def round_channels(channels: float) -> int:
  """The nearest multiple of 8, at least 8 and 90% of `channels`."""
  rounded = max(8, int(channels + 4) // 8 * 8)
  return rounded + 8 if rounded < 0.9 * channels else rounded


class SqueezeExcite(nn.Module):
  """Scales each channel by a function of all channels' means, in (0, 1).

  Args:
    squeeze: channels between the two dense layers.
    act: name in ACTIVATIONS, between them.
    gate: name in GATES, after them.
    dtype: compute dtype.
  """

  squeeze: int
  act: str = "relu"
  gate: str = "hard_sigmoid"
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """(b, h, w, c) -> (b, h, w, c)."""
    # The mean of a whole map is taken in float32 whatever the compute dtype.
    s = jnp.mean(x, (1, 2), keepdims=True, dtype=jnp.float32)  # (b, 1, 1, c)
    s = layers.Conv(self.squeeze, 1, dtype=self.dtype, name="fc1")(s)
    s = layers.ACTIVATIONS[self.act](s)
    s = layers.Conv(x.shape[-1], 1, dtype=self.dtype, name="fc2")(s)
    return x * GATES[self.gate](s)


class InvertedResidual(nn.Module):
  """1x1 expansion, depthwise convolution, 1x1 projection without activation.

  The input is added where the shapes agree and the block has no stride of its
  own. There is no expansion where it would keep the number of channels.

  Args:
    hidden: channels of the depthwise convolution.
    features: output channels.
    kernel: of the depthwise convolution.
    step: its stride and dilation.
    shortcut: whether to add the input.
    squeeze: channels of the squeeze-and-excitation; 0: none.
    squeeze_act, gate: see `SqueezeExcite`.
    drop_path: probability that an example skips the block in training, where
      the input is added (Huang et al. 2016, arXiv:1603.09382).
    act: name in ACTIVATIONS.
    padding: of the depthwise convolution, see `layers.pads`.
    frozen, momentum, epsilon: of the normalisations, see `layers.normalize`.
    dtype: compute dtype.
  """

  hidden: int
  features: int
  kernel: int = 3
  step: Step = Step(1, 1, 0)
  shortcut: bool = False
  squeeze: int = 0
  squeeze_act: str = "relu"
  gate: str = "hard_sigmoid"
  drop_path: float = 0.0
  act: str = "relu6"
  padding: layers.Padding = "torch"
  frozen: bool = False
  momentum: float = 0.9
  epsilon: float = 1e-5
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """(b, h, w, c) -> (b, h / stride, w / stride, features), rounded up."""
    conv = functools.partial(
      layers.ConvNormAct,
      frozen=self.frozen,
      momentum=self.momentum,
      epsilon=self.epsilon,
      dtype=self.dtype,
    )
    y = x
    if self.hidden != x.shape[-1]:
      y = conv(self.hidden, 1, act=self.act, name="expand")(y, train=train)
    y = conv(
      self.hidden,
      self.kernel,
      padding=self.padding,
      stride=self.step.stride,
      dilation=self.step.dilation,
      groups=0,
      act=self.act,
      name="depthwise",
    )(y, train=train)
    if self.squeeze:
      y = SqueezeExcite(
        self.squeeze, self.squeeze_act, self.gate, self.dtype, name="se"
      )(y)
    y = conv(self.features, 1, act="none", name="project")(y, train=train)
    if not self.shortcut:
      return y
    if self.drop_path:
      y = nn.Dropout(
        self.drop_path,
        broadcast_dims=(1, 2, 3),  # whole examples
        deterministic=not train,
        name="drop",
      )(y)
    return x + y
