"""AlexNet on one device (Krizhevsky 2014, arXiv:1404.5997), as torchvision.

Differs from the first one (Krizhevsky et al. 2012) in the channels, and in
having neither groups nor local response normalisation.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers, types
from jaxseg.encoders import normalization as norms
from jaxseg.ops import pooling

Array = jax.Array
# Per convolution: kernel, stride, channels at width 64.
CONVS = ((11, 4, 64), (5, 1, 192), (3, 1, 384), (3, 1, 256), (3, 1, 256))
POOLED = {1: "c2", 2: "c3", 5: "c4"}  # convolutions before a max-pooling


class AlexNet(nn.Module):
  """Five convolutions and three 3x3 max-poolings, no zeros around those.

  Args:
    width: channels of the first convolution (64).
    output_stride: 32, the only one it has.
    normalization: name in NORMALIZATIONS or a record of its own.
    first_padding: zeros around the image at conv1 (FCN: 100).
    dtype: compute dtype; parameters are float32.
  """

  width: int = 64
  output_stride: int = 32
  normalization: str | norms.Normalization = "imagenet"
  first_padding: int = 2
  dtype: str = "float32"

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, 3) RGB in [0, 1], 63 pixels a side -> {'c2': ... 'c5': ...}.

    c2, c3, c4 are the maps before the poolings (stride 4, 8, 16), c5 the map
    after the last (stride 32); there is none of stride 2. Maps are smaller
    than the image over their stride: 224 pixels give 55, 27, 13 and 6.

    Raises:
      UserError: output_stride is not 32.
    """
    del train  # neither dropout nor statistics
    if self.output_stride != 32:
      raise types.UserError(
        f"AlexNet got output_stride={self.output_stride}; expected 32, since"
        " its poolings cannot become dilations: take another encoder."
      )
    x = norms.normalize(image, self.normalization).astype(self.dtype)
    maps = {}
    for i, (kernel, stride, channels) in enumerate(CONVS, 1):
      x = layers.Conv(
        channels * self.width // 64,
        kernel,
        stride=stride,
        padding=self.first_padding if i == 1 else "torch",
        dtype=self.dtype,
        name=f"conv{i}",
      )(x, act="relu")
      if i in POOLED:
        maps[POOLED[i]] = x
        x = pooling.max_pool(x, 3, stride=2)
    return {**maps, "c5": x}


class AlexNetClassifier(nn.Module):
  """AlexNet with its fully connected layers, written as convolutions.

  A 224 x 224 image gives one vector; a larger one a map of them, which is
  averaged (torchvision averages the features instead).

  Args:
    encoder: the AlexNet.
    classes: outputs.
    fc_width: channels of the two hidden layers.
    dropout: rate before each of them.
  """

  encoder: AlexNet
  classes: int = 1000
  fc_width: int = 4096
  dropout: float = 0.5

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> Array:
    """(b, h, w, 3), h and w of at least 223 -> logits (b, classes), float32."""
    x = self.encoder(image, train=train)["c5"]
    for name, size in (("fc6", 6), ("fc7", 1)):
      x = nn.Dropout(
        self.dropout, deterministic=not train, name=f"drop_{name}"
      )(x)
      x = layers.Conv(
        self.fc_width, size, padding="valid", dtype=str(x.dtype), name=name
      )(x, act="relu")  # (b, h / 32 - 5, w / 32 - 5, fc_width)
    x = layers.Conv(self.classes, 1, name="fc8")(x.astype(jnp.float32))
    return jnp.mean(x, (1, 2))
