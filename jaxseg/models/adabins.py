"""AdaBins (Bhat, Alhashim, Wonka 2020, arXiv:2011.14141).

EfficientNet-B5, a decoder that joins four of its maps up to half the size of
the image, and a small transformer on what comes out: it gives the widths of
the bins, one vector per image, and the channels with which the logits of the
bins are made at every pixel. With the task depth_adaptive.

Differs from the paper: any encoder; logits are brought to the size of the
image unless `coarse` (the paper enlarges the metres, as the task does with
`coarse`); see `mini_vit` for images of any size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers
from jaxseg.models import backbone, mini_vit
from jaxseg.ops import resize

Array = jax.Array


class Decoder(nn.Module):
  """1x1 on the last map, four joins, 3x3; corners aligned.

  Args:
    width: channels of the 1x1; each join has half of those before.
    features: output channels.
    dtype: compute dtype.
  """

  width: int = 2048
  features: int = 128
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array, skips: Sequence[Array], *, train: bool) -> Array:
    """(b, h / 32, w / 32, c), maps deepest first -> as the last of them."""
    x = layers.Conv(self.width, 1, dtype=self.dtype, name="first")(x)
    for i, skip in enumerate(skips, 1):
      x = resize.resize_bilinear(x, skip.shape[1:3], align_corners=True)
      x = jnp.concatenate([x, skip.astype(x.dtype)], -1)
      for j in (1, 2):
        x = layers.ConvNormAct(
          max(self.width >> i, 1),
          use_bias=True,
          act="leaky_relu",
          dtype=self.dtype,
          name=f"up{i}_conv{j}",
        )(x, train=train)
    return layers.Conv(self.features, dtype=self.dtype, name="last")(x)


class AdaBins(nn.Module):
  """Encoder, decoder, transformer; any image size.

  78,257,328 parameters with 256 bins.

  Args:
    outputs: head name -> channels.
    encoder: a module of ENCODERS with maps c1 to c5. One that has a last 1x1
      convolution before its classifier (EfficientNet) gets it.
    per_image: heads that are one vector per image, read off the transformer.
    width: channels of the decoder's first convolution.
    embed: channels of the decoder's map and of the transformer.
    queries: channels that the logits are made of.
    patch, depth, heads, hidden, positions: of the transformer.
    regressor_width: of the two hidden layers of a head per image.
    dropout: rate in the transformer.
    coarse: heads at half the size of the image, rounded up.
    dtype: compute dtype; parameters and outputs are float32.
  """

  outputs: Mapping[str, int]
  encoder: nn.Module
  per_image: Sequence[str] = ("widths",)
  width: int = 2048
  embed: int = 128
  queries: int = 128
  patch: int = 16
  depth: int = 4
  heads: int = 4
  hidden: int = 1024
  positions: int = 500
  regressor_width: int = 256
  dropout: float = 0.1
  coarse: bool = False
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    object.__setattr__(self, "per_image", tuple(self.per_image))
    backbone.settle(self, "adabins", 32)
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, channels)} float32.

    Heads of `per_image` are (b, 1, 1, channels).

    Raises:
      UserError: the image is empty.
    """
    layers.check_image(image, self.min_size, "adabins")
    maps = self.encoder(image, train=train)
    x = Decoder(self.width, self.embed, self.dtype, name="decoder")(
      self._top(maps["c5"], train),
      [maps[f"c{level}"] for level in (4, 3, 2, 1)],
      train=train,
    )  # (b, h / 2, w / 2, embed)
    first, queries = mini_vit.MiniViT(
      self.embed,
      self.queries,
      self.patch,
      self.depth,
      self.heads,
      self.hidden,
      self.dropout,
      self.positions,
      self.dtype,
      name="transformer",
    )(x, train=train)
    x = layers.Conv(self.embed, dtype=self.dtype, name="keys")(x)
    # The paper's range-attention maps.
    x = jnp.einsum("bhwc,bqc->bhwq", x, queries)
    per_pixel = {
      k: n for k, n in self.outputs.items() if k not in self.per_image
    }
    out = layers.heads(x, per_pixel)
    if not self.coarse:
      out = backbone.grown(out, image.shape[1:3], align_corners=True)
    for name in sorted(set(self.outputs) - set(per_pixel)):
      out[name] = self._regress(first, name)[:, None, None]
    return out

  def _top(self, x: Array, train: bool) -> Array:
    """The encoder's last map behind the convolution of its classifier."""
    encoder = self.encoder
    features = getattr(encoder, "head_features", 0)
    if not features:
      return x
    return layers.ConvNormAct(
      features,
      1,
      act=encoder.act,
      frozen=encoder.frozen_norm,
      momentum=encoder.momentum,
      epsilon=encoder.epsilon,
      dtype=self.dtype,
      name="head",
    )(x, train=train)

  def _regress(self, x: Array, name: str) -> Array:
    """(b, embed) -> (b, channels) float32."""
    x = x.astype(jnp.float32)
    for i in (1, 2):
      x = nn.Dense(
        self.regressor_width,
        kernel_init=layers.he_normal,
        name=f"{name}_dense{i}",
      )(x)
      x = nn.leaky_relu(x)
    return nn.Dense(self.outputs[name], name=f"{name}_out")(x)
