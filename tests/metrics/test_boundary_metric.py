"""The boundary benchmark against assignments by brute force, and by hand."""

import time

import numpy as np
import pytest
from scipy import ndimage, optimize
from skimage import morphology

from jaxseg import types
from jaxseg.metrics import boundary, confusion, hierarchy, thinning, trimap
from tests import quick


def blobs(seed, shape=(17, 22), ids=5, smooth=2):
  noise = np.random.default_rng(seed).normal(size=(ids, *shape))
  noise = ndimage.gaussian_filter(noise, (0, smooth, smooth))
  return np.argmax(noise, 0)


@pytest.mark.parametrize("seed", range(6))
def test_thinning_is_scikit_images(seed):
  mask = blobs(seed, (40, 31), 3, 1 + seed % 3) > 0
  got = thinning.thin(mask)
  np.testing.assert_array_equal(got, morphology.thin(mask))
  eight = np.ones((3, 3))
  assert ndimage.label(got, eight)[1] == ndimage.label(mask, eight)[1]
  assert got.sum() < mask.sum()


def test_thinning_of_nothing_and_of_all():
  assert not thinning.thin(np.zeros((4, 5), bool)).any()
  bar = np.zeros((9, 30), bool)
  bar[3:6] = True
  rows = np.nonzero(thinning.thin(bar))[0]
  assert set(rows) == {4}


def hungarian(said, true, distance):
  """Size of the largest matching by an assignment of zeros and ones."""
  a, b = np.argwhere(said), np.argwhere(true)
  near = np.linalg.norm(a[:, None] - b[None], axis=-1) <= distance
  i, j = optimize.linear_sum_assignment(near, maximize=True)
  return near[i, j].sum()


@pytest.mark.parametrize("distance", [0, 1, 1.5, 3.2])
@pytest.mark.parametrize("seed", range(3))
def test_matching_is_as_large_as_the_hungarian_one(seed, distance):
  rng = np.random.default_rng(seed)
  said, true = rng.random((2, 12, 15)) < [[[0.3]], [[0.15]]]
  mine, theirs = boundary.match(said, true, distance)
  assert mine.sum() == theirs.sum() == hungarian(said, true, distance)
  assert not (mine & ~said).any()
  assert not (theirs & ~true).any()
  if distance == 0:
    np.testing.assert_array_equal(mine, said & true)


def test_a_net_of_lines_is_matched_in_no_time():
  """On such ones SciPy's bipartite matching does not return."""
  rng = np.random.default_rng(311)
  down, right = rng.integers(5, 14, 2)
  keep, gap = rng.uniform(0.4, 0.95), rng.integers(5, 12)
  said, true = np.zeros((2, 80, 120), bool)
  said[2::down] = said[:, 2::right] = true[4::gap] = true[:, 150::200] = True
  said &= rng.random(said.shape) < keep
  true &= rng.random(true.shape) < rng.uniform(0.5, 1)
  began = time.process_time()
  mine, _ = boundary.match(said, true, 4.34)
  assert time.process_time() - began < 2
  assert mine.sum() == hungarian(said, true, 4.34)


def test_a_pixel_is_matched_once():
  """Where a disc around each would do, one of two finds nobody."""
  said = np.zeros((5, 5), bool)
  true = said.copy()
  said[2, 1] = said[2, 3] = true[2, 2] = True
  assert [x.sum() for x in boundary.match(said, true, 2)] == [1, 1]


def lines(*columns, shape=(30, 40)):
  out = np.zeros(shape, bool)
  out[:, list(columns)] = True
  return out


def test_counts_by_hand():
  """Two people, one of whom sees a second line; a false line is fainter."""
  strength = np.zeros((30, 40))
  strength[:, 10], strength[:, 30] = 0.9, 0.4
  truths = np.stack([lines(10), lines(10, 20)])
  got = boundary.count(strength, truths, (0.2, 0.5, 0.95), thinned=True)
  np.testing.assert_array_equal(got.true, [90, 90, 90])
  np.testing.assert_array_equal(got.found, [60, 60, 0])
  np.testing.assert_array_equal(got.said, [60, 30, 0])
  np.testing.assert_array_equal(got.right, [30, 30, 0])
  result = boundary.scores([got], (0.2, 0.5, 0.95))
  assert result["ods"] == pytest.approx(2 * 1 * (2 / 3) / (1 + 2 / 3))
  assert result["ods_threshold"] == pytest.approx(0.5)
  assert result["ois"] == pytest.approx(result["ods"])


@pytest.mark.parametrize(("share", "f"), [(0.0201, 1.0), (0.0199, 0.0)])
def test_a_shift_within_the_reach_is_perfect(share, f):
  """One pixel is 0.02 of a diagonal of 50."""
  got = boundary.count(
    lines(10).astype(float), lines(11)[None], (0.5,), share=share
  )
  assert boundary.reach((30, 40), 0.02) == pytest.approx(1)
  assert boundary.scores([got], (0.5,))["ods"] == f


