"""Pyramid pooling (Zhao et al. 2017, arXiv:1612.01105).

`PSPDecoder` is the form of segmentation_models_pytorch: on the encoder's map
of stride 8, which is neither dilated nor deep, with a 1x1 fusion. The paper's
network is `models.pspnet`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers, types
from jaxseg.ops import pooling, resize

Array = jax.Array


class PyramidPooling(nn.Module):
  """The map averaged over grids of bins: per grid a 1x1 convolution, grown.

  Args:
    features: channels per grid; None: the map's, shared among the grids.
    bins: bins per side of every grid.
    norm_single: normalise the grid of one bin too (the paper). Without it
      that convolution has a bias: one value per channel and image is little
      to take statistics of.
    dtype: compute dtype.
  """

  features: int | None = None
  bins: Sequence[int] = (1, 2, 3, 6)
  norm_single: bool = True
  dtype: str = "float32"

  def __post_init__(self):
    object.__setattr__(self, "bins", tuple(self.bins))
    super().__post_init__()

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> list[Array]:
    """(b, h, w, c) -> per grid (b, h, w, features), corners aligned.

    Raises:
      UserError: the map has fewer pixels than a grid has bins.
    """
    if min(x.shape[1:3]) < max(self.bins):
      raise types.UserError(
        f"pyramid pooling of a map of {x.shape[1]} x {x.shape[2]} into"
        f" {max(self.bins)} x {max(self.bins)} bins; expected at least one"
        " pixel per bin: use larger images or fewer bins."
      )
    features = self.features or max(x.shape[-1] // len(self.bins), 1)
    out = []
    for bins in self.bins:
      plain = bins == 1 and not self.norm_single
      y = layers.ConvNormAct(
        features,
        1,
        norm="none" if plain else "batch",
        use_bias=plain,
        dtype=self.dtype,
        name=f"bin{bins}",
      )(pooling.adaptive_avg_pool(x, bins), train=train)
      out.append(resize.resize_bilinear(y, x.shape[1:3], align_corners=True))
    return out


class PSPDecoder(nn.Module):
  """Pyramid pooling of c3, then a 1x1 convolution.

  Of the encoder's deeper stages nothing is used; their parameters stay in the
  tree, as in the checkpoints, and get no gradient.

  Args:
    width: channels after the fusion.
    bins: see `PyramidPooling`.
    dropout: rate; whole channels.
    dtype: compute dtype.
  """

  width: int = 512
  bins: Sequence[int] = (1, 2, 3, 6)
  dropout: float = 0.2
  dtype: str = "float32"

  output_strides = (32,)  # of the encoder; the first is the default
  stride = 8  # divides the size of the image
  levels = (3,)  # the encoder maps that are read
  head_kernel = 3

  def __post_init__(self):
    object.__setattr__(self, "bins", tuple(self.bins))
    super().__post_init__()

  @property
  def min_size(self) -> int:
    """Rounded up to a multiple of 8 it gives every bin a pixel."""
    return 8 * (max(self.bins) - 1) + 1

  @nn.compact
  def __call__(self, maps: Mapping[str, Array], *, train: bool) -> Array:
    """{'c3': (b, h / 8, w / 8, c), ...} -> (b, h / 8, w / 8, width)."""
    x = maps["c3"]
    branches = PyramidPooling(
      bins=self.bins, norm_single=False, dtype=self.dtype, name="pool"
    )(x, train=train)
    x = jnp.concatenate([*branches, x.astype(self.dtype)], -1)
    x = layers.ConvNormAct(self.width, 1, dtype=self.dtype, name="fuse")(
      x, train=train
    )
    drop = nn.Dropout(self.dropout, broadcast_dims=(1, 2), name="drop")
    return drop(x, deterministic=not train)
