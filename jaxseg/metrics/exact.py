"""Running sums that stay exact without 64-bit numbers on the device.

`Counts` holds whole numbers up to 2^48 in two uint32 limbs of base 2^16. The
low limb is normalised after every update and has 16 bits of headroom, so up to
65,536 states may be merged by plain addition. `Sums` holds floats as a sum
and the rounding error that it left behind (Knuth's two-sum), about 48 bits.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
_BITS = 16
_LOW = (1 << _BITS) - 1


class Counts(NamedTuple):
  """Whole numbers low + 2^16 high, two uint32 arrays of one shape."""

  low: Array
  high: Array


def zero_counts(shape: tuple[int, ...]) -> Counts:
  """All zero."""
  return Counts(jnp.zeros(shape, jnp.uint32), jnp.zeros(shape, jnp.uint32))


def add_counts(state: Counts, counts: Array) -> Counts:
  """state + counts, non-negative int32 or uint32; runs under jit."""
  counts = counts.astype(jnp.uint32)
  low = state.low + (counts & _LOW)
  return Counts(low & _LOW, state.high + (counts >> _BITS) + (low >> _BITS))


def read_counts(state: Counts) -> np.ndarray:
  """int64 array of the exact numbers, on the host."""
  low, high = (np.asarray(x).astype(np.int64) for x in state)
  return low + (high << _BITS)


class Sums(NamedTuple):
  """Floats total + rest, two float32 arrays of one shape."""

  total: Array
  rest: Array


def zero_sums(shape: tuple[int, ...]) -> Sums:
  """All zero."""
  return Sums(jnp.zeros(shape, jnp.float32), jnp.zeros(shape, jnp.float32))


def add_sums(state: Sums, values: Array) -> Sums:
  """state + values with the rounding error kept; runs under jit."""
  values = values.astype(jnp.float32)
  total = state.total + values
  # Knuth: exact error of the sum above, whichever of the two is larger.
  part = total - state.total
  error = (state.total - (total - part)) + (values - part)
  return Sums(total, state.rest + error)


def read_sums(state: Sums) -> np.ndarray:
  """float64 array, on the host."""
  total, rest = (np.asarray(x).astype(np.float64) for x in state)
  return total + rest
