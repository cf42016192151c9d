"""Unpooling: lecture examples, indices by brute force, gradients, odd sizes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.ops import conv, pooling, unpool


def plane(array):
  return jnp.asarray(array, jnp.float32)[None, :, :, None]


def flat(x):
  return np.asarray(x)[0, :, :, 0]


def brute_force(x, k, s, p, rows, cols):
  """Values and indices of the first maxima, window by window."""
  b, h, w, c = x.shape
  values = np.zeros((b, rows, cols, c), x.dtype)
  indices = np.zeros((b, rows, cols, c), np.int32)
  for n, i, j, m in np.ndindex(values.shape):
    best = None
    for r in range(max(i * s - p, 0), min(i * s - p + k, h)):
      for q in range(max(j * s - p, 0), min(j * s - p + k, w)):
        if best is None or x[n, r, q, m] > x[n, *best, m]:
          best = (r, q)
    values[n, i, j, m] = x[n, *best, m]
    indices[n, i, j, m] = best[0] * w + best[1]
  return values, indices


def test_lecture_examples():
  small = plane([[1, 2], [3, 4]])
  np.testing.assert_array_equal(
    flat(unpool.nearest_unpool(small)),
    [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]],
  )
  np.testing.assert_array_equal(
    flat(unpool.bed_of_nails(small)),
    [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]],
  )
  x = plane([[1, 2, 6, 3], [3, 5, 2, 1], [1, 2, 2, 1], [7, 3, 4, 8]])

  @jax.jit
  def run(x, small):
    values, indices = unpool.max_pool_with_indices(x)
    back = [unpool.max_unpool(v, indices, (4, 4)) for v in (small, values)]
    return values, indices, back

  values, indices, (other, back) = run(x, small)
  np.testing.assert_array_equal(flat(values), [[5, 6], [7, 8]])
  # (1, 1), (0, 2), (3, 0), (3, 3) of four columns.
  np.testing.assert_array_equal(flat(indices), [[5, 2], [12, 15]])
  np.testing.assert_array_equal(
    flat(other), [[0, 0, 2, 0], [0, 1, 0, 0], [0, 0, 0, 0], [3, 0, 0, 4]]
  )
  # The pooled values themselves return to their places.
  kept = np.isin(flat(x), [5, 6, 7, 8])
  np.testing.assert_array_equal(flat(back), np.where(kept, flat(x), 0))


@pytest.mark.parametrize(
  ("k", "s", "p", "ceil", "size"),
  [
    (2, 2, 0, True, (7, 10)),
    (2, 2, 0, False, (7, 10)),
    (3, 3, 1, False, (8, 9)),
    (2, 3, 0, True, (8, 7)),
    (3, 2, 1, False, (7, 6)),
  ],
)
def test_indices_and_both_unpoolings(k, s, p, ceil, size):
  """Integers of few values: most windows hold a tie."""
  rng = np.random.default_rng(k + s)
  x = rng.integers(1, 4, (2, *size, 2)).astype(np.float32)
  options = {"stride": s, "padding": p, "ceil_mode": ceil}

  @jax.jit
  def run(x):
    values, indices = unpool.max_pool_with_indices(x, k, **options)
    back = unpool.max_unpool(values, indices, size, stride=None)
    fast = None
    if k <= s:  # windows that do not overlap
      fast = unpool.max_unpool(values, indices, size, stride=s, padding=p)
    return values, indices, pooling.max_pool(x, k, **options), back, fast

  values, indices, plain, back, fast = run(x)
  want = brute_force(x, k, s, p, *values.shape[1:3])
  np.testing.assert_array_equal(values, plain)
  np.testing.assert_array_equal(values, want[0])
  np.testing.assert_array_equal(indices, want[1])
  scattered = np.zeros_like(x)
  for n, i, j, m in np.ndindex(values.shape):
    r, q = divmod(int(indices[n, i, j, m]), size[1])
    scattered[n, r, q, m] = values[n, i, j, m]
  np.testing.assert_array_equal(back, scattered)
  if fast is not None:
    np.testing.assert_array_equal(fast, scattered)


def test_pooling_what_was_unpooled_gives_it_back():
  """The sizes of SegNet: 45 x 60 -> 23 x 30 -> 12 x 15, and back."""
  x = np.random.default_rng(0).random((1, 45, 60, 2), np.float32) + 0.1
  pool = functools.partial(unpool.max_pool_with_indices, ceil_mode=True)

  @jax.jit
  def run(x):
    a, first = pool(x)
    b, second = pool(a)
    up = unpool.max_unpool(b, second, a.shape[1:3])
    full = unpool.max_unpool(up, first, x.shape[1:3])
    return a, b, up, full, pool(full)[0], pool(up)[0]

  a, b, up, full, again, coarse = run(x)
  assert (a.shape, b.shape) == ((1, 23, 30, 2), (1, 12, 15, 2))
  assert (up.shape, full.shape) == (a.shape, x.shape)
  np.testing.assert_array_equal(again, up)
  np.testing.assert_array_equal(coarse, b)
  kept = np.asarray(full) != 0
  assert kept.sum() == b.size
  np.testing.assert_array_equal(np.asarray(full)[kept], x[kept])


def test_gradient_goes_through_the_maxima_only():
  x, weight = np.random.default_rng(0).normal(size=(2, 1, 5, 6, 3))
  x, weight = x.astype(np.float32), weight.astype(np.float32)

  def run(x, stride):
    values, indices = unpool.max_pool_with_indices(x, ceil_mode=True)
    y = unpool.max_unpool(values, indices, (5, 6), stride=stride)
    return jnp.sum(y * weight), y

  grad, y = jax.jit(jax.grad(lambda x: run(x, 2), has_aux=True))(x)
  slow, _ = jax.jit(jax.grad(lambda x: run(x, None), has_aux=True))(x)
  np.testing.assert_array_equal(grad, np.where(np.asarray(y) != 0, weight, 0))
  np.testing.assert_array_equal(grad, slow)


def test_convolution_fills_what_unpooling_left_empty():
  """DeconvNet's pair: a quarter of the pixels hold a value, then nearly all."""
  x, kernel = (
    np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for shape in ((1, 32, 32, 4), (3, 3, 4, 4))
  )

  @jax.jit
  def run(x):
    values, indices = unpool.max_pool_with_indices(x)
    sparse = unpool.max_unpool(values, indices, (32, 32))
    return sparse, conv.conv_transpose(sparse, kernel, stride=1, padding=1)

  sparse, dense = (np.asarray(y) for y in run(x))
  assert sparse.shape == dense.shape
  assert np.mean(sparse != 0) == 0.25
  assert np.mean(dense != 0) > 0.9


