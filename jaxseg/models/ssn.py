"""The feature network of superpixel sampling networks: Jampani, Sun, Liu, Yang,
Kautz, "Superpixel Sampling Networks", ECCV 2018 (arXiv 1807.10174), section 4
and figure 2.

Seven 3x3 convolutions. The first six have batch normalisation and ReLU, with
max-pooling behind the second and the fourth; what comes out of the second, the
fourth and the sixth is enlarged to the size of the picture and read by the
last. It sees place and Lab on the paper's scales. What it says, beside place
and Lab again, is what the task `superpixels` clusters.

Differs from the paper in that the last convolution has no ReLU (the text leaves
it open), and that the scale of place is of cells of `step` pixels, for pictures
of any size, where the paper has one of the number of cells along the sides.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.core import FrozenDict

from jaxseg import layers
from jaxseg.ops import color, pooling, resize
from jaxseg.types import UserError

Array = jax.Array
STAGES = 3  # of two convolutions each
STRIDE = 4


class SSN(nn.Module):
  """See the module; any image size.

  Args:
    outputs: head name -> channels; 15 in the paper.
    width: channels of the first six convolutions.
    step: side of a superpixel's cell, in pixels.
    place: what a step in place counts.
    colour: what a unit of Lab counts.
    norm: 'none', 'batch' or 'group'.
    dtype: compute dtype; parameters and outputs are float32.
  """

  outputs: Mapping[str, int]
  width: int = 64
  step: float = 20.0
  place: float = 2.5
  colour: float = 0.26
  norm: str = "batch"
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    # Hashable, so that the model may be a static argument of jit.
    object.__setattr__(self, "outputs", FrozenDict(self.outputs))
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, 3) in [0, 1] -> {head: (b, h, w, channels)} float32.

    Raises:
      UserError: the image is empty or not RGB, or `norm` is unknown.
    """
    layers.check_image(image, self.min_size, "ssn")
    layers.check_choice("norm", self.norm, layers.NORMS)
    if image.shape[-1] != 3:
      raise UserError(
        f"ssn was given images of {image.shape[-1]} channel(s): it reads Lab, "
        "and expects RGB; take another network, such as 'unet'."
      )
    size = h, w = image.shape[1:3]
    x = self._place_and_lab(image.astype(jnp.float32)).astype(self.dtype)
    x = resize.pad_to_stride(x, STRIDE)
    read = []
    for stage in range(1, STAGES + 1):
      for i in (1, 2):
        x = layers.ConvNormAct(
          self.width,
          use_bias=self.norm != "batch",
          norm=self.norm,
          dtype=self.dtype,
          name=f"conv{stage}_{i}",
        )(x, train=train)
      full = (x.shape[1] << (stage - 1), x.shape[2] << (stage - 1))
      read.append(resize.resize_bilinear(x, full)[:, :h, :w])
      x = pooling.max_pool(x) if stage < STAGES else x
    assert read[-1].shape[1:3] == size
    return layers.heads(jnp.concatenate(read, -1), self.outputs, 3)

  def _place_and_lab(self, image: Array) -> Array:
    """(b, h, w, 3) -> (b, h, w, 5)."""
    b, h, w, _ = image.shape
    y, x = jnp.meshgrid(jnp.arange(h), jnp.arange(w), indexing="ij")
    at = jnp.stack([y, x], -1).astype(jnp.float32) * (self.place / self.step)
    at = jnp.broadcast_to(at, (b, h, w, 2))
    return jnp.concatenate([at, self.colour * color.rgb_to_lab(image)], -1)
