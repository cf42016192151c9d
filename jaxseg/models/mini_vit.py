"""mViT, the transformer of AdaBins (Bhat, Alhashim, Wonka 2020,
arXiv:2011.14141): patches of a map attend to each other; the first says how
wide the bins of the image are, the next ones weigh its channels.

Differs from the paper in how positions are made to fit. There is a learned
vector for each of the first 500 patches in reading order, and 1 + 128 patches
have to be there, so the paper's maps have 129 to 500 of them. A map with more
or fewer is resized for the transformer alone, to about as many as are allowed
and with about its proportions; one within the limits is left as it is.
"""

from __future__ import annotations

import math

import jax
from flax import linen as nn

from jaxseg import layers, types
from jaxseg.ops import resize

Array = jax.Array
Size = tuple[int, int]


def fit_grid(size: Size, patch: int, least: int, most: int) -> Size:
  """(rows, columns) of patches for a map: as many as fit, if that is allowed.

  Args:
    size: (h, w) of the map.
    patch: pixels a side.
    least: patches, at least one.
    most: patches, more than twice `least`.

  Returns:
    rows * columns within [least, most]; (h // patch, w // patch) if that is.
  """
  rows, cols = (max(n // patch, 1) for n in size)
  if rows * cols < least:
    factor = math.sqrt(least / (rows * cols))
    # A strip of one row becomes two rows, `least` patches more: `most` is
    # more than twice as many.
    return math.ceil(rows * factor), math.ceil(cols * factor)
  if rows * cols > most:
    factor = math.sqrt(most / (rows * cols))
    rows = max(math.floor(rows * factor), 1)
    cols = max(math.floor(cols * factor), 1)
    return min(rows, most), min(cols, most)
  return rows, cols


class TransformerLayer(nn.Module):
  """Self-attention and two dense layers, each added, then normalised.

  As in Vaswani et al. (2017, arXiv:1706.03762) and torch's
  TransformerEncoderLayer.

  Args:
    heads: of the attention; they divide the channels.
    hidden: channels between the dense layers.
    dropout: rate: of the attention's weights, between the dense layers, and
      of what is added.
    dtype: compute dtype.
  """

  heads: int = 4
  hidden: int = 1024
  dropout: float = 0.1
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> Array:
    """(b, n, c) -> (b, n, c)."""
    y = nn.MultiHeadDotProductAttention(
      self.heads,
      dtype=self.dtype,
      dropout_rate=self.dropout,
      broadcast_dropout=False,
      deterministic=not train,
      name="attention",
    )(x, x)
    x = self._add(x, y, train, 1)
    y = nn.relu(nn.Dense(self.hidden, dtype=self.dtype, name="dense1")(x))
    y = self._drop(y, train, "drop")
    y = nn.Dense(x.shape[-1], dtype=self.dtype, name="dense2")(y)
    return self._add(x, y, train, 2)

  def _add(self, x: Array, y: Array, train: bool, i: int) -> Array:
    x = x + self._drop(y, train, f"drop{i}")
    return nn.LayerNorm(1e-5, dtype=self.dtype, name=f"norm{i}")(x)

  def _drop(self, x: Array, train: bool, name: str) -> Array:
    return nn.Dropout(self.dropout, deterministic=not train, name=name)(x)


class MiniViT(nn.Module):
  """Map -> what the patches say after attending to each other.

  Args:
    features: channels of a patch.
    queries: patches that are answered, beside the first.
    patch: pixels a side.
    depth: transformer layers.
    heads, hidden, dropout: of each layer.
    positions: learned vectors, one per patch.
    dtype: compute dtype.

  Raises:
    UserError: fewer positions than two maps of the fewest patches have.
  """

  features: int = 128
  queries: int = 128
  patch: int = 16
  depth: int = 4
  heads: int = 4
  hidden: int = 1024
  dropout: float = 0.1
  positions: int = 500
  dtype: str = "float32"

  @nn.compact
  def __call__(self, x: Array, *, train: bool) -> tuple[Array, Array]:
    """(b, h, w, c) -> (b, features), (b, queries, features)."""
    least = 1 + self.queries
    if self.positions < 2 * least + 2:
      raise types.UserError(
        f"positions={self.positions} of model 'adabins' are too few for "
        f"queries={self.queries}: expected at least {2 * least + 2}."
      )
    if self.features % self.heads:
      raise types.UserError(
        f"heads={self.heads} of model 'adabins' do not divide embed="
        f"{self.features}: choose a divisor."
      )
    grid = fit_grid(x.shape[1:3], self.patch, least, self.positions)
    if grid != tuple(n // self.patch for n in x.shape[1:3]):
      x = resize.resize_bilinear(x, tuple(n * self.patch for n in grid))
    x = layers.Conv(
      self.features,
      self.patch,
      stride=self.patch,
      padding="valid",
      dtype=self.dtype,
      name="patches",
    )(x)
    x = x.reshape(x.shape[0], -1, self.features)  # (b, rows * cols, c)
    shape = (self.positions, self.features)
    places = self.param("positions", nn.initializers.uniform(1.0), shape)
    x = x + places[: x.shape[1]].astype(x.dtype)
    for i in range(self.depth):
      x = TransformerLayer(
        self.heads, self.hidden, self.dropout, self.dtype, name=f"layer{i}"
      )(x, train=train)
    return x[:, 0], x[:, 1:least]
