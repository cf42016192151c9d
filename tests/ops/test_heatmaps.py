"""Keypoints to maps and back, against loops and closed forms."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.ops import heatmaps

DECODERS = {
  "argmax": heatmaps.argmax,
  "quarter": heatmaps.quarter_argmax,
  "soft": heatmaps.soft_argmax,
}


def points_of(rng, shape, size, low=0.0, high=1.0):
  """Random points (*shape, 3) of an image of `size`, all seen."""
  xy = rng.uniform(low, high, (*shape, 2)) * np.array(size[::-1])
  return np.concatenate([xy, np.ones((*shape, 1))], -1).astype(np.float32)


def loop_gaussian(points, size, stride, sigma):
  """The recipe of SimpleBaseline, cell by cell, in Python's floats."""
  maps = np.zeros((*size, len(points)))
  weights = []
  for k, (x, y, seen) in enumerate(points.astype(float)):
    cx, cy = int(x / stride + 0.5), int(y / stride + 0.5)
    good = seen > 0 and x >= 0 and y >= 0 and cx < size[1] and cy < size[0]
    weights.append(float(good))
    for i in range(size[0] if good else 0):
      for j in range(size[1]):
        if max(abs(i - cy), abs(j - cx)) <= 3 * sigma:
          d2 = (i - cy) ** 2 + (j - cx) ** 2
          maps[i, j, k] = math.exp(-d2 / (2 * sigma**2))
  return maps, weights


