"""How an encoder wants its images: part of its weights, not of the data.

Every caller passes RGB in [0, 1]; the encoder applies its own record.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxseg import layers, types

Array = jax.Array


class Normalization(NamedTuple):
  """(scale * channels in `order` - mean) / std.

  Fields: mean and std per channel in `order` and in units of the scaled image
  (empty: 0 and 1, for any number of channels); scale; order 'rgb' or 'bgr'.
  """

  mean: tuple[float, ...] = ()
  std: tuple[float, ...] = ()
  scale: float = 1.0
  order: str = "rgb"


NORMALIZATIONS: dict[str, Normalization] = {
  # Images go in as they are, with any number of channels.
  "none": Normalization(),
  # torchvision's weights.
  "imagenet": Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
  # To [-1, 1]: EfficientNet-Lite, Xception, MobileNet of TensorFlow.
  "inception": Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
  # Caffe's VGG, and FCN on top of it: BGR in [0, 255] minus the mean.
  "caffe": Normalization(
    mean=(104.00699, 116.66877, 122.67892), scale=255.0, order="bgr"
  ),
  # The same with the mean of VGG's authors: Keras' VGG and ResNet.
  "caffe_vgg": Normalization(
    mean=(103.939, 116.779, 123.68), scale=255.0, order="bgr"
  ),
}


def normalize(image: Array, how: str | Normalization) -> Array:
  """(b, h, w, c) in [0, 1], RGB -> float32 as the weights were trained with.

  Raises:
    UserError: the name is unknown or the channels do not fit the record.
  """
  if isinstance(how, str):
    layers.check_choice("normalization", how, tuple(NORMALIZATIONS))
    how = NORMALIZATIONS[how]
  channels = {len(how.mean), len(how.std)} - {0}
  if channels and channels != {image.shape[-1]}:
    raise types.UserError(
      f"images have {image.shape[-1]} channels, but normalization has"
      f" {' and '.join(map(str, sorted(channels)))}; expected equal numbers:"
      " set normalization='none' or give a record of that many."
    )
  x = image.astype(jnp.float32) * how.scale
  if how.order == "bgr":
    x = x[..., ::-1]
  if how.mean:
    x = x - jnp.asarray(how.mean, jnp.float32)
  return x / jnp.asarray(how.std, jnp.float32) if how.std else x
