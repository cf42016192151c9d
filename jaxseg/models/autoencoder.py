"""Convolutional autoencoder: an image through a bottleneck and back.

Hinton and Salakhutdinov 2006 (doi:10.1126/science.1127647); convolutional:
Masci et al. 2011. With a noisy input and a clean target it is a denoising
autoencoder (Vincent et al. 2010); the noise belongs to the task, not here.

Differs from the papers: no layer-wise pretraining, batch normalisation.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.core import FrozenDict

from jaxseg import layers
from jaxseg.ops import resize

Array = jax.Array


class Autoencoder(nn.Module):
  """Strided convolutions to a code, transposed convolutions back; no skips.

  Any image size works: it is filled up to a multiple of 2^depth inside.

  Args:
    outputs: head name -> channels.
    code: channels of the bottleneck, at stride 2^depth.
    width: channels of the first level; doubled by every further one.
    depth: number of halvings.
    norm: 'none', 'batch' or 'group'.
    linear: no activation and no hidden layer: one matrix from each block of
      2^depth x 2^depth pixels to its code and one back. Trained with squared
      errors it spans the principal components of the blocks.
    dtype: compute dtype; parameters and logits are float32.
  """

  outputs: Mapping[str, int]
  code: int = 16
  width: int = 32
  depth: int = 3
  norm: str = "batch"
  linear: bool = False
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    # Hashable, so that the model may be a static argument of jit.
    object.__setattr__(self, "outputs", FrozenDict(self.outputs))
    super().__post_init__()

  def compression(self, channels: int) -> float:
    """Numbers of an image per number of its code."""
    return channels * 4**self.depth / self.code

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32.

    Raises:
      UserError: the image is empty or `norm` is unknown.
    """
    layers.check_image(image, self.min_size, "autoencoder")
    layers.check_choice("norm", self.norm, layers.NORMS)
    h, w = image.shape[1:3]
    x = resize.pad_to_stride(image.astype(self.dtype), 2**self.depth)
    if self.linear:
      x = self._blocks(x)
    else:
      x = self._decode(self._encode(x, train), train)
      x = layers.heads(x, self.outputs)
    return {name: resize.crop(y, h, w) for name, y in x.items()}

  def _blocks(self, x: Array) -> dict[str, Array]:
    side = 2**self.depth
    x = x.astype(jnp.float32)
    x = layers.Conv(self.code, side, stride=side, padding="valid", name="code")(
      x
    )  # (b, h / side, w / side, code)
    return {
      name: layers.ConvTranspose(
        channels, kernel=side, stride=side, name=f"head_{name}"
      )(x)
      for name, channels in sorted(self.outputs.items())
    }

  def _encode(self, x: Array, train: bool) -> Array:
    """(b, h, w, c) -> (b, h / 2^depth, w / 2^depth, code)."""
    for level in range(self.depth):
      x = layers.ConvNormAct(
        self.width * 2**level,
        stride=2,
        use_bias=self.norm != "batch",
        norm=self.norm,
        dtype=self.dtype,
        name=f"down{level}",
      )(x, train=train)
    return layers.Conv(self.code, 1, dtype=self.dtype, name="code")(x)

  def _decode(self, x: Array, train: bool) -> Array:
    """(b, h, w, code) -> (b, h * 2^depth, w * 2^depth, width)."""
    for level in reversed(range(self.depth)):
      x = layers.ConvTranspose(
        self.width * 2**level, dtype=self.dtype, name=f"up{level}"
      )(x)
      x = layers.normalize(
        x, self.norm, train=train, dtype=self.dtype, name=f"up{level}_norm"
      )
      x = nn.relu(x)
    return x
