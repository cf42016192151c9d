"""Adaptive average pooling against torch, values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.ops import pooling

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("size", [1, 2, 3, 6, (5, 4)])
@pytest.mark.parametrize("shape", [(6, 12), (7, 10), (60, 17)])
def test_adaptive_avg_pool(shape, size):
  import torch

  x = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype(np.float32)
  theirs = torch.tensor(x).permute(0, 3, 1, 2).requires_grad_()
  want = torch.nn.functional.adaptive_avg_pool2d(theirs, size)
  want.sin().sum().backward()

  def run(x):
    y = pooling.adaptive_avg_pool(x, size)
    return jnp.sin(y).sum(), y

  grad, got = jax.jit(jax.grad(run, has_aux=True))(x)
  want = want.detach().permute(0, 2, 3, 1).numpy()
  np.testing.assert_allclose(got, want, atol=1e-6)
  want = theirs.grad.permute(0, 2, 3, 1).numpy()
  np.testing.assert_allclose(grad, want, atol=1e-6)
