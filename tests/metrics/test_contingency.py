"""Golden values, scikit-image, and the definitions pair by pair."""

import itertools

import jax
import numpy as np
import pytest
from skimage import metrics as oracle

from jaxseg.metrics import contingency as c
from tests import quick

A = np.array([[1, 1, 2], [1, 2, 2], [3, 3, 3]])
B = np.array([[1, 1, 1], [1, 2, 2], [2, 3, 3]])


@quick.jit
def everything(table):
  return {
    "vi": c.variation_of_information(table),
    "rand": c.rand_index(table),
    **c.adapted_rand(table),
    **c.isbi_scores(table),
    "covering": c.covering(table),
    "asa": c.achievable_accuracy(table),
    "ue": c.undersegmentation_error(table),
  }


def compare(a, b, ids=12):
  table = quick.jit(c.contingency, static_argnums=(2, 3))(a, b, ids, ids)
  return jax.tree.map(float, everything(table))


def test_golden_values():
  table = quick.jit(c.contingency, static_argnums=(2, 3))(A, B, 4, 4)
  np.testing.assert_array_equal(
    table[1:, 1:], [[3, 0, 0], [1, 2, 0], [0, 1, 2]]
  )
  got = compare(A, B)
  want = {
    "error": 0.473684,
    "rand": 0.75,
    "covering": 0.638889,
    "asa": 0.777778,
    "ue": 0.444444,
  }
  for name, number in want.items():
    assert got[name] == pytest.approx(number, abs=1e-6), name
  assert sorted(got["vi"]) == pytest.approx([0.612197, 0.666667], abs=1e-6)
  other = compare(B, A)
  assert other["covering"] == pytest.approx(0.648148, abs=1e-6)
  # 10 of 18 pairs within a region of A are within one of B, of whose there
  # are 20: with A as the answer the precision is 10 / 18.
  for precision, recall in (
    (other["precision"], other["recall"]),
    (got["recall"], got["precision"]),
  ):
    assert precision == pytest.approx(0.555556, abs=1e-6)
    assert recall == pytest.approx(0.5, abs=1e-6)


def random_pair(seed, shape=(9, 8), ids=6):
  rng = np.random.default_rng(seed)
  a = rng.integers(0, ids, shape)
  return a, np.where(rng.random(shape) < 0.6, a, rng.integers(0, ids, shape))


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_scikit_image(seed):
  a, b = random_pair(seed, (30, 41))
  got = compare(a, b)
  # Both: H(second | first), H(first | second).
  assert got["vi"] == pytest.approx(
    oracle.variation_of_information(a, b), abs=2e-6
  )
  # It divides its precision by the pairs of the truth, and calls it precision.
  error, recall, precision = oracle.adapted_rand_error(a, b, ignore_labels=())
  assert got["error"] == pytest.approx(error, abs=2e-6)
  assert got["precision"] == pytest.approx(precision, abs=2e-6)
  assert got["recall"] == pytest.approx(recall, abs=2e-6)


def test_the_definitions_one_by_one():
  a, b = random_pair(7)
  got = compare(a, b)
  flat = list(zip(a.ravel(), b.ravel()))
  agree = [
    (p[0] == q[0]) == (p[1] == q[1]) for p, q in itertools.combinations(flat, 2)
  ]
  assert got["rand"] == pytest.approx(np.mean(agree), abs=1e-6)
  cover = leak = 0
  for i in np.unique(a):
    iou = [
      ((a == i) & (b == j)).sum() / ((a == i) | (b == j)).sum()
      for j in np.unique(b)
    ]
    cover += (a == i).sum() * max(iou)
    for j in np.unique(b[a == i]):
      leak += min(((a == i) & (b == j)).sum(), ((a != i) & (b == j)).sum())
  assert got["covering"] == pytest.approx(cover / a.size, abs=1e-6)
  assert got["ue"] == pytest.approx(leak / a.size, abs=1e-6)
  # ASA: give each superpixel its most frequent true label.
  best = sum(np.bincount(a[b == j]).max() for j in np.unique(b))
  assert got["asa"] == pytest.approx(best / a.size)
  # V_Rand: with pairs of a pixel with itself, in both orders.
  same = [(p[0] == q[0], p[1] == q[1]) for p in flat for q in flat]
  one, two = np.array(same).T
  v_rand = (one & two).sum() / (0.5 * one.sum() + 0.5 * two.sum())
  assert got["v_rand"] == pytest.approx(v_rand, abs=1e-6)
  # V_Info by the identity I = H(a) + H(b) - H(a, b), VI = 2 H(a, b) - ...
  share = np.bincount(a.ravel()) / a.size
  h_a = -(share[share > 0] * np.log2(share[share > 0])).sum()
  shared = h_a - got["vi"][1]
  share = np.bincount(b.ravel()) / b.size
  h_b = -(share[share > 0] * np.log2(share[share > 0])).sum()
  assert got["v_info"] == pytest.approx(2 * shared / (h_a + h_b), abs=1e-5)


def test_the_same_under_other_names_is_perfect():
  a, _ = random_pair(3)
  got = compare(a, 11 - a)
  assert got["vi"] == pytest.approx((0, 0), abs=1e-6)
  assert got["error"] == pytest.approx(0, abs=1e-6)
  assert got["ue"] == 0
  for name in ("rand", "covering", "asa", "v_rand", "v_info", "precision"):
    assert got[name] == pytest.approx(1, abs=1e-6), name


def test_one_region_each_and_one_pixel_each():
  one, every = np.zeros((3, 4), int), np.arange(12).reshape(3, 4)
  got = compare(one, one)
  assert got["vi"] == (0, 0)
  assert got["v_info"] == got["rand"] == got["asa"] == 1
  got = compare(every, every)
  assert got["error"] == 0  # no pairs, no errors
  got = compare(one, every)
  assert got["vi"] == pytest.approx((np.log2(12), 0), abs=1e-6)
  assert got["rand"] == pytest.approx(0, abs=1e-6)
  assert got["precision"] == 1
  assert got["recall"] == 0
  assert got["error"] == 1
  assert got["covering"] == pytest.approx(1 / 12)


def test_what_does_not_count():
  a, b = random_pair(5)
  valid = np.arange(a.size).reshape(a.shape) % 3 > 0
  outside = np.where(valid, a, 255)
  table = quick.jit(c.contingency, static_argnums=(2, 3))
  want = np.zeros((6, 6))
  np.add.at(want, (a[valid], b[valid]), 1)
  np.testing.assert_array_equal(table(a, b, 6, 6, valid), want)
  np.testing.assert_array_equal(table(outside, b, 6, 6), want)
  np.testing.assert_array_equal(table(b, np.where(valid, a, -1), 6, 6), want.T)
  got = compare(np.full((2, 2), 255), b[:2, :2], 6)
  assert all(np.isnan(got[k]) for k in ("rand", "covering", "asa", "ue"))


def test_large_pictures_keep_their_digits():
  """Half a million pixels, where squares of counts leave float32."""
  rng = np.random.default_rng(0)
  a = rng.integers(0, 3, (700, 800))
  b = np.where(rng.random(a.shape) < 0.9, a, rng.integers(0, 6, a.shape))
  got = compare(a, b)
  assert got["vi"] == pytest.approx(
    oracle.variation_of_information(a, b), abs=5e-6
  )
  error, _, _ = oracle.adapted_rand_error(a, b, ignore_labels=())
  assert got["error"] == pytest.approx(error, abs=2e-6)


def test_shapes_must_fit():
  with pytest.raises(ValueError, match="expected two of one picture"):
    c.contingency(A, B[:2], 4, 4)
