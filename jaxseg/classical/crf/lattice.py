"""Gaussian filtering in many dimensions on the permutohedral lattice, jitted.

Adams, Baek, Davis, "Fast high-dimensional filtering using the permutohedral
lattice" (2010). A point's value is spread over the d + 1 corners of the simplex
it lies in, the corners are blurred along the d + 1 directions of the lattice,
and read again. The cost is linear in the points.

Differs from the paper in what XLA wants. The hash table is filled by all
corners at once, in rounds: whoever finds a free slot enters, whoever finds its
own key there is done, the others try their next slot. Indices have the size of
the worst case (d + 1 new corners for each point); values lie in the smallest of
a few buffers that holds the corners in use, and are blurred in chunks. The
amplitude is that of the Gaussian on points of even density.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxseg.types import Array, UserError

CHUNK = 4096  # corners that are blurred at once
BITS = 10  # per coordinate of a corner; three of them in an int32
SPAN = 2 ** (BITS - 1)  # cells on either side of the middle


class Lattice(NamedTuple):
  """The corners around n points in d dimensions; rows of a table of `rows`.

  corners: int32 (n, d + 1), the row of each corner of a point's simplex.
  weights: float32 (n, d + 1), barycentric, sum 1.
  before, after: int32 (d + 1, rows - 1), the row next to a row along each
    direction; the last row, which stays zero, where there is none.
  count: int32 (), rows in use.
  """

  corners: Array
  weights: Array
  before: Array
  after: Array
  count: Array


def check_extent(extent: float, d: int) -> None:
  """Refuses features whose corners do not fit into their keys.

  Args:
    extent: sum over the dimensions of the feature's range.
    d: number of dimensions.
  """
  limit = 2 * (SPAN - 2) / np.sqrt(2 / 3)
  if extent > limit:
    raise UserError(
      f"the picture spans {extent:.0f} deviations of the {d}-dimensional "
      f"kernel, and the lattice holds {limit:.0f}: choose larger deviations."
    )


def build(features: Array) -> Lattice:
  """The lattice around features float32 (n, d) in units of the deviation.

  They have to be centred: -extent / 2 to extent / 2; see `check_extent`.
  """
  n, d = features.shape
  base, rank, weights = _simplex(features)
  keys = _corner_keys(base, rank)  # (n (d + 1), 2)
  size = n * (d + 1)
  slots = 1 << int(np.ceil(np.log2(2 * size)))
  table, owner = _fill(keys, slots)
  mine = owner == jnp.arange(size)
  row_of = jnp.cumsum(mine) - 1  # of owners
  count = mine.sum()
  rows = -(-size // CHUNK) * CHUNK + 1
  of_row = jnp.zeros(rows, jnp.int32)
  of_row = of_row.at[jnp.where(mine, row_of, rows)].set(
    jnp.arange(size, dtype=jnp.int32), mode="drop"
  )
  corners = row_of[owner].reshape(n, d + 1).astype(jnp.int32)
  before, after = _neighbours(keys, table, row_of, of_row, count, d)
  return Lattice(corners, weights, before, after, count.astype(jnp.int32))


def _simplex(features):
  """Where the points lie.

  Returns:
    base: int32 (n, d + 1), the nearest corner of remainder 0, over d + 1.
    rank: int32 (n, d + 1), the place of each coordinate of the rest, 0 the
      largest.
    weights: (n, d + 1) of the corners of remainders 0 to d.
  """
  d = features.shape[1]
  # An orthogonal basis of the plane of coordinate sum 0; spreading, blurring
  # and reading together then have variance 1.
  basis = np.zeros((d, d + 1))
  for i in range(d):
    basis[i, : i + 1] = 1
    basis[i, i + 1] = -(i + 1)
    basis[i] /= np.sqrt((i + 1) * (i + 2))
  basis *= np.sqrt(2 / 3)  # in units of d + 1
  x = jnp.dot(
    features, jnp.asarray(basis, jnp.float32), precision=lax.Precision.HIGHEST
  )
  base = jnp.round(x)
  surplus = base.sum(1, keepdims=True).astype(jnp.int32)
  rest = x - base
  order = jnp.argsort(-rest, axis=1)
  place = jnp.argsort(order, axis=1).astype(jnp.int32) + surplus
  down, up = place > d, place < 0
  base = base.astype(jnp.int32) - down + up
  rank = place - (d + 1) * down + (d + 1) * up
  rest = x - base
  falling = -jnp.sort(-rest, axis=1)  # by rank
  inner = falling[:, :-1] - falling[:, 1:]  # of remainders d to 1
  outer = 1 + falling[:, -1:] - falling[:, :1]
  return base, rank, jnp.concatenate([outer, inner[:, ::-1]], 1)


def _corner_keys(base, rank):
  """int32 (n (d + 1), 2) that name the corners of remainders 0 to d."""
  d = base.shape[1] - 1
  remainder = jnp.arange(d + 1)
  # In units of d + 1 a corner is base + remainder / (d + 1), one less where
  # the rank is among the last `remainder`.
  cells = base[:, None] - (rank[:, None] > d - remainder[:, None])
  cells = cells.reshape(-1, d + 1)
  return _pack(cells, jnp.tile(remainder, base.shape[0]))


def _pack(cells, remainder):
  """Cells (m, d + 1), whose last follows from the others, to int32 (m, 2)."""
  d = cells.shape[1] - 1
  words = [remainder.astype(jnp.int32), jnp.zeros_like(cells[:, 0])]
  for i in range(d):
    at = int(i >= 2)  # the remainder takes the room of a cell
    words[at] = (words[at] << BITS) + (cells[:, i] + SPAN)
  return jnp.stack(words, 1)


def _unpack(keys, d):
  words = [keys[:, 0], keys[:, 1]]
  cells = [None] * (d + 1)
  for i in reversed(range(d)):
    at = int(i >= 2)
    cells[i] = (words[at] & (2**BITS - 1)) - SPAN
    words[at] = words[at] >> BITS
  remainder = words[0]
  # Coordinates sum to 0: (d + 1) sum of cells + (d + 1) remainder = 0.
  cells[d] = -remainder - sum(cells[:d])
  return jnp.stack(cells, 1), remainder


def _slot(keys, attempt, slots):
  """Where a key looks in its attempt-th try."""
  a, b = (keys[:, i].astype(jnp.uint32) for i in (0, 1))
  mixed = a * jnp.uint32(0x9E3779B1) ^ b * jnp.uint32(0x85EBCA77)
  mixed = (mixed ^ (mixed >> 15)) * jnp.uint32(0x2C1B3C6D)
  mixed ^= mixed >> 13
  step = (mixed >> 7) | jnp.uint32(1)  # odd: reaches all slots
  place = mixed + attempt.astype(jnp.uint32) * step
  return (place & jnp.uint32(slots - 1)).astype(jnp.int32)


def _fill(keys, slots):
  """The table of entries, -1 where free, and each entry's first equal."""
  size = len(keys)
  index = jnp.arange(size, dtype=jnp.int32)

  def attempt(state):
    table, owner, count = state
    slot = _slot(keys, count, slots)
    waits = owner < 0
    enters = waits & (table[slot] < 0)
    table = table.at[jnp.where(enters, slot, slots)].max(index, mode="drop")
    holder = table[slot]
    found = waits & (keys[jnp.maximum(holder, 0)] == keys).all(1)
    return table, jnp.where(found, holder, owner), count + 1

  start = jnp.full(slots, -1, jnp.int32), jnp.full(size, -1, jnp.int32)
  table, owner, _ = lax.while_loop(
    lambda state: (state[1] < 0).any(), attempt, (*start, jnp.int32(0))
  )
  return table, owner


