"""PSPNet (Zhao et al. 2017, arXiv:1612.01105).

Differs from the paper: images of any size, padded to 8 m + 1 pixels a side
(crops of the paper, 473 and 713, are such) and cropped again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers
from jaxseg.models import backbone
from jaxseg.models.decoders import pspnet

Array = jax.Array


class PSPNet(nn.Module):
  """Encoder of stride 8, pyramid pooling, 3x3, 1x1 per head.

  Args:
    outputs: head name -> channels.
    encoder: a module of ENCODERS with a dilated mode; the paper's has the
      deep stem.
    output_stride: of the encoder.
    bins: bins per side of the pooling grids.
    pool_width: channels per grid; None: the encoder's, shared among the grids.
    width: channels of the 3x3.
    dropout: rate in the head.
    aux: in training an FCN head on c4: 'aux_' + head.
    aux_width: its channels; None: a quarter of c4's.
    dtype: compute dtype; parameters and logits are float32.
    later: in training heads stay small, ops.grown.Grown, for a loss that
      enlarges them itself.
  """

  outputs: Mapping[str, int]
  encoder: nn.Module
  output_stride: int = 8
  bins: Sequence[int] = (1, 2, 3, 6)
  pool_width: int | None = None
  width: int = 512
  dropout: float = 0.1
  aux: bool = True
  aux_width: int | None = None
  dtype: str = "float32"
  later: bool = False

  def __post_init__(self):
    object.__setattr__(self, "bins", tuple(self.bins))
    backbone.settle(self, "pspnet", self.output_stride)
    super().__post_init__()

  @property
  def min_size(self) -> int:
    """Padded to the grid it gives every bin a pixel: 34 for six bins."""
    return max(1, self.output_stride * (max(self.bins) - 2) + 2)

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32.

    Raises:
      UserError: the image is smaller than `min_size`: its last map has fewer
        pixels than the largest grid has bins.
    """
    layers.check_image(image, self.min_size, "pspnet")
    x = backbone.pad_to_grid(image, self.output_stride)
    maps = self.encoder(x, train=train)
    top = maps["c5"]
    branches = pspnet.PyramidPooling(
      self.pool_width, self.bins, dtype=self.dtype, name="pool"
    )(top, train=train)
    y = jnp.concatenate([top, *branches], -1)
    out = backbone.FCNHead(
      self.outputs, self.width, self.dropout, dtype=self.dtype, name="head"
    )(y, train=train)
    if self.aux:
      out |= backbone.auxiliary(self, maps["c4"], self.aux_width, train)
    return backbone.grown(
      out,
      x.shape[1:3],
      image.shape[1:3],
      align_corners=True,
      later=self.later and train,
    )
