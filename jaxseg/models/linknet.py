"""LinkNet (Chaurasia and Culurciello 2017, arXiv:1707.03718).

Differs from the paper: images of any size, padded to a multiple of 32 by
repeating the border and cropped again.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
from flax import linen as nn

from jaxseg import layers
from jaxseg.models import backbone
from jaxseg.models.decoders import linknet
from jaxseg.ops import resize

Array = jax.Array
EPSILON = 1e-3  # of the decoder's normalisations


class LinkNet(nn.Module):
  """Encoder; decoder blocks that add the encoder's maps; two more doublings.

  All convolutions of the decoder have biases.

  Args:
    outputs: head name -> channels; a transposed 2x2 convolution each.
    encoder: a module of ENCODERS (the paper: resnet18).
    width: channels at half the size of the image.
    dtype: compute dtype; parameters and logits are float32.
  """

  outputs: Mapping[str, int]
  encoder: nn.Module
  width: int = 32
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    backbone.settle(self, "linknet", 32)
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32."""
    layers.check_image(image, self.min_size, "linknet")
    x = resize.pad_to_stride(image, 32)
    maps = self.encoder(x, train=train)
    backbone.check_maps(maps, (2, 3, 4, 5), x.shape[1:3], 32, "linknet")
    x = maps["c5"]
    for level in (4, 3, 2):
      skip = maps[f"c{level}"]
      # Neither is negative: the paper's ReLU of the sum changes nothing.
      x = skip + self._block(x, skip.shape[-1], 2, f"up{level}", train)
    x = self._block(x, x.shape[-1], 1, "up1", train)  # stride 4
    x = layers.ConvTranspose(
      self.width,
      3,
      padding=1,
      output_padding=1,
      dtype=self.dtype,
      name="final_up",
    )(x)
    x = layers.normalize(
      x,
      "batch",
      train=train,
      epsilon=EPSILON,
      dtype=self.dtype,
      name="final_up_norm",
    )
    x = layers.ConvNormAct(
      self.width,
      use_bias=True,
      epsilon=EPSILON,
      dtype=self.dtype,
      name="final",
    )(nn.relu(x), train=train)  # stride 2
    x = x.astype("float32")
    return {
      name: resize.crop(
        layers.ConvTranspose(channels, 2, name=f"head_{name}")(x),
        *image.shape[1:3],
      )
      for name, channels in sorted(self.outputs.items())
    }

  def _block(self, x: Array, features, stride, name, train) -> Array:
    return linknet.LinkNetBlock(
      features,
      kernel=3,
      stride=stride,
      use_bias=True,
      epsilon=EPSILON,
      dtype=self.dtype,
      name=name,
    )(x, train=train)
