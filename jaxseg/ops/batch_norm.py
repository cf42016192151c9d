"""Batch normalisation in training (Ioffe and Szegedy 2015, arXiv:1502.03167).

The gradient is written out: autodiff's takes more passes over the maps. And
the sums take a form on CPUs that reads a map once, where XLA's own reduction
of all but the last axis costs three to five times as much.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg.ops import rows as split_rows

Array = jax.Array
# XLA:CPU cuts longer sums in two, and first writes out what it sums up.
ROWS = 32


def channel_sums(x: Array) -> Array:
  """(b, h, w, c) float32 -> (c,): over examples and pixels."""

  def fast(x):
    b, h, w, c = x.shape
    rows = max(n for n in range(1, ROWS + 1) if h % n == 0)
    x = x.reshape(b, h // rows, rows, w, c).sum(2).reshape(-1, c)
    ones = jnp.ones(x.shape[:1], x.dtype)
    return jnp.dot(ones, x, precision=lax.Precision.HIGHEST)

  if split_rows.split():
    return x.sum((0, 1, 2))
  return lax.platform_dependent(x, cpu=fast, default=lambda x: x.sum((0, 1, 2)))


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def batch_norm(
  x: Array, scale: Array, bias: Array, epsilon: float
) -> tuple[Array, Array, Array]:
  """Normalises every channel by its own mean and variance.

  Args:
    x: (b, h, w, c), any float dtype; statistics are float32.
    scale: (c,).
    bias: (c,).
    epsilon: added to the variance.

  Returns:
    (x - mean) / sqrt(variance + epsilon) * scale + bias, float32; mean and
    (biased) variance, (c,), through which no gradient flows.
  """
  return _forward(x, scale, bias, epsilon)[0]


def _forward(x, scale, bias, epsilon):
  wide = x.astype(jnp.float32)
  n = x.size // x.shape[-1]
  mean = channel_sums(wide) / n
  variance = jnp.maximum(channel_sums(wide * wide) / n - mean * mean, 0)
  inverse = lax.rsqrt(variance + epsilon)
  y = (wide - mean) * (inverse * scale) + bias
  return (y, mean, variance), (x, scale, mean, inverse)


def _backward(epsilon, saved, gradients):
  del epsilon
  dy = gradients[0].astype(jnp.float32)
  x, scale, mean, inverse = saved
  n = x.size // x.shape[-1]
  normal = (x.astype(jnp.float32) - mean) * inverse
  dbias = channel_sums(dy)
  dscale = channel_sums(dy * normal)
  dx = (dy - dbias / n - normal * (dscale / n)) * (scale * inverse)
  return dx.astype(x.dtype), dscale, dbias


batch_norm.defvjp(_forward, _backward)
