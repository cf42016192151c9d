"""Felzenszwalb's regions: the rule itself, scikit-image's, what it refuses."""

import numpy as np
import pytest
from skimage import data, segmentation

from jaxseg import types
from jaxseg.classical import felzenszwalb, partition


def by_sets(image, scale, connectivity):
  """The rule with sets of pixels and their longest tree edge, no union-find."""
  p, q, length = felzenszwalb.edges(image, connectivity)
  region = {i: frozenset([i]) for i in range(image[..., 0].size)}
  longest = {s: 0.0 for s in region.values()}
  for a, b, w in zip(p, q, length):
    one, two = region[a], region[b]
    if one == two:
      continue
    if w <= min(longest[s] + scale / len(s) for s in (one, two)):
      both = one | two
      longest[both] = w
      region.update(dict.fromkeys(both, both))
  ids = {s: i for i, s in enumerate(set(region.values()))}
  flat = [ids[region[i]] for i in range(len(region))]
  return partition.relabel(np.array(flat).reshape(image.shape[:2]))


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_same_with_sets(seed, connectivity):
  rng = np.random.default_rng(seed)
  # Few levels, so that edges of length 0 and equal ones are common.
  image = rng.integers(0, 4, (9, 11, 2)) / 4
  got = felzenszwalb.felzenszwalb(
    image, 255 * 0.6, sigma=0, smallest=1, connectivity=connectivity
  )
  want = by_sets(image.astype(np.float32), 0.6, connectivity)
  np.testing.assert_array_equal(got, want)
  assert 1 < got.max() < 98


@pytest.mark.parametrize(
  ("name", "count"), [("astronaut", 194), ("chelsea", 86)]
)
def test_that_of_scikit_image(name, count):
  """Region for region: its edges are in another order, equal ones are rare."""
  image = getattr(data, name)()[::2, ::2] / 255
  settings = {"scale": 100, "sigma": 0.5}
  theirs = segmentation.felzenszwalb(image, min_size=50, **settings)
  ours = felzenszwalb.felzenszwalb(image, smallest=50, **settings)
  assert ours.max() + 1 == theirs.max() + 1 == count
  np.testing.assert_array_equal(ours, partition.relabel(theirs))
  partition.validate(ours, connectivity=8)
  assert partition.sizes(ours).min() >= 50


def test_two_even_halves_stay_two_whatever_their_texture():
  """A ramp inside does not split; a step does, until k allows for it."""
  image = np.zeros((10, 20, 1))
  image[:, :10, 0] = np.linspace(0, 0.1, 10)
  image[:, 10:, 0] = 0.5

  def regions(scale):
    return felzenszwalb.felzenszwalb(image, scale, sigma=0, smallest=0)

  want = np.repeat(np.arange(2), 10)[None].repeat(10, 0)
  np.testing.assert_array_equal(regions(60), want)
  # Int of the right half is 0, so that k / 100 has to be the step, 0.4.
  assert regions(255 * 100 * (0.4 + 1e-4)).max() == 0
  assert regions(255 * 100 * (0.4 - 1e-4)).max() == 1


def test_small_regions_join_across_their_shortest_edge():
  image = np.array([0, 0, 0, 0.5, 0.8, 0.8, 0.8])[None, :, None]
  got = felzenszwalb.felzenszwalb(image, 0, sigma=0, smallest=2)
  np.testing.assert_array_equal(got, [[0, 0, 0, 1, 1, 1, 1]])
  assert felzenszwalb.felzenszwalb(image, 0, sigma=0, smallest=1).max() == 2


def test_one_colour_is_one_region_and_a_batch_its_pictures():
  flat = np.full((3, 6, 7, 3), 0.2)
  assert felzenszwalb.felzenszwalb(flat).max() == 0
  image = np.random.default_rng(0).random((2, 12, 9, 3))
  got = felzenszwalb.felzenszwalb(image, 300)
  for labels, one in zip(got, image):
    np.testing.assert_array_equal(labels, felzenszwalb.felzenszwalb(one, 300))
  one = felzenszwalb.felzenszwalb(np.ones((1, 1, 3)))
  np.testing.assert_array_equal(one, [[0]])


@pytest.mark.parametrize(
  ("image", "settings", "text"),
  [
    (np.full((4, 4, 3), np.nan), {}, "finite"),
    (np.zeros((4, 4, 3), np.uint8), {}, "uint8"),
    (np.zeros((4, 4)), {}, r"shape \(4, 4\)"),
    (np.zeros((4, 4, 3)), {"scale": -1}, "scale = -1"),
    (np.zeros((4, 4, 3)), {"sigma": np.nan}, "sigma = nan"),
    (np.zeros((4, 4, 3)), {"connectivity": 6}, "connectivity 6"),
  ],
)
def test_what_it_cannot_do(image, settings, text):
  with pytest.raises(types.UserError, match=text):
    felzenszwalb.felzenszwalb(image, **settings)
