"""SegNet and SegNet-Basic (Badrinarayanan, Kendall, Cipolla 2015,
arXiv:1511.00561): the decoder unpools with the indices of the poolings.

Differs from the paper: SegNet's images enter in [0, 1] RGB with the
normalisation of ImageNet, which its encoder, VGG-16, has been trained with.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
from flax import linen as nn
from flax.core import FrozenDict

from jaxseg import layers
from jaxseg.encoders import normalization as norms
from jaxseg.encoders import vgg
from jaxseg.ops import contrast, unpool

Array = jax.Array
# Channels after each convolution in units of the width, from the coarsest
# stage; the convolution to the classes ends the last one.
DECODER = ((8, 8, 8), (8, 8, 4), (4, 4, 2), (2, 1), (1,))


class SegNet(nn.Module):
  """VGG-16 and its mirror image, joined by the indices of five poolings.

  Poolings round up, so that 360 x 480 has maps of 45 x 60 and 23 x 30; each
  unpooling gives back the size that its pooling had. Any image size works.

  Args:
    outputs: head name -> channels; every head is a 3x3 convolution.
    width: channels of the first stage.
    batch_norm: after every convolution but the heads.
    normalization: of the encoder.
    frozen_norm: running statistics in training too.
    dtype: compute dtype; parameters and logits are float32.
  """

  outputs: Mapping[str, int]
  width: int = 64
  batch_norm: bool = True
  normalization: str | norms.Normalization = "imagenet"
  frozen_norm: bool = False
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
    layers.check_image(image, self.min_size, "segnet")
    stages = vgg.VGG(
      width=self.width,
      batch_norm=self.batch_norm,
      normalization=self.normalization,
      ceil_mode=True,
      frozen_norm=self.frozen_norm,
      dtype=self.dtype,
      name="encoder",
    )(image, train=train)
    x = stages["p5"]
    for stage, widths in zip((5, 4, 3, 2, 1), DECODER):
      # The maps before the poolings are named by their stride.
      x = unpool.at_maxima(x, stages[f"c{stage - 1}"])
      for i, width in enumerate(widths, 1):
        x = layers.ConvNormAct(
          width * self.width,
          use_bias=True,
          norm="batch" if self.batch_norm else "none",
          frozen=self.frozen_norm,
          dtype=self.dtype,
          name=f"up{stage}_{i}",
        )(x, train=train)
    return layers.heads(x, self.outputs, kernel=3)


class SegNetBasic(nn.Module):
  """Four stages of one 7x7 convolution on either side, all of one width.

  The decoder has no ReLU. Any image size works, as in SegNet.

  Args:
    outputs: head name -> channels; every head is a 1x1 convolution.
    width: channels of every convolution.
    kernel: their size.
    depth: number of poolings.
    normalization: what the local response normalisation sees; the paper's
      images are BGR in [0, 255].
    dtype: compute dtype; parameters and logits are float32.
  """

  outputs: Mapping[str, int]
  width: int = 64
  kernel: int = 7
  depth: int = 4
  normalization: str | norms.Normalization = norms.Normalization(
    scale=255.0, order="bgr"
  )
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    object.__setattr__(self, "outputs", FrozenDict(self.outputs))
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32.

    Raises:
      UserError: the image is empty.
    """
    layers.check_image(image, self.min_size, "segnet_basic")
    x = norms.normalize(image, self.normalization)
    x = contrast.local_response_norm(x).astype(self.dtype)
    pooled = []
    for level in range(1, self.depth + 1):
      x = self._conv(x, f"down{level}", "relu", train)
      size = x.shape[1:3]
      x, indices = unpool.max_pool_with_indices(x, ceil_mode=True)
      pooled.append((indices, size))
    for level in reversed(range(1, self.depth + 1)):
      x = unpool.max_unpool(x, *pooled.pop())
      x = self._conv(x, f"up{level}", "none", train)
    return layers.heads(x, self.outputs)

  def _conv(self, x: Array, name: str, act: str, train: bool) -> Array:
    return layers.ConvNormAct(
      self.width,
      self.kernel,
      use_bias=True,
      act=act,
      dtype=self.dtype,
      name=name,
    )(x, train=train)
