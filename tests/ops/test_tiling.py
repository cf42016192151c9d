"""Where windows lie: by brute force over pixels, and NumPy's own mirror."""

import numpy as np
import pytest

from jaxseg.ops import tiling

AXES = {
  "blended": lambda n: tiling.blended(n, 8, 0.5),
  "blended, uneven": lambda n: tiling.blended(n, 7, 0.3),
  "blended, apart": lambda n: tiling.blended(n, 5, 0.0),
  "tiles": lambda n: tiling.side_by_side(n, 6, 3, 4),
  "tiles of the stride": lambda n: tiling.side_by_side(n, 8, 2, 4),
}


@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize("n", [1, 2, 5, 8, 9, 20, 23])
def test_each_pixel_takes_one_in_all_and_is_final_once(name, n):
  axis = AXES[name](n)
  weight, last, owner = np.zeros(n), np.zeros(n, int), np.full(n, -1)
  for k, start in enumerate(axis.starts):
    for i in range(axis.window):
      if 0 <= start + i < n:
        weight[start + i] += axis.weights[k, i]
        last[start + i] = k
    begin, end = axis.final(k)
    assert (owner[begin:end] == -1).all()
    owner[begin:end] = k
  np.testing.assert_allclose(weight, 1, atol=1e-6)
  np.testing.assert_array_equal(owner, last)


@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize("n", [1, 3, 9, 20])
def test_windows_read_the_mirrored_image(name, n):
  axis = AXES[name](n)
  far = 64
  padded = np.pad(np.arange(n), far, mode="reflect")
  for k, start in enumerate(axis.starts):
    first = far + start - axis.margin
    want = padded[first : first + axis.window + 2 * axis.margin]
    np.testing.assert_array_equal(axis.reads(k), want)


def test_a_small_image_lies_in_the_middle_of_its_window():
  axis = tiling.blended(3, 8, 0.5)
  assert axis.starts.tolist() == [-2]  # two in front of it, three behind
  assert axis.final(0) == (0, 3)