def _find(wanted, keys, table, row_of, none):
  """Rows of the keys `wanted`; `none` where the table lacks them."""

  def attempt(state):
    row, open_, count = state
    holder = table[_slot(wanted, count, len(table))]
    same = (keys[jnp.maximum(holder, 0)] == wanted).all(1) & (holder >= 0)
    row = jnp.where(open_ & same, row_of[holder], row)
    return row, open_ & ~same & (holder >= 0), count + 1

  m = len(wanted)
  start = jnp.full(m, none), jnp.ones(m, bool), jnp.int32(0)
  return lax.while_loop(lambda state: state[1].any(), attempt, start)[0]


def _neighbours(keys, table, row_of, of_row, count, d):
  none = len(of_row) - 1
  row_of = row_of.astype(jnp.int32)

  def chunk(i, found):
    at = i * CHUNK
    members = lax.dynamic_slice(of_row, (at,), (CHUNK,))
    cells, remainder = _unpack(keys[members], d)
    found = list(found)
    for way, sign in enumerate((-1, 1)):
      rows = []
      # A step adds 1 to all coordinates and -(d + 1) to one of them.
      next_ = remainder + sign
      over = jnp.where(next_ > d, 1, jnp.where(next_ < 0, -1, 0))
      for j in range(d + 1):
        step = cells + over[:, None] - sign * (np.arange(d + 1) == j)
        wanted = _pack(step, next_ - (d + 1) * over)
        rows.append(_find(wanted, keys, table, row_of, jnp.int32(none)))
      found[way] = lax.dynamic_update_slice(
        found[way], jnp.stack(rows), (0, at)
      )
    return tuple(found)

  empty = jnp.full((d + 1, none), none, jnp.int32)
  return lax.fori_loop(0, -(-count // CHUNK), chunk, (empty, empty))


@jax.custom_vjp
def blur(lattice: Lattice, values: Array) -> Array:
  """sum_q exp(-|f_p - f_q|^2 / 2) values_q, about; float32 (n, c) -> (n, c).

  Linear in the values; the lattice gets no gradient.
  """
  return _blur(lattice, values, reverse=False)


def _blur(lattice, values, reverse):
  most = lattice.before.shape[1]
  sizes = [n for n in (1 << 14, 1 << 16, 1 << 18) if n < most] + [most]
  ways = [functools.partial(_blur_in, size, reverse) for size in sizes]
  way = (lattice.count > jnp.asarray(sizes[:-1], jnp.int32)).sum()
  return lax.switch(way, ways, lattice, values.astype(jnp.float32))


def _blur_in(size, reverse, lattice, values):
  """With room for `size` corners, a multiple of CHUNK, and a row of zeros."""
  n, d = lattice.corners.shape[0], lattice.corners.shape[1] - 1
  rows = size + 1
  old = jnp.zeros((rows, values.shape[1]), jnp.float32)
  for k in range(d + 1):
    spread = values * lattice.weights[:, k : k + 1]
    old = old.at[lattice.corners[:, k]].add(spread)
  new = jnp.zeros_like(old)
  chunks = -(-lattice.count // CHUNK)
  directions = range(d + 1)
  for j in reversed(directions) if reverse else directions:

    def chunk(i, pair, j=j):
      old, new = pair
      at = i * CHUNK
      before, after = (
        jnp.minimum(lax.dynamic_slice(x, (j, at), (1, CHUNK))[0], size)
        for x in (lattice.before, lattice.after)
      )
      here = lax.dynamic_slice(old, (at, 0), (CHUNK, old.shape[1]))
      mixed = here / 2 + (old[before] + old[after]) / 4
      return old, lax.dynamic_update_slice(new, mixed, (at, 0))

    old, new = lax.fori_loop(0, chunks, chunk, (old, new))
    old, new = new, old
  read = jnp.zeros((n, values.shape[1]), jnp.float32)
  for k in range(d + 1):
    read += old[lattice.corners[:, k]] * lattice.weights[:, k : k + 1]
  # (2 pi)^(d/2), the Gaussian's integral, over the volume of a corner's cell.
  return read * float((4 * np.pi / 3) ** (d / 2) * np.sqrt(d + 1))


def _forward(lattice, values):
  return blur(lattice, values), lattice


def _backward(lattice, gradient):
  def nothing(x):
    if jnp.issubdtype(x.dtype, jnp.floating):
      return jnp.zeros_like(x)
    return np.zeros(x.shape, jax.dtypes.float0)

  return jax.tree.map(nothing, lattice), _blur(lattice, gradient, True)


blur.defvjp(_forward, _backward)
