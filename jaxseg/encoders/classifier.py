"""An encoder with the plainest classification head, for ImageNet weights."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers

Array = jax.Array


class Classifier(nn.Module):
  """An encoder, the average of its last map, one or two dense layers.

  The dense layers are 1x1 convolutions on the averaged map, so that the same
  parameters score every place of the map (Long et al. 2015,
  arXiv:1411.4038).

  Args:
    encoder: gives c5.
    classes: outputs.
    hidden: channels of a dense layer in between (MobileNetV3); 0: none.
    act: name in ACTIVATIONS, after the hidden layer.
    dropout: rate before the last layer.
  """

  encoder: nn.Module
  classes: int = 1000
  hidden: int = 0
  act: str = "hard_swish"
  dropout: float = 0.0

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> Array:
    """(b, h, w, 3) RGB in [0, 1] -> logits (b, classes), float32."""
    x = self.encoder(image, train=train)["c5"].astype(jnp.float32)
    x = jnp.mean(x, (1, 2), keepdims=True)  # (b, 1, 1, c)
    if self.hidden:
      x = layers.Conv(self.hidden, 1, name="hidden")(x)
      x = layers.ACTIVATIONS[self.act](x)
    x = nn.Dropout(self.dropout, deterministic=not train, name="drop")(x)
    return layers.Conv(self.classes, 1, name="fc")(x)[:, 0, 0]
