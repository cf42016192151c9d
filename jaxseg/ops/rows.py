"""Maps whose rows are spread over devices: what the operations have to know.

XLA's partitioner keeps a split map where it is, and lets neighbours exchange
the rows that a convolution or a pooling reaches for. It gathers the whole map
on every device instead where the reach is longer than a device's rows, where
rows are mixed by a matrix, and in the forms of an operation that are made for
one CPU. While something is traced with `PARTS` above 1, the operations take
forms that it keeps local; results are the same to rounding.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array
# Over how many devices the rows of every map are spread. Part of jit's cache.
PARTS = jax.make_user_context(1)


def split() -> bool:
  """Whether rows are spread over devices in what is being traced."""
  return PARTS.value > 1


def shifted(x: Array, offset: int) -> Array:
  """Row r of the result is row r + offset of x (b, h, ...), or zeros.

  One pad with a negative end: the partitioner makes it one or two
  collective-permutes, however far; a slice and a concatenation, the same
  thing to read, become all-to-alls.
  """
  if not offset:
    return x
  ends = [(0, 0, 0)] * x.ndim
  ends[1] = (-offset, offset, 0)
  return lax.pad(x, jnp.zeros((), x.dtype), ends)


def extended(x: Array, more: int) -> Array:
  """`more` rows behind the last of x (b, h, ...), equal to it.

  As jnp.pad(mode='edge'), whose concatenation becomes all-to-alls; here the
  last row alone goes to all devices.
  """
  if not more:
    return x
  h = x.shape[1]
  ends = [(0, 0, 0)] * x.ndim
  ends[1] = (0, more, 0)
  longer = lax.pad(x, jnp.zeros((), x.dtype), ends)
  row = lax.broadcasted_iota(jnp.int32, longer.shape, 1)
  return jnp.where(row < h, longer, x[:, h - 1 :])