def test_strange_values():
  # A window of -inf and padding points at a pixel of the image.
  x = jnp.full((1, 3, 3, 1), -jnp.inf)
  pool = jax.jit(unpool.max_pool_with_indices, static_argnames="padding")
  values, indices = pool(x, padding=1)
  assert np.isneginf(values).all()
  np.testing.assert_array_equal(flat(indices), [[0, 1], [3, 4]])
  x = plane([[1, 2], [jnp.nan, 3]])
  values, indices = pool(x)
  assert np.isnan(values).all()
  assert indices.item() == 2
  # An index of another window is dropped.
  y = unpool.max_unpool(plane([[5, 6]]), jnp.array([[[[3], [3]]]]), (2, 4))
  np.testing.assert_array_equal(flat(y), [[0, 0, 0, 6], [0, 0, 0, 0]])


def test_mistakes_are_named():
  x, indices = jnp.ones((1, 2, 2, 1)), jnp.zeros((1, 2, 2, 1), jnp.int32)
  with pytest.raises(ValueError, match="one index per value"):
    unpool.max_unpool(x, indices[:, :1], (4, 4))
  for size in ((2, 4), (4, 6)):  # pooled to 1 and to 3, not to 2
    with pytest.raises(ValueError, match="cannot give"):
      unpool.max_unpool(x, indices, size)
