"""The network of "Colorful Image Colorization" (Zhang, Isola, Efros 2016).

arXiv:1603.08511: VGG-like, strides instead of poolings, dilations in blocks 5
and 6, logits of colour bins at stride 4.

Differs from the paper: the image may have colours, of which only the lightness
is seen, minus 50 as there; logits are brought to the size of the image unless
`coarse`; batch normalisation starts from scratch, without ImageNet.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
from flax import linen as nn
from flax.core import FrozenDict

from jaxseg import layers
from jaxseg.ops import color, resize

Array = jax.Array
# (convolutions, times the width, stride of the last one, dilation).
BLOCKS = (
  (2, 1, 2, 1),
  (2, 2, 2, 1),
  (3, 4, 2, 1),
  (3, 8, 1, 1),
  (3, 8, 1, 2),
  (3, 8, 1, 2),
  (3, 8, 1, 1),
)
STRIDE = 8  # of blocks 3 to 7
COARSE = 4  # of the logits


class ColorNet(nn.Module):
  """Eight blocks of 3x3 convolutions; any image size works.

  32,235,385 parameters with 313 logits, those of the normalisations among
  them.

  Args:
    outputs: head name -> channels; every head is a 1x1 convolution.
    width: channels of the first block.
    coarse: logits at stride 4, as in the paper, instead of the image's size.
    dtype: compute dtype; parameters and logits are float32.
  """

  outputs: Mapping[str, int]
  width: int = 64
  coarse: bool = False
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    # Hashable, so that the model may be a static argument of jit.
    object.__setattr__(self, "outputs", FrozenDict(self.outputs))
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, 3) RGB in [0, 1] -> {head: (b, h, w, channels)} float32.

    With `coarse` (b, ceil(h / 4), ceil(w / 4), channels).

    Raises:
      UserError: the image is empty.
    """
    layers.check_image(image, self.min_size, "colorization")
    h, w = image.shape[1:3]
    x = color.rgb_to_lab(image)[..., :1] - 50.0
    x = resize.pad_to_stride(x, STRIDE).astype(self.dtype)
    for i, (count, times, stride, dilation) in enumerate(BLOCKS, 1):
      for j in range(1, count + 1):
        x = self._conv(
          x,
          times * self.width,
          f"conv{i}_{j}",
          stride=stride if j == count else 1,
          dilation=dilation,
        )
      x = layers.normalize(
        x, "batch", train=train, dtype=self.dtype, name=f"norm{i}"
      )
    x = layers.ConvTranspose(
      4 * self.width, kernel=4, dtype=self.dtype, name="conv8_1"
    )(x)  # (b, h / 4, w / 4, 4 width)
    x = nn.relu(x)
    x = self._conv(x, 4 * self.width, "conv8_2")
    x = self._conv(x, 4 * self.width, "conv8_3")
    out = layers.heads(x, self.outputs)
    if self.coarse:
      h, w = -(-h // COARSE), -(-w // COARSE)
    else:
      size = (x.shape[1] * COARSE, x.shape[2] * COARSE)
      out = {k: resize.resize_bilinear(v, size) for k, v in out.items()}
    return {k: resize.crop(v, h, w) for k, v in out.items()}

  def _conv(self, x: Array, features: int, name: str, **options) -> Array:
    conv = layers.Conv(features, dtype=self.dtype, name=name, **options)
    return conv(x, act="relu")
