"""U-Net on MobileNetV2 of TensorFlow's image segmentation tutorial
(tensorflow.org/tutorials/images/segmentation), made for the pets.

Skips leave the encoder in the middle of its blocks, after their expansion;
the way back is that of pix2pix (Isola et al. 2017, arXiv:1611.07004) without
dropout. Differs from the tutorial: images of any size, not 128 x 128 alone,
are padded to a multiple of 32 by repeating the border and cropped again; new
kernels start He-normal.

6,504,227 is Keras's count at three classes: parameters and running statistics
of the encoder (1,841,984, frozen in the tutorial) and of the way back, whose
4,660,323 parameters are trained there. The encoder ends with the convolution
of the last block, `block_16_project`, before its normalisation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers
from jaxseg.models import backbone
from jaxseg.ops import finished, resize

Array = jax.Array
# Keras counts blocks from 0 and calls these block_1, 3, 6 and 13 _expand_relu:
# strides 2, 4, 8 and 16.
TAPS = ("block2", "block4", "block7", "block14")
# Its block_16_project is the convolution before this normalisation.
LEFT_OUT = ("block17", "project", "norm")


class PetsUNet(nn.Module):
  """MobileNetV2, then doublings by 3x3 transposed convolutions with skips.

  Args:
    outputs: head name -> channels; a transposed 3x3 convolution each.
    encoder: a MobileNetV2 without its head; Keras weights want padding='tf',
      epsilon=1e-3, momentum=0.999 and images in [-1, 1].
    widths: channels of the doublings, coarsest first.
    dtype: compute dtype; parameters and logits are float32.
  """

  outputs: Mapping[str, int]
  encoder: nn.Module
  widths: Sequence[int] = (512, 256, 128, 64)
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    object.__setattr__(self, "widths", tuple(self.widths))
    backbone.settle(self, "unet_mobilenet_v2", 32)
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32."""
    layers.check_image(image, self.min_size, "unet_mobilenet_v2")
    x, taps = self._encode(resize.pad_to_stride(image, 32), train)
    for i, (width, tap) in enumerate(zip(self.widths, reversed(TAPS))):
      x = layers.ConvTranspose(
        width, 3, use_bias=False, dtype=self.dtype, name=f"up{4 - i}"
      )(x)
      x = layers.normalize(
        x,
        "batch",
        train=train,
        momentum=0.99,
        epsilon=1e-3,
        dtype=self.dtype,
        name=f"up{4 - i}_norm",
      )
      x = jnp.concatenate([nn.relu(x), taps[tap]], -1)
    x = x.astype("float32")  # stride 2
    return {
      name: resize.crop(
        layers.ConvTranspose(channels, 3, name=f"head_{name}")(x),
        *image.shape[1:3],
      )
      for name, channels in sorted(self.outputs.items())
    }

  def _encode(self, x: Array, train: bool) -> tuple[Array, dict[str, Array]]:
    """The last map, and those inside the blocks TAPS, which are no stages."""
    taps = {}

    def tap(method, args, kwargs, context):
      path = context.module.path
      if context.method_name != "__call__":
        return method(*args, **kwargs)
      if path[-3:] == LEFT_OUT:
        # Not called, it makes no parameters either.
        return args[1] if args[1:] else finished.unchanged(args[0])
      y = method(*args, **kwargs)
      if path[-1] == "expand":
        taps[path[-2]] = y
      return y

    with nn.intercept_methods(tap):
      maps = self.encoder(x, train=train)
    return maps["c5"], taps
