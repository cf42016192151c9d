"""SimpleBaseline (Xiao, Wu, Wei 2018, arXiv:1804.06208): an encoder and three
transposed convolutions, for heatmaps of keypoints.

Differs from the paper: images of any size, padded to a multiple of 32 by
repeating the border and cropped again; the maps, a quarter of the image's
size, are enlarged to it (bilinear) as those of every network here are, and
the keypoints' task averages them over `stride` pixels again; kernels start
He-normal, the authors' with deviation .001.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
from flax import linen as nn

from jaxseg import layers
from jaxseg.models import backbone
from jaxseg.ops import resize

Array = jax.Array
STEPS = 3  # doublings: from stride 32 to 4


class SimpleBaseline(nn.Module):
  """Encoder; three times a 4x4 transposed convolution of stride 2; 1x1 heads.

  Args:
    outputs: head name -> channels; a 1x1 convolution each.
    encoder: a module of ENCODERS (the paper: resnet50, 101, 152).
    width: channels of the transposed convolutions, which have no biases.
    dtype: compute dtype; parameters and outputs are float32.
  """

  outputs: Mapping[str, int]
  encoder: nn.Module
  width: int = 256
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    backbone.settle(self, "simple_baseline", 32)
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32."""
    layers.check_image(image, self.min_size, "simple_baseline")
    x = resize.pad_to_stride(image, 32)
    maps = self.encoder(x, train=train)
    backbone.check_maps(maps, (5,), x.shape[1:3], 32, "simple_baseline")
    y = maps["c5"]
    for i in range(1, STEPS + 1):
      y = layers.ConvTranspose(
        self.width,
        4,
        padding=1,
        use_bias=False,
        dtype=self.dtype,
        name=f"up{i}",
      )(y)
      y = layers.normalize(
        y, "batch", train=train, dtype=self.dtype, name=f"up{i}_norm"
      )
      y = nn.relu(y)
    out = layers.heads(y, self.outputs)  # stride 4
    return backbone.grown(out, x.shape[1:3], image.shape[1:3])
