"""Local normalisation of contrast, and YUV, for (b, h, w, c) maps."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = jax.Array

# ITU-R BT.601: luma, blue and red differences.
_YUV = np.array(
  [
    [0.299, 0.587, 0.114],
    [-0.14713, -0.28886, 0.436],
    [0.615, -0.51499, -0.10001],
  ],
  np.float32,
)


def rgb_to_yuv(image: Array) -> Array:
  """(b, h, w, 3) RGB in [0, 1] -> Y in [0, 1], U and V around 0 (BT.601)."""
  return jnp.einsum(
    "...c,yc->...y", image, _YUV, precision=lax.Precision.HIGHEST
  )


def blur(x: Array, weights: Sequence[float]) -> Array:
  """Separable filter of an odd number of taps; border pixels are repeated."""
  b, h, w, c = x.shape
  reach = len(weights) // 2
  line = np.asarray(weights, x.dtype)
  x = jnp.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
  # Channels as further images: one filter for all, no grouped convolution.
  x = x.transpose(0, 3, 1, 2).reshape(b * c, *x.shape[1:3], 1)
  for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
    x = lax.conv_general_dilated(
      x,
      line.reshape(shape),
      (1, 1),
      "VALID",
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
      precision=lax.Precision.HIGHEST,
    )
  return x.reshape(b, c, h, w).transpose(0, 2, 3, 1)


def gaussian(reach: int, sigma: float) -> tuple[float, ...]:
  """2 * reach + 1 weights that sum to one."""
  line = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
  return tuple((line / line.sum()).tolist())


def local_contrast_norm(
  x: Array, reach: int = 7, epsilon: float = 1e-4
) -> Array:
  """Zero mean and unit variance in a Gaussian neighbourhood, per channel.

  Jarrett et al. 2009, "What is the best multi-stage architecture for object
  recognition?", with neighbourhoods of 2 * reach + 1 pixels (sigma reach / 2)
  and of one channel. `epsilon` is added to the variance: a constant stays 0.
  """
  weights = gaussian(reach, reach / 2)
  x = x - blur(x, weights)
  return x / jnp.sqrt(blur(x * x, weights) + epsilon)


def local_response_norm(
  x: Array, size: int = 5, alpha: float = 1e-4, beta: float = 0.75
) -> Array:
  """x / (1 + alpha / size * sum of x^2 over `size` channels around)^beta.

  Krizhevsky et al. 2012, in Caffe's and torch's form with k = 1.
  """
  c = x.shape[-1]
  before = size // 2
  pads = [(0, 0)] * (x.ndim - 1) + [(before, size - 1 - before)]
  square = jnp.pad(x * x, pads)
  total = sum(square[..., i : i + c] for i in range(size))
  return x / (1 + alpha / size * total) ** beta
