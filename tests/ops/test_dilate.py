"""Discs of values and of bits against SciPy, at the edges too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxseg.ops import dilate
from tests import quick


def disc(radius):
  y = np.arange(-int(radius), int(radius) + 1)
  return y[:, None] ** 2 + y**2 <= radius**2


@pytest.mark.parametrize("radius", [0, 0.9, 1, 1.5, 3, 4.34, 20])
def test_largest_value_in_a_disc(radius):
  x = np.random.default_rng(0).normal(size=(2, 13, 9)).astype(np.float32)
  want = [
    ndimage.grey_dilation(one, footprint=disc(radius), mode="constant", cval=-9)
    for one in x
  ]
  got = jax.jit(lambda x: dilate.dilate(x, radius))(x)
  np.testing.assert_array_equal(got, want)
  got = jax.jit(lambda x: dilate.dilate(x, radius))(x > 1)
  np.testing.assert_array_equal(got, np.stack(want) > 1)


@pytest.mark.parametrize("radius", [0, 0.9, 1, 1.5, 2.3, 5, 7.08, 30])
def test_every_bit_is_dilated_by_a_disc(radius):
  rng = np.random.default_rng(0)
  sets = rng.random((32, 2, 14, 23)) < 0.02
  place = np.arange(32, dtype=np.uint32)[:, None, None, None]
  bits = (sets.astype(np.uint32) << place).sum(0, dtype=np.uint32)
  ors = quick.jit(lambda x: dilate.dilate(x, radius, jnp.bitwise_or))
  got = np.asarray(ors(bits))
  for i in (0, 7, 31):
    for j in range(2):
      want = ndimage.binary_dilation(sets[i, j], disc(radius))
      np.testing.assert_array_equal((got[j] >> i) & 1, want)


def test_a_negative_radius_is_refused():
  with pytest.raises(ValueError, match="at least 0"):
    dilate.dilate(np.zeros((5, 5), bool), -1)
