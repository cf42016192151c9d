"""Strips of an enlarged map: together they are the map, whatever the sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.ops import grown, resize
from tests import quick

# small, size, crop, aligned corners
CASES = [
  ((5, 7), (33, 49), (33, 49), True),
  ((5, 7), (33, 49), (30, 41), True),
  ((4, 6), (32, 48), (29, 48), False),
  ((3, 4), (10, 17), (10, 17), False),
  ((1, 1), (7, 5), (7, 5), True),
  ((1, 2), (9, 9), (8, 9), False),
  ((9, 8), (9, 31), (9, 30), True),
  ((12, 9), (7, 5), (7, 4), False),  # it may shrink, too
]


def make(case, channels=3, seed=0):
  small, *rest = case
  x = np.random.default_rng(seed).normal(size=(2, *small, channels))
  return grown.Grown(jnp.asarray(x, jnp.float32), *rest)


@pytest.mark.parametrize("rows", [1, 4, 100])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_strips_put_together_are_the_map(case, rows):
  """Each pixel is written down where a map of places says that it belongs."""
  x = make(case)
  h, w = x.crop
  place = jnp.broadcast_to(jnp.arange(h * w).reshape(h, w), (2, h, w))

  def write(strip, at):
    at = jnp.where(at < 0, h * w, at)  # rows below the last: nowhere
    index = jnp.arange(2)[:, None, None]
    zeros = jnp.zeros((2, h * w, strip.shape[-1]))
    return zeros.at[index, at].add(strip, mode="drop")

  @quick.jit
  def both(x):
    return grown.total(write, x, place, rows=rows), x.whole()

  got, want = both(x)
  assert want.shape == x.shape == (2, h, w, 3)
  np.testing.assert_allclose(
    got.reshape(want.shape), want, rtol=1e-6, atol=1e-6
  )
  same = resize.resize_bilinear(x.small, x.size, align_corners=x.align_corners)
  np.testing.assert_array_equal(want, same[:, :h, :w])


def test_strips_are_of_the_size_that_is_asked_for():
  big = jax.ShapeDtypeStruct((4, 129, 129, 21), jnp.float32)
  how = grown.plan(grown.Grown(big, (513, 513), (513, 513), True))
  assert 0.5 < 4 * how.rows * 513 * 21 / grown.STRIP < 1.5
  assert len(how.first) * how.rows >= 513 > (len(how.first) - 1) * how.rows
  assert how.weights.shape[-1] <= how.rows / 4 + 2
  huge = jax.ShapeDtypeStruct((16, 256, 512, 19), jnp.float32)
  how = grown.plan(grown.Grown(huge, (1024, 2048), (1024, 2048)))
  assert len(how.first) == grown.MOST
  little = make(CASES[0])
  assert len(grown.plan(little).first) == 1


def test_no_map_of_the_size_of_the_image_is_made():
  """Neither by a sum over strips nor by its gradient: memory of the program."""
  x = grown.Grown(jnp.ones((2, 65, 65, 16)), (513, 513), (513, 513), True)

  def temporary(f):
    gradient = jax.jit(jax.grad(lambda s: f(s).sum()))
    return gradient.lower(x.small).compile().memory_analysis()

  def squares(s):
    return jnp.sum(jax.nn.softmax(s) ** 2, (0, 1, 2))

  def again(small):
    return grown.Grown(small, x.size, x.crop, True)

  full = temporary(lambda s: squares(again(s).whole()))
  strips = temporary(lambda s: grown.total(squares, again(s), rows=16))
  one = 2 * 513 * 513 * 16 * 4
  assert full.temp_size_in_bytes > one
  assert strips.temp_size_in_bytes < one / 4
