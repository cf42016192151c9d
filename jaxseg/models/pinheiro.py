"""The recurrent convolutional network of scene labelling (Pinheiro and
Collobert 2014, arXiv:1306.2795).

One small network is applied again and again: instance i sees the image at
half the size of instance i - 1 and the scores of instance i - 1, so that each
instance has more context and corrects the one before. All instances share
their parameters, and each has a loss of its own.

Differs from the paper: convolutions are padded, so that scores are as large as
the image and the first instance's context does not need a wider patch; scores
are upsampled bilinearly where the paper shifts the input by every pixel.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.core import FrozenDict

from jaxseg import layers
from jaxseg.ops import pooling, resize

Array = jax.Array


class Instance(nn.Module):
  """8x8 convolution, tanh, pooling, 8x8 convolution, tanh, 1x1 scores.

  Args:
    channels: of the scores.
    width: channels of the first convolution; the second has twice as many.
    kernel: size of the convolutions.
    dtype: compute dtype; scores are float32.
  """

  channels: int
  width: int = 25
  kernel: int = 8
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """(b, h, w, c), even sizes -> (b, h / 2, w / 2, channels)."""
    x = self._conv(x, self.width, "conv1")
    x = self._conv(pooling.max_pool(x), 2 * self.width, "conv2")
    x = x.astype(jnp.float32)
    return layers.Conv(self.channels, 1, name="score")(x)

  def _conv(self, x: Array, features: int, name: str) -> Array:
    conv = layers.Conv(
      features, self.kernel, padding="tf", dtype=self.dtype, name=name
    )
    return nn.tanh(conv(x))


class RecurrentCNN(nn.Module):
  """`instances` applications of one network; the last one answers.

  Any image size works. Parameters do not depend on the number of instances.

  Args:
    outputs: head name -> channels.
    instances: how often the network is applied (rCNN_2 by default).
    width: channels of its first convolution.
    kernel: of its convolutions.
    dtype: compute dtype; parameters and logits are float32.
  """

  outputs: Mapping[str, int]
  instances: int = 2
  width: int = 25
  kernel: int = 8
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    # Hashable, so that the model may be a static argument of jit.
    object.__setattr__(self, "outputs", FrozenDict(self.outputs))
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32.

    With `train` the earlier instances answer too: 'aux_1', 'aux_2' ... for
    the head 'logits', 'aux_1_NAME' ... for a head of another name.

    Raises:
      UserError: the image is empty.
    """
    layers.check_image(image, self.min_size, "pinheiro")
    size = image.shape[1:3]
    x = resize.pad_to_stride(image, 2**self.instances)
    full = x.shape[1:3]
    total = sum(self.outputs.values())
    network = Instance(
      total, self.width, self.kernel, self.dtype, name="instance"
    )
    scores = jnp.zeros((*x.shape[:3], total), jnp.float32)
    answers = []
    for _ in range(self.instances):
      scores = network(jnp.concatenate([x, scores.astype(x.dtype)], -1))
      x = pooling.avg_pool(x)  # (b, H / 2^i, W / 2^i, c), as the scores
      answers.append(scores)
    out = self._heads(answers[-1], full, size, "")
    if train:
      for i, answer in enumerate(answers[:-1], 1):
        out |= self._heads(answer, full, size, f"aux_{i}")
    return out

  def _heads(self, scores, full, size, aux) -> dict[str, Array]:
    """All channels of one instance at the size of the image, by head."""
    y = resize.crop(resize.resize_bilinear(scores, full), *size)
    out, at = {}, 0
    for name, channels in sorted(self.outputs.items()):
      key = (aux if name == "logits" else f"{aux}_{name}") if aux else name
      out[key] = y[..., at : at + channels]
      at += channels
    return out
