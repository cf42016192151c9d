"""Superpixel measures by hand and brute force, and the metric over a set."""

import functools

import numpy as np
import pytest
from scipy import ndimage
from skimage import segmentation

from jaxseg import types
from jaxseg.metrics import partition, superpixels
from tests import quick

A = np.array([[0, 0, 1], [0, 1, 1], [2, 2, 2]])
B = np.array([[0, 0, 0], [0, 1, 1], [1, 2, 2]])


def blobs(seed, shape=(17, 22), ids=5):
  noise = np.random.default_rng(seed).normal(size=(ids, *shape))
  return np.argmax(ndimage.gaussian_filter(noise, (0, 2, 2)), 0)


def test_boundaries_are_scikit_images():
  labels = np.stack([blobs(0), blobs(1)])
  got = quick.jit(superpixels.boundaries)(labels)
  want = [segmentation.find_boundaries(x, mode="thick") for x in labels]
  np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("radius", [0.0, 1.0, 1.5, 3.0])
def test_boundary_recall_against_brute_force(radius):
  a, b = blobs(0), blobs(1)
  found, total = quick.jit(
    lambda a, b: superpixels.boundary_recall(a, b, radius=radius)
  )(a, b)
  one, two = (
    np.argwhere(segmentation.find_boundaries(x, mode="thick")) for x in (a, b)
  )
  apart = np.linalg.norm(one[:, None] - two[None], axis=-1).min(1)
  assert total == len(one)
  assert found == (apart <= radius).sum()
  assert 0 < found < total or radius == 3


def test_one_segment_recalls_nothing():
  a = blobs(0)
  found, total = quick.jit(superpixels.boundary_recall)(a, np.zeros_like(a))
  assert found == 0 < total


def test_compactness_of_shapes_by_hand():
  compact = quick.jit(superpixels.compactness, static_argnums=1)
  squares = np.repeat(np.repeat(np.arange(4).reshape(2, 2), 5, 0), 5, 1)
  assert compact(squares, 9) == pytest.approx(np.pi / 4)
  bars = np.repeat(np.arange(3), 4).reshape(3, 4)  # 1 x 4, perimeter 10
  assert compact(bars, 3) == pytest.approx(4 * np.pi * 4 / 100)
  # An L of three pixels (perimeter 8) and one pixel (4).
  ell = np.array([[0, 0], [0, 1]])
  want = 0.75 * 4 * np.pi * 3 / 64 + 0.25 * np.pi / 4
  assert compact(ell, 2) == pytest.approx(want)


def test_explained_variation_is_one_minus_what_is_left():
  image = np.random.default_rng(0).random((17, 22, 3)).astype(np.float32)
  labels = blobs(2)
  explained = quick.jit(superpixels.explained_variation, static_argnums=2)
  means = np.stack([image[labels == i].mean(0) for i in range(5)])
  left = ((image - means[labels]) ** 2).sum()
  want = 1 - left / ((image - image.mean((0, 1))) ** 2).sum()
  assert explained(image, labels, 5) == pytest.approx(want, abs=1e-5)
  assert explained(means[labels], labels, 5) == pytest.approx(1, abs=1e-5)
  assert explained(np.ones_like(image), labels, 5) == 1


@functools.cache
def compiled(radius):
  metric = partition(4, 6, radius=radius)
  return metric, quick.jit(metric.update)


def run(truth, said, *, parts=1, mask=None, radius=2):
  metric, update = compiled(radius)
  state = metric.init()
  for a, b, m in zip(
    *(
      np.array_split(x, parts)
      for x in (truth, said, np.ones(len(truth)) if mask is None else mask)
    )
  ):
    state = update(state, {"segments": b}, {"label": a, "_mask": m > 0})
  return metric.result(state)


def test_golden_values_of_one_picture():
  got = run(A[None], B[None], radius=0)
  assert got["vi"] == pytest.approx(0.612197 + 0.666667, abs=2e-6)
  assert got["rand"] == pytest.approx(0.75)
  assert got["adapted_rand_error"] == pytest.approx(0.473684, abs=1e-6)
  assert got["covering"] == pytest.approx(0.638889, abs=1e-6)
  assert got["asa"] == pytest.approx(7 / 9)
  assert got["undersegmentation_error"] == pytest.approx(4 / 9)
  assert got["segments"] == 3
  edge_a = segmentation.find_boundaries(A, mode="thick")
  edge_b = segmentation.find_boundaries(B, mode="thick")
  assert got["boundary_recall"] == (edge_a & edge_b).sum() / edge_a.sum()


def test_means_over_pictures_and_sums_over_pixels():
  """Two pictures, of which one has half its pixels ignored."""
  half = A.copy()
  half[:, 1:] = 255  # left: 0 0 2 against 0 0 1
  one, two = run(A[None], B[None]), run(half[None], B[None])
  both = run(np.stack([A, half]), np.stack([B, B]))
  for name in ("vi", "rand", "covering", "adapted_rand_error", "segments"):
    assert both[name] == pytest.approx((one[name] + two[name]) / 2, abs=1e-6)
  assert two["vi"] == pytest.approx(0, abs=1e-6)
  assert two["segments"] == 2
  assert both["asa"] == pytest.approx((7 + 3) / 12)
  assert both["undersegmentation_error"] == pytest.approx(4 / 12)


def test_splits_padding_and_pictures_without_truth_change_nothing():
  truth = np.stack([blobs(i, ids=4) for i in range(4)])
  said = np.stack([blobs(i, ids=6) for i in range(10, 14)])
  whole = run(truth, said)
  parts = run(truth, said, parts=3)
  for name, number in whole.items():
    assert parts[name] == pytest.approx(number, rel=1e-6), name
  padded = run(
    np.concatenate([truth, truth[:1]]),
    np.concatenate([said, said[:1] * 0]),
    mask=np.array([1, 1, 1, 1, 0]),
  )
  unknown = run(
    np.concatenate([truth, np.full_like(truth[:1], 255)]),
    np.concatenate([said, said[:1]]),
  )
  for name, number in whole.items():
    assert padded[name] == pytest.approx(number, rel=1e-6), name
    assert unknown[name] == pytest.approx(number, rel=1e-6), name


def test_nothing_counted_is_nan():
  got = run(np.full((1, 3, 3), 255), B[None])
  assert all(np.isnan(x) for x in got.values())


def test_ids_beyond_the_tables_are_refused():
  with pytest.raises(types.UserError, match="3 pixels of the labels"):
    run(np.where(A == 2, 4, A)[None], B[None])
  with pytest.raises(types.UserError, match="3 pixels of the segments"):
    run(A[None], np.where(B == 1, -1, B)[None])
