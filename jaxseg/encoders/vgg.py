"""VGG-16 and VGG-19 (Simonyan and Zisserman 2014, arXiv:1409.1556).

Differs from the paper in the He-normal initialisation (the paper starts from
trained smaller nets) and in an optional batch normalisation.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers
from jaxseg.encoders import normalization as norms
from jaxseg.ops import pooling

Array = jax.Array
STAGES = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(nn.Module):
  """Five stages of 3x3 convolutions, each ending in a 2x2 max-pooling.

  Args:
    layers: 16 or 19.
    width: channels of the first stage (64); stages have 1, 2, 4, 8, 8 widths.
    batch_norm: normalise after every convolution (which keeps its bias, as in
      torchvision).
    normalization: name in NORMALIZATIONS or a record of its own.
    first_padding: zeros around the image at conv1_1 (FCN: 100).
    ceil_mode: poolings round sizes up (Caffe) instead of down.
    frozen_norm: running statistics in training too.
    dtype: compute dtype; parameters are float32.
  """

  layers: int = 16
  width: int = 64
  batch_norm: bool = False
  normalization: str | norms.Normalization = "imagenet"
  first_padding: int = 1
  ceil_mode: bool = False
  frozen_norm: bool = False
  dtype: str = "float32"

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, 3) RGB in [0, 1] -> {'c0': ..., 'c5': ..., 'p1': ... 'p5'}.

    c_k has stride 2^k: the last map before the pooling of stage k + 1, and c5
    the map after the last pooling. p_k is the map after pooling k. Without the
    extra first padding the image has at least 32 pixels a side.
    """
    layers.check_choice("layers", self.layers, tuple(STAGES))
    x = norms.normalize(image, self.normalization).astype(self.dtype)
    stages = {}
    for stage, depth in enumerate(STAGES[self.layers], 1):
      features = self.width * min(2 ** (stage - 1), 8)
      for i in range(1, depth + 1):
        first = (stage, i) == (1, 1)
        conv = layers.Conv(
          features,
          padding=self.first_padding if first else 1,
          dtype=self.dtype,
          name=f"conv{stage}_{i}",
        )
        x = layers.conv_norm_act(
          conv,
          x,
          "batch" if self.batch_norm else "none",
          "relu",
          train=train,
          frozen=self.frozen_norm,
          name=f"norm{stage}_{i}",
        )
      stages[f"c{stage - 1}"] = x
      x = pooling.max_pool(x, ceil_mode=self.ceil_mode)
      stages[f"p{stage}"] = x  # (b, h / 2^stage, w / 2^stage, features)
    return {**stages, "c5": x}


class VGGClassifier(nn.Module):
  """VGG with its fully connected layers, written as convolutions.

  A 224 x 224 image gives one vector as in the paper; a larger one gives a map
  of them, which is averaged (the paper's dense evaluation).

  Args:
    encoder: the VGG.
    classes: outputs.
    fc_width: channels of the two hidden layers.
    dropout: rate after each of them.
  """

  encoder: VGG
  classes: int = 1000
  fc_width: int = 4096
  dropout: float = 0.5

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> Array:
    """(b, h, w, 3), h and w of at least 224 -> logits (b, classes), float32."""
    x = self.encoder(image, train=train)["c5"]
    x = fully_connected(x, self.fc_width, self.dropout, train)
    x = x.astype(jnp.float32)
    x = layers.Conv(self.classes, 1, name="fc8")(x)
    return jnp.mean(x, (1, 2))


def fully_connected(x: Array, width: int, dropout: float, train: bool) -> Array:
  """fc6 (7x7, no padding) and fc7 as convolutions, each ReLU and dropout.

  Call inside a compact method: (b, h, w, c) -> (b, h - 6, w - 6, width).
  """
  for name, size in (("fc6", 7), ("fc7", 1)):
    x = layers.Conv(
      width, size, padding="valid", dtype=str(x.dtype), name=name
    )(x, act="relu")
    x = nn.Dropout(dropout, deterministic=not train, name=f"drop_{name}")(x)
  return x