@pytest.mark.parametrize(("stride", "sigma"), [(4, 2.0), (4, 1.3), (1, 1.0)])
def test_gaussians_are_those_of_the_recipe(stride, sigma):
  rng = np.random.default_rng(0)
  points = points_of(rng, (9,), (48, 64), -0.2, 1.2)
  points[4, 2] = 0
  size = (48 // stride, 64 // stride)
  got, weight = jax.jit(
    lambda p: heatmaps.gaussian(p, size, stride=stride, sigma=sigma)
  )(points)
  want, weights = loop_gaussian(points, size, stride, sigma)
  assert weight.tolist() == weights
  assert 0 < sum(weights) < 9
  np.testing.assert_allclose(got, want, atol=1e-6)
  assert set(np.asarray(got).max((0, 1)).tolist()) == {0.0, 1.0}
  assert not np.asarray(got)[..., np.array(weights) == 0].any()


def test_int_and_floor_agree_inside_and_not_outside():
  """int(-3 / 4 + .5) is 0: a point outside would count in the first cell."""
  point = jnp.array([[-3.0, 8.0, 2.0]])
  at, weight = heatmaps.cells(point, (8, 8), stride=4)
  assert weight.tolist() == [0.0]
  at, weight = heatmaps.cells(point + jnp.array([3, 0, 0]), (8, 8), stride=4)
  assert at.tolist() == [[0, 2]]
  assert weight.tolist() == [1.0]


@pytest.mark.parametrize("stride", [1, 4, 7])
def test_encode_decode_errs_by_half_a_stride(stride):
  rng = np.random.default_rng(1)
  size = (12, 15)
  image = (size[0] * stride, size[1] * stride)
  points = points_of(rng, (5, 2, 40), image)  # two batch axes
  for kind in (heatmaps.gaussian, heatmaps.one_hot):
    maps, weight = kind(points, size, stride=stride, offset=stride / 2)
    assert (weight == 1).all()
    back = heatmaps.argmax(maps, stride=stride, offset=stride / 2)
    error = np.abs(back - points)[..., :2]
    assert error.max() <= stride / 2 + 1e-4
    assert error.max() > stride / 2 * 0.9  # 400 points: somebody is there
    assert (back[..., 2] == 1).all()
  # The papers' convention: the last half cell of the image is outside.
  maps, weight = heatmaps.gaussian(points, size, stride=stride)
  back = heatmaps.argmax(maps, stride=stride)
  error = np.abs(back - points)[..., :2].max(-1)
  assert error[np.asarray(weight) == 1].max() <= stride / 2 + 1e-4


def ideal(centres, size, sigma):
  """Gaussians about centres between the cells, not cut."""
  y, x = np.mgrid[: size[0], : size[1]]
  d2 = (x[..., None] - centres[:, 0]) ** 2 + (y[..., None] - centres[:, 1]) ** 2
  return np.exp(-d2 / (2 * sigma**2)).astype(np.float32)


@pytest.mark.parametrize("radius", [None, 6])
def test_soft_argmax_finds_ideal_gaussians_between_the_cells(radius):
  rng = np.random.default_rng(2)
  centres = rng.uniform(14, 28, (30, 2))
  maps = ideal(centres, (40, 44), 2.0)
  got = jax.jit(lambda m: heatmaps.soft_argmax(m, stride=1.0, radius=radius))(
    maps
  )
  soft = np.abs(got[:, :2] - centres).max()
  hard = np.abs(heatmaps.argmax(maps, stride=1.0)[:, :2] - centres).max()
  assert soft < 0.1
  assert hard > 0.4


def test_softmax_weights_find_the_centre_of_log_gaussians():
  """softmax of a log-Gaussian is that Gaussian, whatever constant it has."""
  centres = np.array([[11.3, 17.8], [20.0, 9.45]])
  logits = np.log(ideal(centres, (32, 36), 1.5) + 1e-30) + 5.0
  got = heatmaps.soft_argmax(logits, stride=2.0, offset=1.0, beta=1.0)
  np.testing.assert_allclose(got[:, :2], centres * 2 + 1, atol=1e-3)


def test_a_second_peak_pulls_only_without_a_radius():
  maps = ideal(np.array([[8.0, 8.0]]), (24, 40), 2.0)
  maps = maps + 0.5 * ideal(np.array([[30.0, 16.0]]), (24, 40), 2.0)
  free = heatmaps.soft_argmax(maps, stride=1.0)[0, :2]
  near = heatmaps.soft_argmax(maps, stride=1.0, radius=6)[0, :2]
  np.testing.assert_allclose(free, [8 + 22 / 3, 8 + 8 / 3], atol=0.01)
  np.testing.assert_allclose(near, [8, 8], atol=0.01)


def test_quarter_shift_by_hand():
  maps = np.zeros((5, 6, 4), np.float32)
  maps[2, 3, 0] = 1
  maps[2, 4, 0] = 0.5  # right is higher than left
  maps[1, 3, 0] = 0.2  # up is higher than down
  maps[0, 5, 1] = 1  # a corner stays
  maps[0, 4, 1] = 0.9
  maps[3, 2, 2] = 1  # equal neighbours stay
  maps[2, 2, 3] = 1  # left and down
  maps[2, 1, 3] = 0.3
  maps[3, 2, 3] = 0.3
  got = heatmaps.quarter_argmax(maps, stride=4.0, offset=2.0)
  want = [[3.25, 1.75], [5, 0], [2, 3], [1.75, 2.25]]
  np.testing.assert_allclose(got[:, :2], np.array(want) * 4 + 2)
  assert (got[:, 2] == 1).all()


def test_quarter_shift_halves_the_error_of_ideal_gaussians():
  centres = np.random.default_rng(3).uniform(10, 20, (200, 2))
  maps = ideal(centres, (32, 32), 2.0)
  plain = np.abs(heatmaps.argmax(maps, stride=1.0)[:, :2] - centres)
  shifted = np.abs(heatmaps.quarter_argmax(maps, stride=1.0)[:, :2] - centres)
  # Uniform in +-.5: mean error .25 without, .125 with the shift.
  assert plain.mean() == pytest.approx(0.25, abs=0.02)
  assert shifted.mean() == pytest.approx(0.125, abs=0.01)


def test_one_hot_is_exactly_one_hot():
  rng = np.random.default_rng(4)
  points = points_of(rng, (3, 6), (40, 40))
  points[1, 2, 2] = 0
  points[2, 3, 0] = 99
  maps, weight = heatmaps.one_hot(points, (10, 10), stride=4, offset=2)
  assert set(np.unique(maps)) == {0.0, 1.0}  # never smoothed
  np.testing.assert_array_equal(maps.sum((1, 2)), weight)
  assert np.asarray(weight).sum() == 16
  for b, k in np.argwhere(np.asarray(weight) == 1):
    x, y, _ = points[b, k]
    assert maps[b, int(y // 4), int(x // 4), k] == 1


def test_targets_of_mask_rcnn_against_a_loop():
  rng = np.random.default_rng(5)
  boxes = np.array([[10, 20, 50, 90], [0, 0, 30, 30]], np.float32)
  points = points_of(rng, (2, 20), (60, 100))
  points[0, 0] = [90, 50, 2]  # the lower right corner: the last cell
  points[0, 1] = [20, 10, 1]
  points[0, 2, 2] = 0
  maps, weight = jax.jit(lambda p, b: heatmaps.roi_one_hot(p, b, 56))(
    points, boxes
  )
  for i, (y0, x0, y1, x1) in enumerate(boxes.astype(float)):
    for k, (x, y, seen) in enumerate(points[i].astype(float)):
      good = seen > 0 and x0 <= x <= x1 and y0 <= y <= y1
      assert weight[i, k] == good
      assert maps[i, ..., k].sum() == good
      if good:
        col = min(math.floor((x - x0) * 56 / (x1 - x0)), 55)
        row = min(math.floor((y - y0) * 56 / (y1 - y0)), 55)
        assert maps[i, row, col, k] == 1


def test_a_mirrored_map_is_the_map_of_the_mirrored_points():
  rng = np.random.default_rng(6)
  points = points_of(rng, (12,), (32, 48))
  mirrored = points.copy()
  mirrored[:, 0] = 48 - points[:, 0]
  a, _ = heatmaps.gaussian(points, (8, 12), stride=4, offset=2)
  b, _ = heatmaps.gaussian(mirrored, (8, 12), stride=4, offset=2)
  np.testing.assert_array_equal(a[:, ::-1], b)


@pytest.mark.parametrize("name", DECODERS)
def test_decoders_run_under_jit_and_any_batch(name):
  maps = np.random.default_rng(7).random((2, 3, 7, 9, 4)).astype(np.float32)
  decode = jax.jit(lambda m: DECODERS[name](m, stride=3.0, offset=1.5))
  all_at_once = decode(maps)
  assert all_at_once.shape == (2, 3, 4, 3)
  for i in range(2):
    for j in range(3):
      np.testing.assert_allclose(
        all_at_once[i, j], decode(maps[i, j]), rtol=1e-6
      )
  empty = decode(np.full((7, 9, 1), -1.0, np.float32))
  np.testing.assert_allclose(empty, [[1.5, 1.5, -1.0]])  # first of all equal


def test_soft_argmax_has_a_gradient_that_moves_the_mean():
  maps = ideal(np.array([[6.0, 6.0]]), (13, 13), 1.5)
  grad = jax.grad(lambda m: heatmaps.soft_argmax(m, stride=1.0)[0, 0])(maps)
  assert (np.asarray(grad)[:, 8:, 0] > 0).all()  # more on the right: right
  assert (np.asarray(grad)[:, :5, 0] < 0).all()
