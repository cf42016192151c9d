"""U-Net's decoder over any encoder (Ronneberger et al. 2015,
arXiv:1505.04597), as in segmentation_models_pytorch.

Differs from the paper: maps grow by nearest-neighbour upsampling instead of
up-convolutions, every convolution is padded and normalised, and the last
level, at the size of the image, has no skip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers
from jaxseg.ops import resize

Array = jax.Array


class UNetDecoder(nn.Module):
  """Upsample, concatenate the encoder's map, two 3x3 convolutions, per level.

  Args:
    widths: channels of the levels, coarsest first. Five of them start at c5
      (stride 32), three at c3; each level doubles the size.
    center: two more convolutions on the coarsest map, as many channels as it
      has. None: only where the encoder ends in a bare pooling (VGG), whose
      map nothing has looked at.
    norm: 'none', 'batch' or 'group'; convolutions have biases without one.
    dtype: compute dtype.
  """

  widths: Sequence[int] = (256, 128, 64, 32, 16)
  center: bool | None = None
  norm: str = "batch"
  dtype: str = "float32"

  output_strides = (32,)  # of the encoder; the first is the default
  head_kernel = 3
  min_size = 1

  def __post_init__(self):
    object.__setattr__(self, "widths", tuple(self.widths))
    super().__post_init__()

  @property
  def levels(self) -> tuple[int, ...]:
    """The encoder maps that are read."""
    return tuple(range(1, len(self.widths) + 1))

  @property
  def stride(self) -> int:
    """Sizes of the image have to divide by this."""
    return 2 ** len(self.widths)

  @nn.compact
  def __call__(self, maps: Mapping[str, Array], *, train: bool) -> Array:
    """{'c1': (b, h / 2, w / 2, c), ...} -> (b, h, w, widths[-1])."""
    layers.check_choice("norm", self.norm, layers.NORMS)
    level = len(self.widths)
    x = maps[f"c{level}"]
    bare = maps.get(f"p{level}") is x if self.center is None else self.center
    if bare:
      x = self._double(x, x.shape[-1], "center", train)
    for width in self.widths:
      level -= 1
      x = resize.resize_nearest(x, (2 * x.shape[1], 2 * x.shape[2]))
      if level:
        x = jnp.concatenate([x, maps[f"c{level}"].astype(x.dtype)], -1)
      x = self._double(x, width, f"up{level}", train)
    return x

  def _double(self, x: Array, width: int, name: str, train: bool) -> Array:
    for i in (1, 2):
      x = layers.ConvNormAct(
        width,
        norm=self.norm,
        use_bias=self.norm == "none",
        dtype=self.dtype,
        name=f"{name}_conv{i}",
      )(x, train=train)
    return x
