"""Layers that several networks share: up-convolution, conv block, size check.

Parameters are float32 whatever the compute dtype; kernels start He-normal
(He et al. 2015, arXiv:1502.01852), biases at zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import types
from jaxseg.ops import conv as conv_ops

Array = jax.Array
NORMS = ("none", "batch", "group")
he_normal = nn.initializers.he_normal()


def check_image(image: Array, min_size: int, name: str) -> None:
  """Raises UserError unless image is (b, h, w, c) with h, w >= min_size."""
  if image.ndim != 4 or min(image.shape[1:3]) < min_size:
    raise types.UserError(
      f"model '{name}' got an image of shape {tuple(image.shape)}; expected"
      f" (b, h, w, c) with h and w of at least {min_size}: use larger images."
    )


def check_choice(name: str, value: object, choices: tuple) -> None:
  """Raises UserError unless value is one of choices."""
  if value not in choices:
    raise types.UserError(
      f"{name}={value!r} is unknown; expected one of"
      f" {', '.join(map(repr, choices))}."
    )


class ConvTranspose(nn.Module):
  """`nn.ConvTranspose` with the same parameters and the fast form of ops.

  Args:
    features: output channels.
    kernel: k, square.
    stride: s.
    padding: as in `ops.conv.conv_transpose`; 'SAME' gives n * s pixels.
    use_bias: adds a bias per channel.
    dtype: compute dtype.
  """

  features: int
  kernel: int = 2
  stride: int = 2
  padding: int | str = "SAME"
  use_bias: bool = True
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """(b, h, w, c) -> (b, h * s, w * s, features) with 'SAME'."""
    shape = (self.kernel, self.kernel, x.shape[-1], self.features)
    kernel = self.param("kernel", he_normal, shape)
    y = conv_ops.conv_transpose(
      x.astype(self.dtype), kernel, stride=self.stride, padding=self.padding
    )
    if self.use_bias:
      bias = self.param("bias", nn.initializers.zeros, (self.features,))
      y = y + bias.astype(y.dtype)
    return y


def normalize(x: Array, norm: str, *, train: bool, dtype: str, name: str):
  """Batch or group normalisation by name, or nothing.

  Call inside a compact method. Group normalisation takes 32 groups, or the
  largest number that divides both 32 and the channels.
  """
  if norm == "batch":
    return nn.BatchNorm(
      use_running_average=not train,
      momentum=0.9,
      epsilon=1e-5,
      dtype=dtype,
      name=name,
    )(x)
  if norm == "group":
    groups = math.gcd(32, x.shape[-1])
    return nn.GroupNorm(groups, epsilon=1e-5, dtype=dtype, name=name)(x)
  return x


class ConvNormRelu(nn.Module):
  """k x k convolution, normalisation, ReLU.

  Args:
    features: output channels.
    kernel: k.
    padding: 'SAME', 'VALID' or pixels per side.
    norm: 'none', 'batch' or 'group'.
    use_bias: bias of the convolution.
    dtype: compute dtype.
  """

  features: int
  kernel: int = 3
  padding: str | int = "SAME"
  norm: str = "none"
  use_bias: bool = True
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """(b, h, w, c) -> (b, h', w', features)."""
    x = nn.Conv(
      self.features,
      (self.kernel, self.kernel),
      padding=self.padding,
      use_bias=self.use_bias,
      kernel_init=he_normal,
      dtype=self.dtype,
      name="conv",
    )(x)
    x = normalize(x, self.norm, train=train, dtype=self.dtype, name="norm")
    return nn.relu(x)


def heads(x: Array, outputs: Mapping[str, int]) -> dict[str, Array]:
  """One 1x1 convolution `head_{name}` per output, in float32.

  Call inside a compact method. (b, h, w, c) -> {name: (b, h, w, channels)}.
  """
  x = x.astype(jnp.float32)
  return {
    name: nn.Conv(channels, (1, 1), kernel_init=he_normal, name=f"head_{name}")(
      x
    )
    for name, channels in sorted(dict(outputs).items())
  }
