"""DeconvNet (Noh, Hong, Han 2015, arXiv:1505.04366): VGG-16 with its fully
connected layers, and a mirror image of unpoolings and deconvolutions.

Differs from the paper: any image size instead of 224 x 224 (see the class), a
He-normal start instead of Gaussians of 0.01, and whole images instead of
proposals, whose score maps the paper aggregates afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.core import FrozenDict

from jaxseg import layers
from jaxseg.encoders import normalization as norms
from jaxseg.encoders import vgg
from jaxseg.ops import resize, unpool

Array = jax.Array
# Channels after each deconvolution in units of the width, coarsest stage first.
DECODER = ((8, 8, 8), (8, 8, 4), (4, 4, 2), (2, 1), (1, 1))
FC_KERNEL = 7


class DeconvNet(nn.Module):
  """Encoder to one vector per 7 x 7 cells of the last map, and back.

  A 224 x 224 image has a last map of 7 x 7, which fc6 turns into one vector.
  A larger map of m x m (m = ceil(n / 32)) gives (m - 6) x (m - 6) vectors, and
  the first deconvolution paints their 7 x 7 stamps over each other: m x m
  again. A smaller map is set in zeros to 7 x 7 and cut out again afterwards.
  Poolings round up and unpoolings give back the size that was pooled.

  Args:
    outputs: head name -> channels; every head is a 1x1 convolution.
    width: channels of the first stage.
    fc_width: channels of the two fully connected layers.
    batch_norm: after every layer but the heads.
    normalization: of the encoder.
    frozen_norm: running statistics in training too.
    dtype: compute dtype; parameters and logits are float32.
  """

  outputs: Mapping[str, int]
  width: int = 64
  fc_width: int = 4096
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
    layers.check_image(image, self.min_size, "deconvnet")
    stages = vgg.VGG(
      width=self.width,
      batch_norm=self.batch_norm,
      normalization=self.normalization,
      ceil_mode=True,
      frozen_norm=self.frozen_norm,
      dtype=self.dtype,
      name="encoder",
    )(image, train=train)
    x = self._bottleneck(stages["p5"], train)
    for stage, widths in zip((5, 4, 3, 2, 1), DECODER):
      # The maps before the poolings are named by their stride.
      x = unpool.at_maxima(x, stages[f"c{stage - 1}"])
      for i, width in enumerate(widths, 1):
        # A transposed convolution of stride 1 is a convolution.
        x = self._conv(x, width * self.width, 3, f"up{stage}_{i}", train)
    return layers.heads(x, self.outputs)

  def _bottleneck(self, x: Array, train: bool) -> Array:
    """fc6, fc7 and the deconvolution of fc6: same size, 8 widths."""
    h, w = x.shape[1:3]
    before = [max(FC_KERNEL - n, 0) // 2 for n in (h, w)]
    pads = [(p, max(FC_KERNEL - n, 0) - p) for p, n in zip(before, (h, w))]
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)))
    x = self._conv(x, self.fc_width, FC_KERNEL, "fc6", train)
    x = self._conv(x, self.fc_width, 1, "fc7", train)  # (b, m - 6, m - 6, ..)
    x = layers.ConvTranspose(
      8 * self.width,
      kernel=FC_KERNEL,
      stride=1,
      padding=0,
      dtype=self.dtype,
      name="fc6_up",
    )(x)
    x = layers.normalize(
      x,
      self._norm(),
      train=train,
      frozen=self.frozen_norm,
      dtype=self.dtype,
      name="fc6_up_norm",
    )
    return resize.crop(nn.relu(x), h, w, *before)

  def _norm(self) -> str:
    return "batch" if self.batch_norm else "none"

  def _conv(self, x, features, kernel, name, train) -> Array:
    return layers.ConvNormAct(
      features,
      kernel,
      padding="torch" if kernel == 3 else "valid",
      use_bias=True,
      norm=self._norm(),
      frozen=self.frozen_norm,
      dtype=self.dtype,
      name=name,
    )(x, train=train)
