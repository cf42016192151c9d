"""DORN (Fu, Gong, Wang, Batmanghelich, Tao 2018, arXiv:1806.02446).

A dilated ResNet-101 with the deep stem; on its last map 1x1 and dilated 3x3
convolutions beside a full-image encoder, which pools the map coarsely, reads
the whole of it through a fully connected layer and says the same everywhere.
With the task depth_ordinal its head has 2 K channels.

Differs from the paper: the fully connected layer fixes the size of the image
(385 x 513), so on an image of another size the full-image encoder, and nothing
else, sees the map resized to the one that `input_size` gives. Images are
padded to 8 m + 1 pixels a side, as the paper's are, and cropped again. The
paper's evaluation is config.inference.mode = 'slide' with windows of
`input_size`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers, types
from jaxseg.models import backbone
from jaxseg.ops import pooling, resize

Array = jax.Array


class FullImage(nn.Module):
  """What the whole map says, one vector, at every place of it.

  Args:
    features: of the vector.
    size: (h, w) of the map that the fully connected layer is made for; others
      are resized to it.
    window: pixels a side that are averaged; those at the end have fewer.
    dtype: compute dtype.
  """

  features: int
  size: tuple[int, int]
  window: int = 16
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """(b, h, w, c) -> (b, h, w, features)."""
    y = resize.resize_bilinear(x, self.size)
    y = pooling.avg_pool(y, self.window, ceil_mode=True)  # (b, 4, 5, c)
    y = y.reshape(y.shape[0], 1, 1, -1)
    for name in ("full", "conv"):
      conv = layers.Conv(self.features, 1, dtype=self.dtype, name=name)
      y = conv(y, act="relu")
    return jnp.broadcast_to(y, (*x.shape[:3], self.features))


class DORN(nn.Module):
  """Encoder of stride 8, five branches, two 1x1 convolutions; any image size.

  Args:
    outputs: head name -> channels.
    encoder: a module of ENCODERS with a dilated mode.
    input_size: (h, w) of the images that the full-image encoder is made for.
    output_stride: of the encoder.
    window: of the full-image encoder's averages, in pixels of the map.
    width: channels of a branch.
    rates: dilations of the 3x3 branches.
    hidden: channels of the 1x1 that joins the branches.
    dropout: rate before and behind it.
    dtype: compute dtype; parameters and logits are float32.
    later: in training heads stay small, ops.grown.Grown, for a loss that
      enlarges them itself.
  """

  outputs: Mapping[str, int]
  encoder: nn.Module
  input_size: Sequence[int] = (385, 513)
  output_stride: int = 8
  window: int = 16
  width: int = 512
  rates: Sequence[int] = (6, 12, 18)
  hidden: int = 2048
  dropout: float = 0.5
  dtype: str = "float32"
  later: bool = False

  min_size = 1

  def __post_init__(self):
    object.__setattr__(self, "input_size", tuple(self.input_size))
    object.__setattr__(self, "rates", tuple(self.rates))
    backbone.settle(self, "dorn", self.output_stride)
    if len(self.input_size) != 2 or min(self.input_size) < 1:
      raise types.UserError(
        f"input_size={self.input_size} of model 'dorn': expected (height, "
        "width) in pixels, such as (385, 513)."
      )
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32.

    Raises:
      UserError: the image is empty.
    """
    layers.check_image(image, self.min_size, "dorn")
    x = backbone.pad_to_grid(image, self.output_stride)
    top = self.encoder(x, train=train)["c5"]  # (b, 49, 65, 2048)
    # Of an image of input_size, padded to the grid.
    size = tuple(-(-(n - 1) // self.output_stride) + 1 for n in self.input_size)
    branches = [
      FullImage(self.width, size, self.window, self.dtype, name="image")(top)
    ]
    for i, rate in enumerate((0, *self.rates)):
      kernel = 3 if rate else 1
      y = self._conv(top, self.width, f"branch{i}", kernel, rate or 1)
      branches.append(self._conv(y, self.width, f"branch{i}_point"))
    y = self._drop(jnp.concatenate(branches, -1), train, "drop1")
    y = self._drop(self._conv(y, self.hidden, "join"), train, "drop2")
    return backbone.grown(
      layers.heads(y, self.outputs),
      x.shape[1:3],
      image.shape[1:3],
      align_corners=True,
      later=self.later and train,
    )

  def _conv(
    self, x: Array, features: int, name: str, kernel: int = 1, dilation: int = 1
  ) -> Array:
    conv = layers.Conv(
      features, kernel, dilation=dilation, dtype=self.dtype, name=name
    )
    return conv(x, act="relu")

  def _drop(self, x: Array, train: bool, name: str) -> Array:
    return nn.Dropout(self.dropout, deterministic=not train, name=name)(x)
