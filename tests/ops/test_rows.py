"""Forms for split rows: on one device they compute what the others compute."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.ops import conv, resize, rows
from tests import quick

RNG = np.random.default_rng(0)


def split(function, parts=4):
  """The function as it is traced where rows are spread over `parts`."""

  def call(*args):
    with rows.PARTS(parts):
      return function(*args)

  return call


def draw(*shape):
  return RNG.normal(size=shape).astype(np.float32)


def test_shifted_moves_rows_and_brings_zeros():
  x = draw(2, 5, 3, 1)
  for offset in range(-6, 7):
    want = np.zeros_like(x)
    for r in range(5):
      if 0 <= r + offset < 5:
        want[:, r] = x[:, r + offset]
    np.testing.assert_array_equal(rows.shifted(jnp.asarray(x), offset), want)


@pytest.mark.parametrize(
  ("rate", "groups"), [(1, 1), (3, 1), (5, 6), (9, 1), (2, 2), (9, 6)]
)
def test_convolution_and_its_gradients(rate, groups):
  """8 rows over 4: rate 3 is a device too far, of rate 9 the middle is left."""
  x, kernel = draw(2, 8, 5, 6), draw(3, 3, 6 // groups, 6)
  weights = draw(2, 8, 5, 6)

  def run(x, kernel):
    y = conv.conv2d(x, kernel, padding=rate, dilation=rate, groups=groups)
    return (y * weights).sum(), y

  whole = jax.value_and_grad(run, (0, 1), has_aux=True)
  a = quick.jit(whole)(x, kernel)
  b = quick.jit(split(whole))(x, kernel)
  jax.tree.map(lambda p, q: np.testing.assert_allclose(p, q, atol=2e-5), a, b)
  if rate == 9:
    np.testing.assert_array_equal(b[1][1][::2], 0)


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_growth(factor, align):
  x = draw(2, 5, 4, 3)
  size = (5 * factor, 4 * factor)

  def grow(x):
    return resize.resize_bilinear(x, size, align_corners=align)

  np.testing.assert_allclose(
    quick.jit(split(grow))(x), quick.jit(grow)(x), atol=1e-6
  )


@pytest.mark.parametrize("factor", [2, 3])
def test_shrinking(factor):
  x = draw(2, 4 * factor, 6, 3)

  def shrink(x):
    return resize.resize_bilinear(x, (4, 3))

  np.testing.assert_allclose(
    quick.jit(split(shrink))(x), quick.jit(shrink)(x), atol=1e-6
  )


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [((1, 1), (1, 1)), ((0, 1), (1, 0)), 0])
def test_depthwise_with_strides(stride, padding):
  x, kernel = draw(2, 8, 6, 4), draw(3, 3, 1, 4)

  def run(x, kernel):
    y = conv.conv2d(x, kernel, stride=stride, padding=padding, groups=4)
    return (y**2).sum(), y

  whole = jax.value_and_grad(run, (0, 1), has_aux=True)
  a, b = (quick.jit(f)(x, kernel) for f in (whole, split(whole)))
  jax.tree.map(
    lambda p, q: np.testing.assert_allclose(p, q, rtol=1e-5, atol=2e-5), a, b
  )


@pytest.mark.parametrize(("n", "m"), [(1, 5), (2, 5), (5, 17), (17, 65)])
def test_corners_grow_by_shifts_as_by_a_matrix(n, m):
  x = np.random.default_rng(n).normal(size=(2, n, 3, 4)).astype(np.float32)
  weights = np.random.default_rng(m).normal(size=(2, m, 9, 4))

  def loss(x):
    y = resize.resize_bilinear(x, (m, 9), align_corners=True)
    return (y * weights).sum(), y

  both = (quick.jit(jax.grad(split(loss, n), has_aux=True)) for n in (1, 4))
  for a, b in zip(*(grad(x) for grad in both)):
    np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.parametrize(("h", "stride"), [(5, 4), (8, 4), (13, 16), (1, 2)])
def test_rows_are_repeated_as_numpy_does(h, stride):
  x = np.random.default_rng(h).normal(size=(2, h, 3, 4)).astype(np.float32)
  ends = ((0, 0), (0, -h % stride), (0, -3 % stride), (0, 0))
  got = quick.jit(split(lambda x: resize.pad_to_stride(x, stride)))(x)
  np.testing.assert_array_equal(got, np.pad(x, ends, mode="edge"))
