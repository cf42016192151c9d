"""Normalisation of maps that forgets the camera, not the scene.

Zhang, Qi, Yang, Prisacariu, Wah, Torr, "Domain-invariant Stereo Matching
Networks" (2020, arXiv:1911.13287).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn

from jaxseg.ops import vectors

Array = jax.Array


class DomainNorm(nn.Module):
  """Zero mean, unit deviation per image and channel, then unit vectors.

  The pixel's vector is what is left of brightness and contrast: of the scene,
  not of the camera. Per channel a scale and a bias.
  """

  epsilon: float = 1e-5

  @nn.compact
  def __call__(self, x: Array) -> Array:
    """(b, h, w, c) -> (b, h, w, c) float32."""
    x = x.astype(jnp.float32)
    x = x - jnp.mean(x, (1, 2), keepdims=True)
    x = x * jax.lax.rsqrt(jnp.mean(x**2, (1, 2), keepdims=True) + self.epsilon)
    scale = self.param("scale", nn.initializers.ones, x.shape[-1:])
    bias = self.param("bias", nn.initializers.zeros, x.shape[-1:])
    return vectors.unit(x) * scale + bias
