"""Multi-scale scene labelling (Farabet, Couprie, Najman, LeCun 2013,
doi:10.1109/TPAMI.2012.231).

One convolutional network, with the same weights, looks at three levels of a
Laplacian pyramid of the locally normalised image; a two-layer classifier reads
the features of all levels at once.

Differs from the paper: all filters of the first layer see Y, U and V (there
some see Y alone, some U and V); classifier and features are trained together;
no superpixels, trees or random fields afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.core import FrozenDict

from jaxseg import layers
from jaxseg.ops import contrast, pooling, pyramid, resize

Array = jax.Array


class Trunk(nn.Module):
  """Three 7x7 convolutions, tanh and 2x2 max-pooling after the first two.

  Args:
    width: channels of the first; the others have 4 and 16 times as many.
    kernel: size of the convolutions.
    dtype: compute dtype.
  """

  width: int = 16
  kernel: int = 7
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """(b, h, w, c) -> (b, h / 4, w / 4, 16 * width)."""
    for i, factor in enumerate((1, 4, 16), 1):
      x = layers.Conv(
        factor * self.width, self.kernel, dtype=self.dtype, name=f"conv{i}"
      )(x)
      x = pooling.max_pool(nn.tanh(x)) if i < 3 else x
    return x


class Farabet(nn.Module):
  """Shared trunk on every level, concatenated at stride 4, classified.

  Any image size works: it is filled up inside so that every level divides by
  the trunk's stride of 4.

  Args:
    outputs: head name -> channels.
    levels: of the pyramid.
    width: channels of the trunk's first layer (its features: 16 of them).
    kernel: of the trunk's convolutions.
    hidden: units of the classifier's first layer.
    dtype: compute dtype; parameters and logits are float32.
  """

  outputs: Mapping[str, int]
  levels: int = 3
  width: int = 16
  kernel: int = 7
  hidden: int = 1024
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    # Hashable, so that the model may be a static argument of jit.
    object.__setattr__(self, "outputs", FrozenDict(self.outputs))
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32.

    Three channels are read as RGB and turned into YUV; others stay.

    Raises:
      UserError: the image is empty.
    """
    layers.check_image(image, self.min_size, "farabet")
    h, w = image.shape[1:3]
    x = resize.pad_to_stride(image, 4 * 2 ** (self.levels - 1))
    x = contrast.rgb_to_yuv(x) if x.shape[-1] == 3 else x
    trunk = Trunk(self.width, self.kernel, self.dtype, name="trunk")
    size = (x.shape[1] // 4, x.shape[2] // 4)
    features = []
    for band in pyramid.laplacian_pyramid(x, self.levels):
      band = contrast.local_contrast_norm(band)
      features.append(resize.resize_bilinear(trunk(band), size))
    x = jnp.concatenate(features, -1)  # (b, H / 4, W / 4, 16 width levels)
    x = layers.Conv(self.hidden, 1, dtype=self.dtype, name="hidden")(x)
    logits = layers.heads(nn.tanh(x), self.outputs)
    full = (4 * size[0], 4 * size[1])
    return {
      name: resize.crop(resize.resize_bilinear(y, full), h, w)
      for name, y in logits.items()
    }
