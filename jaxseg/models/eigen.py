"""Depth, normals or labels at three scales, each refining the one before.

Eigen, Fergus, "Predicting Depth, Surface Normals and Semantic Labels with a
Common Multi-Scale Convolutional Architecture" (2015, arXiv:1411.4734), on
VGG-16. Scale 1 sees the whole image through two fully connected layers, scale
2 adds features at a quarter of the size, scale 3 at half. Scale 1 and the 9x9
convolutions on the image are shared by the heads, all else is a head's own.

Differs from the paper: the fully connected layers fix the size of the image,
so an image of another size is stretched to `input_size` and the answer back.
The maps lie inside the image by the borders that the convolutions eat; they
are put where their pixels were seen, and their border is repeated outwards
(the paper scores the inside alone). Heads are trained together where a task
has several; labels get no depth and normals as inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers, types
from jaxseg.encoders import normalization as norms
from jaxseg.models import backbone
from jaxseg.ops import pooling, resize

Array = jax.Array
Size = tuple[int, int]
LEAST = 32  # pixels a side of `input_size`: VGG halves it five times
STEP = {2: 4, 3: 2}  # pixels from a place of a scale's map to the next
FIRST = 6  # row and column of the image that the first place is centred on


class Stack(nn.Module):
  """5x5 convolutions with ReLU, and one without, in float32.

  Args:
    channels: output channels.
    hidden: convolutions before the last one.
    width: their channels.
    dtype: their compute dtype.
  """

  channels: int
  hidden: int
  width: int = 64
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """(b, h, w, c) -> (b, h, w, channels) float32."""
    for i in range(1, self.hidden + 1):
      conv = layers.Conv(self.width, 5, dtype=self.dtype, name=f"conv{i}")
      x = conv(x, act="relu")
    return layers.Conv(self.channels, 5, name="out")(x.astype(jnp.float32))


class Eigen(nn.Module):
  """Three scales on an encoder; any image size.

  217,974,446 parameters with heads depth (1) and normal (3).

  Args:
    outputs: head name -> channels.
    encoder: a module of ENCODERS; its last map is read.
    input_size: (h, w) that the network works at, at least 32.
    scales: 3, or 2: the answer of scale 2, and no parameters of scale 3.
    width: channels of the fully connected map and the 5x5 convolutions.
    image_width: channels of scale 2's 9x9 convolution.
    fc_width: of the first fully connected layer.
    dropout: rate behind it.
    feature_scale: factor on the encoder's map and on the normalised image; the
      paper's for images in [0, 255]. 1 suits encoders that want unit variance.
    pixel_bias: heads that learn an offset for every place of scale 2's map.
    dtype: compute dtype; parameters and outputs are float32.
  """

  outputs: Mapping[str, int]
  encoder: nn.Module
  input_size: Sequence[int] = (228, 304)
  scales: int = 3
  width: int = 64
  image_width: int = 96
  fc_width: int = 4096
  dropout: float = 0.5
  feature_scale: float = 0.01
  pixel_bias: Sequence[str] = ("depth",)
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    object.__setattr__(self, "input_size", tuple(self.input_size))
    object.__setattr__(self, "pixel_bias", tuple(self.pixel_bias))
    backbone.settle(self, "eigen", 32)
    layers.check_choice("scales", self.scales, (2, 3))
    if len(self.input_size) != 2 or min(self.input_size) < LEAST:
      raise types.UserError(
        f"input_size={self.input_size} of model 'eigen': expected (height, "
        f"width) of at least {LEAST} pixels each, such as (228, 304)."
      )
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, 3) RGB in [0, 1] -> {head: (b, h, w, channels)} float32.

    Raises:
      UserError: the image is empty.
    """
    layers.check_image(image, self.min_size, "eigen")
    x = resize.resize_bilinear(image, self.input_size)
    seen = norms.normalize(x, self.encoder.normalization) * self.feature_scale
    near = pooling.max_pool(
      self._image(seen, self.image_width, "image2"), 3, stride=2, ceil_mode=True
    )  # (b, 55, 74, 96) for 228 x 304
    far = self._whole(x, near.shape[1:3], train)
    y = jnp.concatenate([far, near], -1)
    maps = {
      name: Stack(channels, 3, self.width, self.dtype, name=f"coarse_{name}")(y)
      for name, channels in sorted(self.outputs.items())
    }
    for name in self.pixel_bias:
      if name in maps:
        shape = maps[name].shape[1:]
        bias = self.param(f"bias_{name}", nn.initializers.zeros, shape)
        maps[name] = maps[name] + bias
    if self.scales == 3:
      maps = self._refine(seen, maps)
    out = {
      name: _place(y, STEP[self.scales], self.input_size)
      for name, y in maps.items()
    }
    return backbone.grown(out, image.shape[1:3])

  def _image(self, seen: Array, features: int, name: str) -> Array:
    """9x9 at stride 2 on the image; sizes round up, as in cuda-convnet."""
    ends = tuple((0, (n - 9) % 2) for n in seen.shape[1:3])
    conv = layers.Conv(
      features, 9, stride=2, padding=ends, dtype=self.dtype, name=name
    )
    return conv(seen, act="relu")

  def _whole(self, x: Array, size: Size, train: bool) -> Array:
    """Scale 1: (b, *input_size, 3) -> (b, *size, width)."""
    top = self.encoder(x, train=train)["c5"] * self.feature_scale
    y = top.reshape(top.shape[0], -1)  # 7 * 9 * 512
    rows, cols = (-(-n // 4) for n in size)  # 14, 19
    y = nn.relu(self._dense(y, self.fc_width, "full1"))
    y = nn.Dropout(self.dropout, deterministic=not train, name="drop")(y)
    y = nn.relu(self._dense(y, rows * cols * self.width, "full2"))
    y = y.reshape(-1, rows, cols, self.width)
    y = resize.resize_bilinear(y, (4 * rows, 4 * cols))
    return resize.crop_center(y, *size)

  def _dense(self, x: Array, features: int, name: str) -> Array:
    return nn.Dense(
      features, dtype=self.dtype, kernel_init=layers.he_normal, name=name
    )(x)

  def _refine(self, seen: Array, maps: Mapping[str, Array]) -> dict[str, Array]:
    """Scale 3: maps at a quarter of the size -> at half of it.

    The coarse maps take the place of the last features of the image, at most
    of half of them: 60 features, 1 of depth and 3 of the normal. The published
    number of parameters has 64 filters here, so the last four are read by
    nothing.
    """
    near = self._image(seen, self.width, "image3")
    near = pooling.max_pool(near, 3, stride=1)  # (b, 109, 147, 64)
    size = near.shape[1:3]
    total = sum(self.outputs.values())
    y = [near[..., : max(self.width - total, self.width // 2)]]
    for x in maps.values():
      twice = resize.resize_nearest(x, (2 * x.shape[1], 2 * x.shape[2]))
      y.append(resize.crop(twice, *size).astype(near.dtype))
    y = jnp.concatenate(y, -1)
    return {
      name: Stack(channels, 2, self.width, self.dtype, name=f"fine_{name}")(y)
      for name, channels in sorted(self.outputs.items())
    }


def _place(x: Array, step: int, size: Size) -> Array:
  """(b, n, m, c) -> (b, *size, c): place i lies on row FIRST + step * i.

  Linear between the places, the outermost repeated to the border.
  """
  rows, cols = (step * (n - 1) + 1 for n in x.shape[1:3])
  x = resize.resize_bilinear(x, (rows, cols), align_corners=True)
  ends = [(FIRST, max(n - FIRST - m, 0)) for n, m in zip(size, (rows, cols))]
  x = jnp.pad(x, ((0, 0), *ends, (0, 0)), mode="edge")
  return resize.crop(x, *size)
