"""Uneven coverage of transposed convolutions, and what avoids it."""

import jax
import numpy as np
import pytest

from jaxseg.analysis import checkerboard
from jaxseg.ops import conv, resize


@pytest.mark.parametrize(
  ("kernel", "want"),
  [
    (2, [1] * 10),
    (3, [1, 1, 2, 1, 2, 1, 2, 1, 2, 1, 1]),
    (4, [1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1]),
    (5, [1, 1, 2, 2, 3, 2, 3, 2, 3, 2, 2, 1, 1]),
  ],
)
def test_lecture_examples(kernel, want):
  np.testing.assert_array_equal(checkerboard.coverage(5, kernel, 2), want)


def test_uniform_inside_if_and_only_if_the_stride_divides_the_kernel():
  for kernel in range(1, 8):
    for stride in range(1, 5):
      inside = checkerboard.coverage(20, kernel, stride)[kernel:-kernel]
      uniform = len(set(inside.tolist())) == 1
      assert uniform == (kernel % stride == 0), (kernel, stride)


def test_random_kernels_paint_a_period_that_resizing_first_does_not():
  """Flat maps through random 3x3 kernels, as at the start of training."""
  rng = np.random.default_rng(0)
  x = 1 + 0.1 * rng.normal(size=(1, 16, 16, 8)).astype(np.float32)
  kernel = rng.normal(size=(3, 3, 8, 16)).astype(np.float32)

  @jax.jit
  def run(x):
    painted = conv.conv_transpose(x, kernel, stride=2, padding="SAME")
    larger = resize.resize_nearest(x, (32, 32))
    resized = conv.conv2d(larger, kernel, padding=1)
    return painted[:, 4:-4, 4:-4], resized[:, 4:-4, 4:-4]

  painted, resized = (np.asarray(y)[0] for y in run(x))
  energy = [
    np.mean([checkerboard.period_energy(y[..., k], 2) for k in range(16)])
    for y in (painted, resized)
  ]
  assert energy[0] > 5
  assert energy[1] < 1


def test_period_energy():
  stripes = np.tile([0.0, 1.0], (3, 8))
  assert checkerboard.period_energy(stripes, 2) == pytest.approx(15)
  noise = np.random.default_rng(0).normal(size=(400, 12))
  assert checkerboard.period_energy(noise, 3) == pytest.approx(1, abs=0.15)
  with pytest.raises(ValueError, match="multiple of the period"):
    checkerboard.period_energy(stripes, 3)
