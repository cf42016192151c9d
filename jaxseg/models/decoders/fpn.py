"""Feature pyramid (Lin et al. 2017, arXiv:1612.03144) and the semantic branch
on it (Kirillov et al. 2019, arXiv:1901.02446).

`FPNDecoder` is the form of segmentation_models_pytorch: no 3x3 convolution on
the levels of the pyramid, and upsampling with aligned corners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers
from jaxseg.ops import resize

Array = jax.Array
MERGES = ("add", "concat")


class FeaturePyramid(nn.Module):
  """Lateral 1x1 convolutions, the coarser level added, 3x3 convolutions.

  No normalisation and no activation, as in the paper. A level is doubled by
  repetition and cropped to the finer one, so that any size works.

  Args:
    features: channels of every level.
    levels: encoder maps, finest first; each half the size of the one before,
      rounded up.
    output_convs: a 3x3 convolution on every level.
    extra: further level of twice the stride, every second pixel of the last.
    dtype: compute dtype.
  """

  features: int = 256
  levels: Sequence[str] = ("c2", "c3", "c4", "c5")
  output_convs: bool = True
  extra: bool = False
  dtype: str = "float32"

  def __post_init__(self):
    object.__setattr__(self, "levels", tuple(self.levels))
    super().__post_init__()

  @nn.compact
  def __call__(self, maps: Mapping[str, Array]) -> dict[str, Array]:
    """{'c2': (b, h, w, c), ...} -> {'p2': (b, h, w, features), ...}."""
    pyramid, x = {}, None
    for level in reversed(self.levels):
      finer = self._conv(maps[level], 1, f"lateral{level[1:]}")
      if x is not None:
        x = jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)
        finer = finer + resize.crop(x, *finer.shape[1:3])
      x = finer
      y = self._conv(x, 3, f"output{level[1:]}") if self.output_convs else x
      pyramid[f"p{level[1:]}"] = y
    if self.extra:
      last = int(self.levels[-1][1:])
      pyramid[f"p{last + 1}"] = pyramid[f"p{last}"][:, ::2, ::2]
    return pyramid

  def _conv(self, x: Array, kernel: int, name: str) -> Array:
    return layers.Conv(self.features, kernel, dtype=self.dtype, name=name)(x)


class SemanticBranch(nn.Module):
  """Brings p2 to p5 to stride 4 and adds them.

  p5 passes three times a 3x3 convolution, group normalisation, ReLU and a
  doubling, p4 twice, p3 once; p2 passes one convolution.

  Args:
    features: channels.
    merge: 'add' or 'concat', coarsest level first.
    dropout: rate; whole channels.
    align_corners: of the doublings.
    dtype: compute dtype.
  """

  features: int = 128
  merge: str = "add"
  dropout: float = 0.0
  align_corners: bool = False
  dtype: str = "float32"

  @nn.compact
  def __call__(self, pyramid: Mapping[str, Array], *, train: bool) -> Array:
    """{'p2': (b, h, w, c), ...} -> (b, h, w, features or 4 features)."""
    layers.check_choice("merge", self.merge, MERGES)
    levels = []
    for level in (5, 4, 3, 2):
      x = pyramid[f"p{level}"]
      for i in range(max(level - 2, 1)):
        x = layers.ConvNormAct(
          self.features, norm="group", dtype=self.dtype, name=f"p{level}_{i}"
        )(x, train=train)
        if level > 2:
          # The last doubling may exceed the finer level, rounded up, by one.
          size = pyramid[f"p{level - i - 1}"].shape[1:3]
          x = resize.resize_bilinear(
            x,
            (2 * x.shape[1], 2 * x.shape[2]),
            align_corners=self.align_corners,
          )
          x = resize.crop(x, *size)
      levels.append(x)
    if self.merge == "add":
      x = sum(levels[1:], levels[0])
    else:
      x = jnp.concatenate(levels, -1)
    drop = nn.Dropout(self.dropout, broadcast_dims=(1, 2), name="drop")
    return drop(x, deterministic=not train)


class FPNDecoder(nn.Module):
  """Pyramid without output convolutions, then the semantic branch.

  Args:
    pyramid_width: channels of the pyramid.
    width: channels of the branch.
    merge: 'add' or 'concat'.
    dropout: rate; whole channels.
    dtype: compute dtype.
  """

  pyramid_width: int = 256
  width: int = 128
  merge: str = "add"
  dropout: float = 0.2
  dtype: str = "float32"

  output_strides = (32,)  # of the encoder; the first is the default
  stride = 32  # divides the size of the image
  levels = (2, 3, 4, 5)  # the encoder maps that are read
  head_kernel = 1
  min_size = 1

  @nn.compact
  def __call__(self, maps: Mapping[str, Array], *, train: bool) -> Array:
    """{'c2': (b, h / 4, w / 4, c), ...} -> (b, h / 4, w / 4, width)."""
    pyramid = FeaturePyramid(
      self.pyramid_width, output_convs=False, dtype=self.dtype, name="pyramid"
    )(maps)
    return SemanticBranch(
      self.width,
      merge=self.merge,
      dropout=self.dropout,
      align_corners=True,
      dtype=self.dtype,
      name="branch",
    )(pyramid, train=train)
