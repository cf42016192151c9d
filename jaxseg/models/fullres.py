"""Convolutions at full resolution: the baseline that never downsamples.

Its receptive field grows by two pixels a layer, and every layer costs as much
as the first of a U-Net: what pooling and dilation are measured against.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
from flax import linen as nn
from flax.core import FrozenDict

from jaxseg import layers

Array = jax.Array


class FullResolution(nn.Module):
  """`depth` 3x3 convolutions of one width and 1x1 heads, any image size.

  Args:
    outputs: head name -> channels.
    width: channels of every convolution.
    depth: how many; the receptive field is 2 * depth + 1.
    norm: 'none', 'batch' or 'group'.
    dtype: compute dtype; parameters and logits are float32.
  """

  outputs: Mapping[str, int]
  width: int = 64
  depth: int = 8
  norm: str = "batch"
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    # Hashable, so that the model may be a static argument of jit.
    object.__setattr__(self, "outputs", FrozenDict(self.outputs))
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32.

    Raises:
      UserError: the image is empty or `norm` is unknown.
    """
    layers.check_image(image, self.min_size, "fullres")
    layers.check_choice("norm", self.norm, layers.NORMS)
    x = image.astype(self.dtype)
    for i in range(1, self.depth + 1):
      x = layers.ConvNormAct(
        self.width,
        use_bias=self.norm != "batch",
        norm=self.norm,
        dtype=self.dtype,
        name=f"conv{i}",
      )(x, train=train)
    return layers.heads(x, self.outputs)
