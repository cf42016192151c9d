"""Transposed convolution, pooling and resizing against torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.ops import conv, pooling, resize

pytestmark = pytest.mark.parity


def planes(x):
  import torch

  return torch.tensor(np.asarray(x)).permute(0, 3, 1, 2).requires_grad_()


def back(x):
  return x.detach().permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize(
  ("k", "s", "p", "o"),
  [(2, 2, 0, 0), (3, 2, 1, 1), (4, 2, 1, 0), (5, 3, 2, 2), (3, 1, 0, 0)],
)
def test_conv_transpose(k, s, p, o):
  import torch

  rng = np.random.default_rng(0)
  x = rng.normal(size=(2, 5, 4, 3)).astype(np.float32)
  kernel = rng.normal(size=(k, k, 3, 2)).astype(np.float32)
  tx = planes(x)
  # (in, out, kh, kw), painted instead of correlated.
  weight = np.ascontiguousarray(kernel[::-1, ::-1].transpose(2, 3, 0, 1))
  tw = torch.tensor(weight, requires_grad=True)
  want = torch.nn.functional.conv_transpose2d(tx, tw, None, s, p, o)
  (want.sin().sum()).backward()

  def run(x, kernel):
    y = conv.conv_transpose(x, kernel, stride=s, padding=p, output_padding=o)
    return jnp.sin(y).sum(), y

  (gx, gw), got = jax.jit(jax.grad(run, (0, 1), has_aux=True))(x, kernel)
  np.testing.assert_allclose(got, back(want), atol=1e-5)
  np.testing.assert_allclose(gx, back(tx.grad), atol=1e-4)
  gw = np.asarray(gw)[::-1, ::-1].transpose(2, 3, 0, 1)
  np.testing.assert_allclose(gw, tw.grad.numpy(), atol=1e-4)


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("kspn", [(2, 2, 0, 7), (3, 2, 1, 8), (4, 3, 1, 9)])
def test_max_pool_with_ties_and_gradient(kspn, ceil_mode):
  import torch

  k, s, p, n = kspn
  rng = np.random.default_rng(0)
  x = rng.integers(0, 3, (2, n, n + 1, 3)).astype(np.float32)
  tx = planes(x)
  want = torch.nn.functional.max_pool2d(tx, k, s, p, ceil_mode=ceil_mode)
  weight = rng.normal(size=back(want).shape).astype(np.float32)
  (want * planes(weight)).sum().backward()

  def run(x):
    y = pooling.max_pool(x, k, stride=s, padding=p, ceil_mode=ceil_mode)
    return (y * weight).sum(), y

  grad, got = jax.jit(jax.grad(run, has_aux=True))(x)
  np.testing.assert_array_equal(got, back(want))
  np.testing.assert_allclose(grad, back(tx.grad), atol=1e-6)


def test_avg_pool():
  import torch

  x = np.random.default_rng(0).normal(size=(2, 7, 9, 3)).astype(np.float32)
  want = torch.nn.functional.avg_pool2d(planes(x), 3, 2, 1)
  got = pooling.avg_pool(x, 3, stride=2, padding=1)
  np.testing.assert_allclose(got, back(want), atol=1e-6)


@pytest.mark.parametrize("new", [(10, 12), (7, 11), (3, 4), (1, 1)])
def test_resize(new):
  import torch

  x = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32)
  for corners in (False, True):
    want = torch.nn.functional.interpolate(
      planes(x), new, mode="bilinear", align_corners=corners
    )
    got = resize.resize_bilinear(jnp.asarray(x), new, align_corners=corners)
    np.testing.assert_allclose(got, back(want), atol=1e-5)
  want = torch.nn.functional.interpolate(planes(x), new, mode="nearest-exact")
  got = resize.resize_nearest(jnp.asarray(x), new)
  np.testing.assert_array_equal(got, back(want))
