"""FCN-32s, 16s and 8s on VGG-16 (Long, Shelhamer, Darrell 2015,
arXiv:1411.4038; Shelhamer et al. 2016, arXiv:1605.06211).

Differs from the paper: the 4x4 up-convolutions between the scores are fixed
bilinear kernels too unless `learned_upscore` (the paper learns them); scores
come in any number of heads; images enter in [0, 1] RGB and the ImageNet
normalisation is the default (`normalization='caffe'` is the paper's).

A fixed upsampling is no parameter and treats every channel by itself.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.core import FrozenDict

from jaxseg import layers
from jaxseg.encoders import normalization as norms
from jaxseg.encoders import vgg
from jaxseg.ops import conv, resize

Array = jax.Array
PADDING = 100  # of conv1_1; makes every image large enough for fc6
OFFSETS = {32: 19, 16: 27, 8: 31}  # where the image starts in the last map
CROPS = {"pool4": 5, "pool3": 9}  # where the finer score meets the coarser
AT_ONCE = {"pool4": 0.01, "pool3": 0.0001}  # scales of the finer inputs


def _bilinear_init(key: Array, shape: tuple[int, ...]) -> Array:
  return jnp.asarray(conv.bilinear_kernel(shape[0], shape[2]))


class FCN(nn.Module):
  """VGG-16, scored at stride 32 and refined to `stride`, any image size.

  Args:
    outputs: head name -> channels.
    stride: 32, 16 or 8.
    width: channels of VGG's first stage.
    fc_width: channels of fc6 and fc7.
    batch_norm: in the encoder.
    normalization: of the encoder.
    dropout: rate after fc6 and fc7.
    zero_init: score layers start at zero (the paper), else He-normal.
    learned_upscore: the 4x4 up-convolutions are parameters, dense over the
      channels, that start bilinear.
    at_once: scale pool4 by 0.01 and pool3 by 0.0001 before they are scored,
      to train FCN-8s in one go.
    dtype: compute dtype; parameters and logits are float32.
  """

  outputs: Mapping[str, int]
  stride: int = 8
  width: int = 64
  fc_width: int = 4096
  batch_norm: bool = False
  normalization: str | norms.Normalization = "imagenet"
  dropout: float = 0.5
  zero_init: bool = True
  learned_upscore: bool = False
  at_once: bool = False
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    # Hashable, so that the model may be a static argument of jit.
    object.__setattr__(self, "outputs", FrozenDict(self.outputs))
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, 3) RGB in [0, 1] -> {head: (b, h, w, channels)} float32.

    Raises:
      UserError: the image is empty or the stride is not 32, 16 or 8.
    """
    layers.check_image(image, self.min_size, f"fcn{self.stride}s")
    layers.check_choice("stride", self.stride, tuple(OFFSETS))
    stages = vgg.VGG(
      width=self.width,
      batch_norm=self.batch_norm,
      normalization=self.normalization,
      first_padding=PADDING,
      ceil_mode=True,
      dtype=self.dtype,
      name="encoder",
    )(image, train=train)
    top = vgg.fully_connected(stages["p5"], self.fc_width, self.dropout, train)
    return {
      name: self._decode(name, channels, top, stages, image.shape[1:3])
      for name, channels in sorted(self.outputs.items())
    }

  def _decode(self, name, channels, top, stages, size) -> Array:
    x = self._score(f"head_{name}", channels, top)  # stride 32
    for at, finer in (("pool4", "p4"), ("pool3", "p3"))[: self._levels()]:
      x = self._upscore(x, f"head_{name}_up_{at}")  # (b, 2 h + 2, 2 w + 2, k)
      y = stages[finer] * (AT_ONCE[at] if self.at_once else 1.0)
      y = self._score(f"head_{name}_{at}", channels, y)
      x = x + resize.crop(y, *x.shape[1:3], CROPS[at], CROPS[at])
    return conv.bilinear_transpose(
      x, stride=self.stride, offset=OFFSETS[self.stride], size=size
    )

  def _levels(self) -> int:
    return {32: 0, 16: 1, 8: 2}[self.stride]

  def _score(self, name: str, channels: int, x: Array) -> Array:
    init = self._score_init()
    score = layers.Conv(channels, 1, kernel_init=init, name=name)
    return score(x.astype(jnp.float32))

  def _score_init(self):
    return nn.initializers.zeros if self.zero_init else layers.he_normal

  def _upscore(self, x: Array, name: str) -> Array:
    if not self.learned_upscore:
      return conv.bilinear_transpose(x, stride=2)
    kernel = self.param(name, _bilinear_init, (4, 4, *2 * x.shape[-1:]))
    return conv.conv_transpose(x, kernel, stride=2)
