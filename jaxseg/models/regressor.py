"""An encoder and a vector: direct regression of a few numbers per image.

The head of DeepPose (Toshev and Szegedy 2013, arXiv:1312.4659), which reads
all coordinates off one vector. Differs from the paper: any encoder, a grid of
averages in place of a fixed image size, one hidden layer in place of two of
4096, normalised before its ReLU, no cascade. Without the normalisation Adam
ends it: all inputs of the layer are positive, so that one step of rate 1e-3
moves every sum of 8192 of them by several units the same way, and after twenty
steps no unit is positive for any image.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg import layers
from jaxseg.models import backbone
from jaxseg.ops import pooling, resize

Array = jax.Array


class Regressor(nn.Module):
  """Encoder, averages over a grid, flattened, dense layers.

  The vector is the same at every pixel of the output, so that tasks and
  inference need not know that this network is none of maps; it costs nothing,
  since it is never written out when a task takes the mean.

  Args:
    outputs: head name -> numbers per image.
    encoder: a module of ENCODERS; its last map is read.
    grid: cells a side that the map is averaged over; 1 is global pooling,
      which forgets where things are.
    hidden: of the layer between; 0: none.
    norm: of the layer between: 'batch', 'group' or 'none'.
    dtype: compute dtype of the encoder; the head is float32.
  """

  outputs: Mapping[str, int]
  encoder: nn.Module
  grid: int = 4
  hidden: int = 256
  norm: str = "batch"
  dtype: str = "float32"

  min_size = 1

  def __post_init__(self):
    backbone.settle(self, "regressor", 32)
    super().__post_init__()

  @nn.compact
  def __call__(self, image: Array, *, train: bool) -> dict[str, Array]:
    """(b, h, w, c) in [0, 1] -> {head: (b, h, w, numbers)} float32."""
    layers.check_image(image, self.min_size, "regressor")
    x = self.encoder(resize.pad_to_stride(image, 32), train=train)["c5"]
    # Small images: a pixel of the map may stand for several cells.
    size = tuple(max(n, self.grid) for n in x.shape[1:3])
    x = resize.resize_nearest(x.astype(jnp.float32), size)
    x = pooling.adaptive_avg_pool(x, self.grid)
    x = x.reshape(x.shape[0], 1, 1, -1)  # (b, 1, 1, grid^2 c)
    if self.hidden:
      x = nn.Dense(
        self.hidden,
        use_bias=self.norm == "none",
        kernel_init=layers.he_normal,
        name="hidden",
      )(x)
      x = layers.normalize(
        x, self.norm, train=train, dtype="float32", name="norm"
      )
      x = nn.relu(x)
    out = {}
    for name, numbers in sorted(self.outputs.items()):
      y = nn.Dense(numbers, name=f"head_{name}")(x)  # (b, 1, 1, numbers)
      out[name] = jnp.broadcast_to(y, (*image.shape[:3], numbers))
    return out
