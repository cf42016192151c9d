"""Pooling: lecture example, the tie rule, agreement with reduce_window."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxseg.ops import pooling

LECTURE = [
  [2, 1, 7, 1, 2, 5],
  [5, 0, 3, 4, 1, 2],
  [1, 7, 8, 3, 3, 0],
  [0, 3, 2, 0, 1, 1],
  [3, 6, 5, 3, 0, 3],
  [3, 6, 0, 2, 1, 0],
]


def plane(array):
  return jnp.asarray(array, jnp.float32)[None, :, :, None]


def test_lecture_example():
  x = plane(LECTURE)
  np.testing.assert_array_equal(
    pooling.max_pool(x, 3)[0, :, :, 0], [[8, 5], [6, 3]]
  )
  np.testing.assert_allclose(
    pooling.avg_pool(x, 3)[0, :, :, 0],
    [[34 / 9, 21 / 9], [28 / 9, 11 / 9]],
    rtol=1e-6,
  )


@pytest.mark.parametrize("window", [2, 3, 4])
def test_ties_go_to_the_first_maximum_in_row_major_order(window):
  """Integers in 0..2: nearly every window holds a tie."""
  rng = np.random.default_rng(window)
  n = 4 * window
  x = rng.integers(0, 3, (2, n, n, 3)).astype(np.float32)
  weight = rng.normal(size=(2, 4, 4, 3)).astype(np.float32)
  got = jax.jit(
    jax.grad(lambda x: jnp.sum(pooling.max_pool(x, window) * weight))
  )(x)
  want = np.zeros_like(x)
  for b, i, j, c in np.ndindex(2, 4, 4, 3):
    rows = slice(i * window, (i + 1) * window)
    cols = slice(j * window, (j + 1) * window)
    first = int(np.argmax(x[b, rows, cols, c]))  # the first one
    di, dj = divmod(first, window)
    want[b, i * window + di, j * window + dj, c] = weight[b, i, j, c]
  np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
  ("window", "stride", "padding"),
  [(2, 2, 0), (3, 2, 1), (2, 1, 0), (4, 2, 1)],
)
def test_equals_reduce_window_with_gradient(window, stride, padding):
  size = (8, 5)
  x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)

  def ours(x):
    y = pooling.max_pool(x, window, stride=stride, padding=padding)
    return jnp.sum(jnp.sin(y)), y

  def linen(x):
    pads = ((padding, padding),) * 2
    y = nn.max_pool(x, (window,) * 2, (stride,) * 2, pads)
    return jnp.sum(jnp.sin(y)), y

  got, want = (jax.jit(jax.grad(f, has_aux=True))(x) for f in (ours, linen))
  np.testing.assert_array_equal(got[1], want[1])
  np.testing.assert_allclose(got[0], want[0], atol=1e-6)


def test_odd_sizes_round_down_or_up():
  x = plane(np.arange(25).reshape(5, 5))
  down = pooling.max_pool(x)[0, :, :, 0]
  np.testing.assert_array_equal(down, [[6, 8], [16, 18]])
  up = pooling.max_pool(x, ceil_mode=True)[0, :, :, 0]
  np.testing.assert_array_equal(up, [[6, 8, 9], [16, 18, 19], [21, 23, 24]])


@pytest.mark.parametrize(
  ("size", "window", "stride", "padding"),
  [((49, 65), 16, 16, 0), ((6, 7), 16, 16, 0), ((7, 8), 3, 2, 1)],
)
def test_averages_of_windows_past_the_end(size, window, stride, padding):
  """By loops: zeros of the padding count, what is beyond them does not."""
  x = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
  got = pooling.avg_pool(
    jnp.asarray(x), window, stride=stride, padding=padding, ceil_mode=True
  )
  padded = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
  counts = [max(-(-(n + 2 * padding - window) // stride), 0) + 1 for n in size]
  assert got.shape == (2, *counts, 3)
  for i, j in np.ndindex(*counts):
    rows = slice(i * stride, i * stride + window)
    cols = slice(j * stride, j * stride + window)
    want = padded[:, rows, cols].mean((1, 2))  # of what is left of it
    np.testing.assert_allclose(got[:, i, j], want, atol=1e-6)


def test_nan_is_passed_on():
  x = np.zeros((1, 2, 8, 1), np.float32)
  for i, (r, c) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
    x[0, r, 2 * i + c] = np.nan
  assert np.isnan(pooling.max_pool(jnp.asarray(x))).all()


def test_forward_and_second_derivatives_exist():
  x = jax.random.normal(jax.random.key(0), (1, 4, 4, 1))
  hess = jax.jit(
    jax.hessian(lambda x: jnp.sum(pooling.max_pool(x.reshape(1, 4, 4, 1)) ** 2))
  )(x.ravel())
  assert np.trace(hess) == pytest.approx(2 * 4)  # y^2 of four winners


def test_window_that_does_not_fit_is_an_error():
  with pytest.raises(ValueError, match="does not fit into 1"):
    pooling.max_pool(jnp.ones((1, 1, 4, 1)))
