"""Surface distances: medpy's golden values, and brute force over all pairs."""

import functools

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import cdist

from jaxseg.metrics import surface as s
from tests import quick


@functools.cache
def compiled(spacing=None, axes=2):
  return quick.jit(lambda a, b: s.surface_distances(a, b, spacing, axes=axes))


def squares():
  """SYSTEMS: A rows, columns 2-5; B rows 3-8, columns 4-6, of 12 x 12."""
  a, b = np.zeros((2, 12, 12), bool)
  a[2:6, 2:6] = True
  b[3:9, 4:7] = True
  return a, b


def brute(pred, truth, spacing):
  """From the definitions, in float64."""
  edge = [
    np.argwhere(
      x
      & ~ndimage.binary_erosion(x, ndimage.generate_binary_structure(x.ndim, 1))
    )
    * spacing
    for x in (pred, truth)
  ]
  d = cdist(*edge)
  there, back = d.min(1), d.min(0)
  return {
    "hausdorff": max(there.max(), back.max()),
    "hd95": np.percentile(np.concatenate([there, back]), 95),
    "asd": there.mean(),
    "assd": np.concatenate([there, back]).mean(),
  }


def test_golden_values():
  a, b = squares()
  got = compiled()(a, b)
  want = {"hausdorff": 3.162278, "hd95": 3.0, "asd": 1.220857, "assd": 1.363955}
  for name, number in want.items():
    assert got[name] == pytest.approx(number, abs=1e-6), name
  assert sorted(want) == sorted(s.NAMES) == sorted(got)
  # Surfaces of 12 and 14 pixels; medpy 0.5.2 gives 1.486611 for asd(b, a).
  other = compiled()(b, a)
  assert other["asd"] == pytest.approx(1.486611, abs=1e-6)
  all_pixels = (12 * got["asd"] + 14 * other["asd"]) / 26
  assert got["assd"] == pytest.approx(float(all_pixels), abs=1e-6)
  assert other["hausdorff"] == got["hausdorff"]


def blobs(rng, shape):
  noise = ndimage.gaussian_filter(rng.normal(size=shape), 1.5)
  return noise > 0.02


@pytest.mark.parametrize(
  ("shape", "spacing"),
  [((25, 19), (1.0, 1.0)), ((14, 30), (0.4, 3.0)), ((9, 12, 10), (5, 1, 0.7))],
)
def test_against_brute_force(shape, spacing):
  rng = np.random.default_rng(len(shape))
  a, b = (np.stack([blobs(rng, shape) for _ in range(4)]) for _ in range(2))
  got = compiled(spacing, len(shape))(a, b)
  for i in range(4):
    for name, number in brute(a[i], b[i], spacing).items():
      assert got[name][i] == pytest.approx(number, rel=1e-5), (name, i)


def test_masks_at_the_border_have_their_surface_there():
  full, corner = np.ones((7, 9), bool), np.zeros((7, 9), bool)
  corner[0, 0] = True
  got = compiled()(full, corner)
  for name, number in brute(full, corner, (1, 1)).items():
    assert got[name] == pytest.approx(number, rel=1e-6), name
  assert got["hausdorff"] == 10  # 6, 8, 10


def test_equal_masks_are_at_no_distance_and_empty_ones_have_none():
  a, _ = squares()
  none = np.zeros_like(a)
  got = compiled()(np.stack([a, none, a, none]), np.stack([a, none, none, a]))
  for x in got.values():
    assert x[0] == 0
    assert np.isnan(x[1])
    assert np.isinf(x[2])
    assert np.isinf(x[3])


def test_percentile_between_two_pixels():
  """Surfaces of two and one pixels: distances 0, 4, 0; 95% lies at 3.6."""
  a, b = np.zeros((2, 1, 8), bool)
  a[0, [0, 4]] = True
  b[0, 0] = True
  assert compiled()(a, b)["hd95"] == pytest.approx(3.6)


def test_over_a_set_the_cases_are_counted():
  a, b = squares()
  none = np.zeros_like(a)
  truth = np.stack([a, a, none, none, b, a]).astype(np.int32)
  said = np.stack([b, none, b, none, a, b]).astype(np.int32)
  mask = np.array([1, 1, 1, 1, 1, 0], bool)
  truth[3, 0, 0] = 255
  said[3, 0, 0] = 1  # not known there: neither is in the picture
  metric = s.surfaces({1: "cell", 2: "other"})
  update = quick.jit(metric.update)
  state = metric.init()
  for part in (slice(0, 3), slice(3, 6)):
    state = update(
      state,
      {"label": said[part]},
      {"label": truth[part], "_mask": mask[part]},
    )
  got = metric.result(state)
  assert got["cases/cell"] == 2
  assert got["missed/cell"] == got["invented/cell"] == 1
  assert got["hausdorff/cell"] == pytest.approx(3.162278, abs=1e-6)
  assert got["hd95/cell"] == pytest.approx(3)
  # Once from B to A, once from A to B.
  asd = (1.220857 + 1.486611) / 2
  assert got["asd/cell"] == pytest.approx(asd, abs=1e-6)
  assert got["assd/cell"] == pytest.approx(1.363955, abs=1e-6)
  assert got["cases/other"] == 0
  assert np.isnan(got["assd/other"])


def test_shapes_must_fit():
  with pytest.raises(ValueError, match="expected equal shapes"):
    s.surface_distances(np.ones((2, 2)), np.ones((2, 3)))