def test_thick_lines_are_thinned():
  thick = lines(9, 10, 11).astype(float)
  got = boundary.count(thick, lines(10)[None], (0.5,))
  assert got.said[0] == thinning.thin(thick > 0).sum() <= 30


def test_set_scores_by_hand():
  """Two pictures that are best at other thresholds: OIS picks each one's."""
  a = boundary.Counts(*np.array([[8, 10, 8, 10], [2, 10, 2, 2]]).T)
  b = boundary.Counts(*np.array([[9, 10, 9, 40], [8, 10, 8, 8]]).T)
  got = boundary.scores([a, b], (0.3, 0.6))
  p, r = (8 + 8) / (10 + 8), (8 + 8) / 20
  assert got["ois"] == pytest.approx(2 * p * r / (p + r))
  # Between (17 / 50, 17 / 20) and (1, 1 / 2), the best of a fine grid.
  share = np.linspace(0, 1, 101)
  p, r = 0.34 + 0.66 * share, 0.85 - 0.35 * share
  f = 2 * p * r / (p + r)
  assert got["ods"] == pytest.approx(f.max())
  assert got["ods_threshold"] == pytest.approx(0.3 + 0.3 * share[f.argmax()])
  # Recalls .5 to .85 are reached, precision falls from 1 to .34.
  at = np.arange(50, 86) / 100
  area = (1 - 0.66 * (at - 0.5) / 0.35).sum() / 100
  assert got["ap"] == pytest.approx(area)


def test_mistakes_of_the_benchmark():
  with pytest.raises(types.UserError, match=r"\(30, 40\) and people's"):
    boundary.count(np.zeros((30, 40)), np.zeros((30, 40)), (0.5,))
  with pytest.raises(types.UserError, match="not finite"):
    boundary.count(np.full((3, 4), np.nan), np.zeros((1, 3, 4)), (0.5,))
  with pytest.raises(types.UserError, match="no picture"):
    boundary.scores([])


A = np.array([[0, 0, 1], [0, 1, 1], [2, 2, 2]])
B = np.array([[0, 0, 0], [0, 1, 1], [1, 2, 2]])


def test_golden_values_of_regions():
  """Leaves of B, whole, merged to one; the truths are A, A and B."""
  merged = np.array([[0, 1, 2], [0, 0, 0]])
  got = hierarchy.measure(np.stack([A, A]), B, merged)
  assert got.vi[0] == pytest.approx(0.612197 + 0.666667, abs=2e-6)
  assert got.rand[0] == pytest.approx(0.75)
  assert got.covering[0] == pytest.approx(0.638889, abs=1e-6)
  assert got.covering[1] == pytest.approx(1 / 3, abs=1e-6)
  assert got.vi[1] == pytest.approx(np.log2(3), abs=1e-6)
  both = hierarchy.measure(np.stack([A, B]), B, merged)
  assert both.covering[0] == pytest.approx((0.638889 + 1) / 2, abs=1e-6)
  assert both.best == pytest.approx((0.638889 + 1) / 2, abs=1e-6)


def test_best_takes_each_region_from_its_own_scale():
  truth = np.array([[[0, 0, 1, 1, 2, 2]]])
  leaves = np.arange(6)[None]
  scales = np.array([[0, 0, 1, 2, 3, 4], [0, 1, 2, 2, 3, 3]])
  got = hierarchy.measure(truth, leaves, scales)
  assert got.best == pytest.approx(1)
  assert got.covering.max() < 1
  table = hierarchy.scores([got, got], (0.1, 0.2))
  assert table["covering_ods"] == pytest.approx(got.covering.max())
  assert table["covering_best"] == pytest.approx(1)
  other = hierarchy.Scales(
    got.covering[::-1], got.rand[::-1], got.vi[::-1], got.best
  )
  table = hierarchy.scores([got, other], (0.1, 0.2))
  assert table["covering_ois"] == pytest.approx(got.covering.max())
  assert table["covering_ods"] == pytest.approx(got.covering.mean())
  assert table["vi_ois"] == pytest.approx(got.vi.min())


def test_trimap_iou_by_hand():
  """Half and half, predicted two columns too far to the right."""
  label = np.zeros((1, 4, 20), np.int32)
  said = label.copy()
  label[..., 10:], said[..., 12:] = 1, 1
  metric = confusion(2, ("a", "b"))
  for width, columns in ((0, 1), (3, 4)):  # of each class in the band
    near = quick.jit(lambda x, width=width: trimap.trimap(x, width))(label)
    assert (near != 255).sum() == 4 * 2 * columns
    state = metric.update(metric.init(), {"label": said}, {"label": near})
    wrong = min(2, columns)
    want = columns / (columns + wrong)
    assert metric.result(state)["iou/a"] == pytest.approx(want)
