"""Quick shift against loops in float64, scikit-image's, and flat pictures."""

import jax
import numpy as np
import pytest
from skimage import data, segmentation

from jaxseg import types
from jaxseg.classical import partition, quickshift
from jaxseg.metrics import contingency


@pytest.mark.parametrize("farthest", [2.5, 6.0, 100.0])
def test_the_same_with_loops(farthest):
  values = np.random.default_rng(0).random((9, 12, 2)).astype(np.float32) * 5
  kernel, (h, w) = 1.2, values.shape[:2]
  place = np.stack(np.mgrid[:h, :w], -1).reshape(-1, 2)
  joint = np.concatenate([place, values.reshape(-1, 2)], -1).astype(float)
  square = ((joint[:, None] - joint) ** 2).sum(-1)
  near = (np.abs(place[:, None] - place) <= np.ceil(3 * kernel)).all(-1)
  want = (np.exp(-square / (2 * kernel**2)) * near).sum(1)
  got = jax.jit(lambda x: quickshift.density(x, kernel))(values)
  np.testing.assert_allclose(np.asarray(got).ravel(), want, rtol=1e-5)
  index, far = jax.jit(lambda x, y: quickshift.parents(x, y, farthest))(
    values, got
  )
  for i in range(h * w):
    higher = np.flatnonzero((want > want[i]) & (square[i] <= farthest**2))
    best = higher[square[i, higher].argmin()] if len(higher) else i
    assert index.ravel()[i] == best
    distance = np.sqrt(square[i, best]) if len(higher) else np.inf
    np.testing.assert_allclose(far.ravel()[i], distance, rtol=1e-5)


@pytest.mark.parametrize(
  ("name", "count"), [("astronaut", 695), ("chelsea", 129)]
)
def test_that_of_scikit_image(name, count):
  """But for pixels of equal density, to which it adds noise: the astronaut's
  black corners, three regions more."""
  image = (data.astronaut() if name == "astronaut" else data.chelsea())[
    ::2, ::2
  ]
  image = image / 255
  theirs = segmentation.quickshift(image, kernel_size=3, max_dist=6, ratio=0.5)
  ours = quickshift.quickshift(image, kernel=3, farthest=6, ratio=0.5)
  assert theirs.max() + 1 == count
  assert abs(ours.max() + 1 - count) <= 3
  table = contingency.contingency(theirs, ours, count, count + 3)
  split, merge = contingency.variation_of_information(table)
  assert split + merge < 0.08


def test_one_colour_links_in_reading_order():
  """Density is highest where the window does not leave the picture."""
  got = quickshift.quickshift(np.full((20, 30, 3), 0.4), kernel=2, farthest=4)
  np.testing.assert_array_equal(got, 0)


def test_regions_are_modes():
  """Two colours farther apart than a pointer reaches: two regions at least."""
  image = np.zeros((12, 20, 1))
  image[:, 10:] = 1
  far = {"kernel": 2, "farthest": 30, "ratio": 40.0}
  near = {**far, "ratio": 1.0}
  got = quickshift.quickshift(image, **far)
  np.testing.assert_array_equal(got, (image[..., 0] == 1).astype(int))
  assert quickshift.quickshift(image, **near).max() == 0


def test_a_batch_is_its_pictures():
  images = np.random.default_rng(1).random((2, 14, 11, 3))
  got = quickshift.quickshift(images, kernel=2, farthest=20)
  for labels, image in zip(got, images):
    one = quickshift.quickshift(image, kernel=2, farthest=20)
    np.testing.assert_array_equal(labels, one)
  assert (partition.relabel(got[0]) == got[0]).all()
  one = quickshift.quickshift(np.ones((1, 1, 3)))
  np.testing.assert_array_equal(one, [[0]])


@pytest.mark.parametrize(
  ("image", "settings", "text"),
  [
    (np.full((4, 4, 3), np.nan), {}, "finite"),
    (np.zeros((4, 4)), {}, r"shape \(4, 4\)"),
    (np.zeros((4, 4, 3)), {"kernel": 0}, "kernel = 0; .* above 0"),
    (np.zeros((4, 4, 3)), {"farthest": np.inf}, "farthest = inf"),
    (np.zeros((4, 4, 3)), {"ratio": -1}, "ratio = -1"),
  ],
)
def test_what_it_cannot_do(image, settings, text):
  with pytest.raises(types.UserError, match=text):
    quickshift.quickshift(image, **settings)
