"""U-Net (Ronneberger, Fischer, Brox 2015, arXiv:1505.04597).

Differs from the paper in its defaults: 'SAME' convolutions, so that logits
and input have one size, and no dropout. `padding='valid'` is the paper's net;
it then mirrors the input inside so that its logits cover the image. The
up-convolution is the paper's 2x2 one or one of three others.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.core import FrozenDict

from jaxseg import layers, types
from jaxseg.ops import pooling, resize

Array = jax.Array


def valid_margin(depth: int) -> int:
  """Input minus output pixels of the valid net: 184 at depth 4."""
  return 12 * 2**depth - 8


def valid_sizes(size: int, depth: int) -> tuple[int, int]:
  """The admissible sizes next to `size`: largest <= it, smallest >= it.

  Every map before a pooling must be even: n = 2^d k + 4 (2^d - 1), that is
  16 k + 60 at depth 4. Output needs at least one pixel (188 at depth 4); below
  the smallest size both are that size.
  """
  step, offset = 2**depth, 4 * (2**depth - 1)
  least = offset + step * (-(-(valid_margin(depth) + 1 - offset) // step))
  below = max(least, offset + (size - offset) // step * step)
  above = max(least, offset - (offset - size) // step * step)
  return below, above


def valid_output_size(size: int, depth: int) -> int:
  """Output pixels of the valid net: 572 -> 388 at depth 4.

  Raises:
    UserError: the size is not admissible; names the nearest that are.
  """
  below, above = valid_sizes(size, depth)
  if size not in (below, above):
    near = f"{below}" if below == above else f"{below} or {above}"
    raise types.UserError(
      f"U-Net with valid convolutions at depth {depth} cannot take {size}"
      f" pixels; expected {near}: resize, or let it mirror the input."
    )
  return size - valid_margin(depth)


def mirror_pads(size: int, depth: int) -> tuple[int, int]:
  """Pixels to mirror before and after so that the output covers `size`."""
  before = valid_margin(depth) // 2
  _, total = valid_sizes(size + 2 * before, depth)
  return before, total - size - before


class UNet(nn.Module):
  """Encoder and decoder of double convolutions with concatenated skips.

  Any image size works; logits have the size of the image.

  Args:
    outputs: head name -> channels; every head is a 1x1 convolution.
    width: channels of the first level; doubled by every pooling.
    depth: number of 2x2 poolings.
    norm: 'none' (the paper), 'batch' or 'group', after every 3x3 convolution.
    up: 'tconv2' (the paper: 2x2, stride 2), 'tconv3' (3x3, stride 2),
      'bilinear' or 'nearest' (twice the size, then a 3x3 convolution).
    padding: 'same', or 'valid' as in the paper.
    mirror: with 'valid', mirror the input so that the logits cover it. False
      is the raw net: admissible sizes only, logits smaller than the image.
    dropout: rate.
    dropout_at: 'bottom' (the paper: after the last two encoder levels) or
      'every' (after every pooling and every concatenation).
    conv_bias: biases of the 3x3 convolutions; None: unless norm is 'batch'.
    extra_conv: one more 3x3 convolution and ReLU before the heads.
    dtype: compute dtype; parameters and logits are float32.
  """

  outputs: Mapping[str, int]
  width: int = 64
  depth: int = 4
  norm: str = "none"
  up: str = "tconv2"
  padding: str = "same"
  mirror: bool = True
  dropout: float = 0.0
  dropout_at: str = "bottom"
  conv_bias: bool | None = None
  extra_conv: bool = False
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    # Hashable, so that the model may be a static argument of jit.
    object.__setattr__(self, "outputs", FrozenDict(self.outputs))
    super().__post_init__()

  @property
  def total_stride(self) -> int:
    """Of the smallest map."""
    return 2**self.depth

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32.

    Raises:
      UserError: an option is unknown, or the image is empty or, for the raw
        valid net, of an inadmissible size.
    """
    self._check(image)
    h, w = image.shape[1:3]
    x = image.astype(self.dtype)
    if self.padding == "same":
      x = resize.pad_to_stride(x, 2**self.depth)
    elif self.mirror:
      x = resize.pad_mirror(
        x, mirror_pads(h, self.depth), mirror_pads(w, self.depth)
      )
    else:
      h, w = (valid_output_size(n, self.depth) for n in (h, w))
    x = self._body(x, train)
    return layers.heads(resize.crop(x, h, w), self.outputs)

  def _check(self, image: Array) -> None:
    layers.check_image(image, self.min_size, "unet")
    layers.check_choice("norm", self.norm, layers.NORMS)
    layers.check_choice("padding", self.padding, ("same", "valid"))
    layers.check_choice("dropout_at", self.dropout_at, ("bottom", "every"))
    layers.check_choice(
      "up", self.up, ("tconv2", "tconv3", "bilinear", "nearest")
    )

  def _body(self, x: Array, train: bool) -> Array:
    """(b, H, W, c) -> (b, H', W', width), sizes as the padding has it."""
    skips = []
    for level in range(self.depth):
      x = self._double(x, level, f"down{level}", train)
      if level == self.depth - 1:
        x = self._drop(x, "bottom", f"drop_down{level}", train)
      skips.append(x)
      x = pooling.max_pool(x)  # (b, H / 2^(level + 1), ..., width 2^level)
      x = self._drop(x, "every", f"drop_pool{level}", train)
    x = self._double(x, self.depth, "bottom", train)
    x = self._drop(x, "bottom", "drop_bottom", train)
    for level in reversed(range(self.depth)):
      x = self._up(x, level)  # (b, 2 h, 2 w, width 2^level)
      skip = resize.crop_center(skips[level], *x.shape[1:3])
      x = jnp.concatenate([x, skip], axis=-1)  # width 2^(level + 1)
      x = self._drop(x, "every", f"drop_up{level}", train)
      x = self._double(x, level, f"up{level}", train)
    if self.extra_conv:
      x = self._conv(x, self.width, "extra", train, padding="same")
    return x

  def _conv(self, x, features, name, train, padding=None):
    bias = self.norm != "batch" if self.conv_bias is None else self.conv_bias
    return layers.ConvNormAct(
      features,
      padding=padding or self.padding,
      norm=self.norm,
      use_bias=bias,
      dtype=self.dtype,
      name=name,
    )(x, train=train)

  def _double(self, x: Array, level: int, name: str, train: bool) -> Array:
    features = self.width * 2**level
    x = self._conv(x, features, f"{name}_conv1", train)
    return self._conv(x, features, f"{name}_conv2", train)

  def _up(self, x: Array, level: int) -> Array:
    features = self.width * 2**level
    name = f"up{level}_up"
    if self.up.startswith("tconv"):
      return layers.ConvTranspose(
        features, kernel=int(self.up[-1]), dtype=self.dtype, name=name
      )(x)
    size = (2 * x.shape[1], 2 * x.shape[2])
    bilinear = self.up == "bilinear"
    grow = resize.resize_bilinear if bilinear else resize.resize_nearest
    conv = layers.Conv(features, dtype=self.dtype, name=name)
    return conv(grow(x, size))

  def _drop(self, x: Array, place: str, name: str, train: bool) -> Array:
    if not self.dropout or place != self.dropout_at:
      return x
    return nn.Dropout(self.dropout, deterministic=not train, name=name)(x)
