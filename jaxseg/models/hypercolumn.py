"""Hypercolumns (Hariharan et al. 2015, arXiv:1411.5752) on VGG-16.

Every pixel is classified from the features of several layers above it. A
linear classifier on their concatenation is the sum of one linear classifier
per layer, and a 1x1 convolution commutes with bilinear upsampling: so each
layer is scored at its own resolution, and only the scores are upsampled.

Differs from the paper: whole images instead of detected boxes, so that the
grid of classifiers lies over the image and fc7 is a map (fc6 padded to its
size) instead of one vector; a softmax or any other loss instead of a sigmoid
per class; no superpixels afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.core import FrozenDict

from jaxseg import layers
from jaxseg.encoders import normalization as norms
from jaxseg.encoders import vgg
from jaxseg.ops import resize

Array = jax.Array
KERNELS = {"pool3": 3, "pool4": 1, "fc7": 1}  # of the score of each layer
MAPS = {"pool3": "p3", "pool4": "p4", "fc7": "fc7"}
# What the authors' VGG-16 network multiplies its (unnormalised) maps with.
PUBLISHED_SCALES = (0.0027, 0.063, 1.0)


def location_weights(size: int, count: int, step: int, grid: int) -> np.ndarray:
  """Share of each classifier of the grid at each sample, float32 (count, grid).

  Sample i stands at pixel step (i + 1/2) of an axis of `size` pixels,
  classifier k at size (k + 1/2) / grid; the two around a sample share it
  linearly, beyond the outer ones the outer ones hold. Rows sum to one.
  """
  at = (np.arange(count) + 0.5) * step * grid / size - 0.5
  distance = np.abs(np.clip(at, 0, grid - 1)[:, None] - np.arange(grid))
  return np.maximum(1 - distance, 0).astype(np.float32)


class Hypercolumn(nn.Module):
  """Scores of pool3, pool4 and fc7, summed at stride 8, and upsampled.

  Any image size works: it is filled up to a multiple of 32 inside.

  Args:
    outputs: head name -> channels.
    grid: K; a K x K grid of classifiers over the image, interpolated (1: one
      for all locations).
    scales: factors of pool3, pool4 and fc7 before they are scored; see
      PUBLISHED_SCALES.
    top_only: score fc7 alone (the paper's baseline).
    width: channels of VGG's first stage.
    fc_width: channels of fc6 and fc7.
    batch_norm, normalization: of the encoder.
    dropout: rate after fc6 and fc7.
    dtype: compute dtype; parameters and logits are float32.
  """

  outputs: Mapping[str, int]
  grid: int = 5
  scales: tuple[float, float, float] = (1.0, 1.0, 1.0)
  top_only: bool = False
  width: int = 64
  fc_width: int = 4096
  batch_norm: bool = False
  normalization: str | norms.Normalization = "imagenet"
  dropout: float = 0.5
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    # Hashable, so that the model may be a static argument of jit.
    object.__setattr__(self, "outputs", FrozenDict(self.outputs))
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, 3) RGB in [0, 1] -> {head: (b, h, w, channels)} float32.

    Raises:
      UserError: the image is empty.
    """
    layers.check_image(image, self.min_size, "hypercolumn")
    size = image.shape[1:3]
    maps = vgg.VGG(
      width=self.width,
      batch_norm=self.batch_norm,
      normalization=self.normalization,
      dtype=self.dtype,
      name="encoder",
    )(resize.pad_to_stride(image, 32), train=train)
    maps["fc7"] = self._fully_connected(maps["p5"], train)
    return {
      name: self._decode(name, channels, maps, size)
      for name, channels in sorted(self.outputs.items())
    }

  def _fully_connected(self, x: Array, train: bool) -> Array:
    """As `vgg.fully_connected`, padded: (b, h, w, c) -> (b, h, w, fc_width)."""
    for name, kernel in (("fc6", 7), ("fc7", 1)):
      conv = layers.Conv(self.fc_width, kernel, dtype=self.dtype, name=name)
      x = conv(x, act="relu")
      x = nn.Dropout(
        self.dropout, deterministic=not train, name=f"drop_{name}"
      )(x)
    return x

  def _decode(self, name, channels, maps, size) -> Array:
    h, w = maps["p3"].shape[1:3]
    total = None
    for (layer, kernel), scale in zip(KERNELS.items(), self.scales):
      if self.top_only and layer != "fc7":
        continue
      x = maps[MAPS[layer]].astype(jnp.float32) * scale
      x = layers.Conv(
        channels * self.grid**2, kernel, name=f"head_{name}_{layer}"
      )(x)
      x = resize.resize_bilinear(x, (h, w))
      total = x if total is None else total + x
    x = total.reshape(*total.shape[:3], self.grid, self.grid, channels)
    rows = location_weights(size[0], h, 8, self.grid)
    cols = location_weights(size[1], w, 8, self.grid)
    x = jnp.einsum("bhwklc,hk,wl->bhwc", x, rows, cols)
    x = resize.resize_bilinear(x, (8 * h, 8 * w))
    return resize.crop(x, *size)
