"""Lite reduced ASPP (Howard et al. 2019, "Searching for MobileNetV3",
arXiv:1905.02244), as torchvision has it.

Differs from the paper: the gate sees the average of the whole map instead of
large strided windows, and the encoder ends at stride 16 by dilation.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers
from jaxseg.models import backbone
from jaxseg.ops import resize

Array = jax.Array


class LRASPP(nn.Module):
  """Scores of a gated deep map, grown, plus scores of a map of stride 8.

  Args:
    outputs: head name -> channels.
    encoder: a module of ENCODERS with a dilated mode.
    output_stride: of the encoder.
    low: the encoder map of stride 8 that is scored too.
    width: channels of the deep branch.
    dtype: compute dtype; parameters and logits are float32.
    later: in training heads stay small, ops.grown.Grown, for a loss that
      enlarges them itself.
  """

  outputs: Mapping[str, int]
  encoder: nn.Module
  output_stride: int = 16
  low: str = "c3"
  width: int = 128
  dtype: str = "float32"
  later: bool = False

  min_size = 1

  def __post_init__(self):
    backbone.settle(self, "lraspp", self.output_stride)
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32."""
    layers.check_image(image, self.min_size, "lraspp")
    maps = self.encoder(image, train=train)
    low, top = maps[self.low], maps["c5"]
    x = layers.ConvNormAct(self.width, 1, dtype=self.dtype, name="deep")(
      top, train=train
    )
    gate = jnp.mean(top, (1, 2), keepdims=True, dtype=jnp.float32)
    gate = layers.Conv(
      self.width, 1, use_bias=False, dtype=self.dtype, name="gate"
    )(gate)  # (b, 1, 1, width)
    x = resize.resize_bilinear(x * nn.sigmoid(gate), low.shape[1:3])
    out = {
      name: self._score(f"head_{name}", channels, x)
      + self._score(f"head_{name}_low", channels, low)
      for name, channels in sorted(self.outputs.items())
    }
    return backbone.grown(out, image.shape[1:3], later=self.later and train)

  def _score(self, name: str, channels: int, x: Array) -> Array:
    return layers.Conv(channels, 1, name=name)(x.astype(jnp.float32))
