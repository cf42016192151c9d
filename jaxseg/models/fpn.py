"""Semantic FPN: the feature pyramid (Lin et al. 2017, arXiv:1612.03144) with
the semantic branch of Panoptic FPN (Kirillov et al. 2019, arXiv:1901.02446).

Differs from the second paper in nothing but the padding of the image to a
multiple of 32. The form of segmentation_models_pytorch is `kit.KIT['fpn']`.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
from flax import linen as nn

from jaxseg import layers
from jaxseg.models import backbone
from jaxseg.models.decoders import fpn
from jaxseg.ops import resize

Array = jax.Array


class SemanticFPN(nn.Module):
  """Encoder, pyramid p2 to p5, branch at stride 4, 1x1 per head.

  Args:
    outputs: head name -> channels.
    encoder: a module of ENCODERS.
    pyramid_width: channels of the pyramid.
    width: channels of the branch.
    dtype: compute dtype; parameters and logits are float32.
    later: in training heads stay small, ops.grown.Grown, for a loss that
      enlarges them itself.
  """

  outputs: Mapping[str, int]
  encoder: nn.Module
  pyramid_width: int = 256
  width: int = 128
  dtype: str = "float32"
  later: bool = False

  min_size = 1

  def __post_init__(self):
    backbone.settle(self, "fpn", 32)
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32."""
    layers.check_image(image, self.min_size, "fpn")
    x = resize.pad_to_stride(image, 32)
    maps = self.encoder(x, train=train)
    backbone.check_maps(maps, (2, 3, 4, 5), x.shape[1:3], 32, "fpn")
    pyramid = fpn.FeaturePyramid(
      self.pyramid_width, dtype=self.dtype, name="pyramid"
    )(maps)
    y = fpn.SemanticBranch(self.width, dtype=self.dtype, name="branch")(
      pyramid, train=train
    )
    out = layers.heads(y, self.outputs)
    return backbone.grown(
      out, x.shape[1:3], image.shape[1:3], later=self.later and train
    )
