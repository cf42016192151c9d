"""Transposed convolution: goldens, four equal views, gradients, bilinear."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax import lax

from jaxseg.ops import conv, fastconv, resize
from tests import quick


def stamp(array):
  """A painted 2-D stamp as a one-channel kernel (correlated: flipped)."""
  return np.asarray(array, np.float32)[::-1, ::-1, None, None]


def plane(array):
  return np.asarray(array, np.float32)[None, :, :, None]


@functools.partial(
  jax.jit, static_argnames=("stride", "padding", "output_padding")
)
def transposed(x, kernel, **options):
  return conv.conv_transpose(x, kernel, **options)


def normal(*shapes):
  rng = np.random.default_rng(0)
  arrays = [rng.normal(size=s).astype(np.float32) for s in shapes]
  return arrays if len(arrays) > 1 else arrays[0]


D2L = [[0, 1], [2, 3]]


@pytest.mark.parametrize(
  ("options", "want"),
  [
    ({"stride": 1}, [[0, 0, 1], [0, 4, 6], [4, 12, 9]]),
    (
      {"stride": 2},
      [[0, 0, 0, 1], [0, 0, 2, 3], [0, 2, 0, 3], [4, 6, 6, 9]],
    ),
    ({"stride": 1, "padding": 1}, [[4]]),
  ],
)
def test_dive_into_deep_learning(options, want):
  got = transposed(plane(D2L), stamp(D2L), **options)
  np.testing.assert_array_equal(got[0, :, :, 0], want)


def test_is_not_the_inverse_of_the_convolution():
  image = [
    [3, 3, 2, 1, 0],
    [0, 0, 1, 3, 1],
    [3, 1, 2, 2, 3],
    [2, 0, 0, 2, 2],
    [2, 0, 0, 0, 1],
  ]
  kernel = jnp.asarray([[0, 1, 2], [2, 2, 0], [0, 1, 2]], jnp.float32)
  small = lax.conv_general_dilated(
    plane(image),
    kernel[:, :, None, None],
    (1, 1),
    "VALID",
    dimension_numbers=fastconv.DIMENSIONS,
  )
  np.testing.assert_array_equal(
    small[0, :, :, 0], [[12, 12, 17], [10, 17, 19], [9, 6, 14]]
  )
  back = transposed(small, stamp(kernel), stride=1)
  np.testing.assert_array_equal(
    back[0, :, :, 0],
    [
      [0, 12, 36, 41, 34],
      [24, 58, 95, 87, 38],
      [20, 75, 132, 105, 62],
      [18, 40, 77, 81, 38],
      [0, 9, 24, 26, 28],
    ],
  )


def painted(x, kernel, s):
  """Paint-and-sum in NumPy: the definition."""
  b, h, w, _ = x.shape
  kh, kw, _, co = kernel.shape
  out = np.zeros((b, (h - 1) * s + kh, (w - 1) * s + kw, co))
  for i, j in itertools.product(range(h), range(w)):
    mark = np.einsum("bi,klio->bklo", x[:, i, j], kernel[::-1, ::-1])
    out[:, i * s : i * s + kh, j * s : j * s + kw] += mark
  return out


@pytest.mark.parametrize("s", [1, 2, 3])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_four_views_agree(k, s):
  rng = np.random.default_rng(10 * k + s)
  x = rng.normal(size=(2, 3, 4, 2)).astype(np.float32)
  kernel = rng.normal(size=(k, k, 2, 3)).astype(np.float32)
  fast = transposed(x, kernel, stride=s)
  want = painted(x, kernel, s)
  np.testing.assert_allclose(fast, want, atol=1e-5)

  @quick.jit
  def views(x, kernel):
    inserted = lax.conv_general_dilated(
      x,
      kernel,
      (1, 1),
      [(k - 1, k - 1)] * 2,
      lhs_dilation=(s, s),
      dimension_numbers=fastconv.DIMENSIONS,
    )

    def forward(y):  # the convolution that this is the transpose of
      w = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
      return lax.conv_general_dilated(
        y, w, (s, s), "VALID", dimension_numbers=fastconv.DIMENSIONS
      )

    zero = jnp.zeros(want.shape, jnp.float32)
    back = jax.vjp(forward, zero)[1](x)[0]
    # The matrix W of the convolution of one image, and its transpose.
    matrix = jax.jacfwd(lambda y: forward(y)[0].ravel())(zero[:1])
    product = matrix.reshape(x[0].size, -1).T @ x[0].ravel()
    return inserted, back, product

  inserted, back, product = views(x, kernel)
  np.testing.assert_allclose(inserted, want, atol=1e-5)
  np.testing.assert_allclose(back, want, atol=1e-5)
  np.testing.assert_allclose(product, want[0].ravel(), atol=1e-5)


def test_matrix_of_a_2x2_kernel_on_3x3_is_4_by_9():
  shape = (1, 2, 2, 1)
  jac = jax.jit(
    jax.jacfwd(lambda x: transposed(x, stamp(D2L), stride=1).ravel())
  )(jnp.zeros(shape)).reshape(9, 4)
  w = jac.T
  assert w.shape == (4, 9)
  np.testing.assert_array_equal(w[0], [0, 1, 0, 2, 3, 0, 0, 0, 0])
  assert not np.allclose(w.T @ w, np.eye(9))  # not an inverse


@pytest.mark.parametrize(
  ("k", "s"), [(1, 1), (3, 1), (2, 2), (3, 2), (4, 2), (5, 2), (4, 3)]
)
def test_same_padding_equals_linen_with_both_gradients(k, s):
  module = nn.ConvTranspose(
    3, (k, k), strides=(s, s), padding="SAME", use_bias=False
  )
  x, kernel, weight = normal((2, 5, 4, 2), (k, k, 2, 3), (2, 5 * s, 4 * s, 3))

  def ours(x, w):
    y = conv.conv_transpose(x, w, stride=s, padding="SAME")
    return jnp.sum(y * weight), y

  def linen(x, w):
    y = module.apply({"params": {"kernel": w}}, x)
    return jnp.sum(y * weight), y

  got, want = (
    jax.jit(jax.grad(f, argnums=(0, 1), has_aux=True))(x, kernel)
    for f in (ours, linen)
  )
  for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want)):
    np.testing.assert_allclose(a, b, atol=2e-5)


@pytest.mark.parametrize(("k", "s"), [(2, 2), (2, 3), (4, 2), (3, 3)])
def test_output_padding_and_size(k, s):
  x = np.ones((1, 5, 3, 1), np.float32)
  kernel = np.ones((k, k, 1, 1), np.float32)
  full = np.pad(painted(x, kernel, s), ((0, 0), (0, 9), (0, 9), (0, 0)))
  got = transposed(x, kernel, stride=s, padding=1, output_padding=s - 1)
  h, w = (4 * s - 2 + k + s - 1, 2 * s - 2 + k + s - 1)
  np.testing.assert_array_equal(got, full[:, 1 : 1 + h, 1 : 1 + w])


def test_mistakes_are_named():
  with pytest.raises(ValueError, match="reads 3 channels"):
    conv.conv_transpose(jnp.ones((1, 2, 2, 1)), jnp.ones((2, 2, 3, 1)))
  with pytest.raises(ValueError, match="at least 1"):
    conv.conv_transpose(
      jnp.ones((1, 1, 1, 1)), jnp.ones((2, 2, 1, 1)), padding=1
    )


@pytest.mark.parametrize(
  ("k", "want"),
  [
    (2, [1] * 10),
    (3, [1, 1, 2, 1, 2, 1, 2, 1, 2, 1, 1]),
    (4, [1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1]),
    (5, [1, 1, 2, 2, 3, 2, 3, 2, 3, 2, 2, 1, 1]),
  ],
)
def test_checkerboard(k, want):
  """Overlap of ones with ones in 1-D: uniform inside iff 2 divides k."""
  y = transposed(jnp.ones((1, 5, 1, 1)), jnp.ones((k, 1, 1, 1)), stride=(2, 1))
  np.testing.assert_array_equal(y[0, :, 0, 0], want)


def test_bilinear_kernels_of_the_lecture():
  np.testing.assert_array_equal(
    conv.bilinear_kernel(3, 1)[:, :, 0, 0],
    [[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]],
  )
  line = np.array([0.25, 0.75, 0.75, 0.25])
  np.testing.assert_array_equal(
    conv.bilinear_kernel(4, 2)[:, :, 1, 1], np.outer(line, line)
  )
  assert not conv.bilinear_kernel(4, 2)[:, :, 0, 1].any()


@pytest.mark.parametrize("s", [2, 8])
def test_bilinear_kernel_is_bilinear_resize_inside(s):
  x = normal((1, 6, 5, 2))
  got = transposed(x, conv.bilinear_kernel(2 * s, 2), stride=s, padding=s // 2)
  want = jax.jit(resize.resize_bilinear, static_argnums=1)(x, (6 * s, 5 * s))
  b = s // 2
  np.testing.assert_allclose(got[:, b:-b, b:-b], want[:, b:-b, b:-b], atol=1e-6)
  # On the border the kernel reaches into zeros, the resize repeats the edge.
  assert np.abs(got - want)[:, 0].max() > 0.01


def test_odd_bilinear_kernel_is_align_corners():
  x = normal((1, 4, 6, 1))
  got = transposed(x, conv.bilinear_kernel(3, 1), stride=2, padding=1)
  want = resize.resize_bilinear(x, (7, 11), align_corners=True)
  np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize("s", [2, 16])
def test_bilinear_transpose_is_the_dense_form(s):
  x = normal((2, 3, 4, 3))
  dense = transposed(x, conv.bilinear_kernel(2 * s, 3), stride=s)
  crop = {"offset": 1, "size": (2 * s, 3 * s)}
  full, part = jax.jit(
    lambda x: (
      conv.bilinear_transpose(x, stride=s),
      conv.bilinear_transpose(x, stride=s, **crop),
    )
  )(x)
  np.testing.assert_allclose(full, dense, atol=1e-5)
  np.testing.assert_allclose(
    part, dense[:, 1 : 1 + 2 * s, 1 : 1 + 3 * s], atol=1e-5
  )
  with pytest.raises(ValueError, match="inside the upsampled map"):
    conv.bilinear_transpose(x, stride=s, offset=1, size=(4 * s, s))


def test_depth_to_space_order():
  x = np.arange(8).reshape(1, 1, 1, 8)  # (fh, fw, c) = (2, 2, 2)
  y = conv.depth_to_space(jnp.asarray(x), (2, 2))
  np.testing.assert_array_equal(y[0], [[[0, 1], [2, 3]], [[4, 5], [6, 7]]])
