"""Bins of colours: by brute force, by scikit-image, by what must hold."""

import jax
import numpy as np
import pytest
from skimage import color as reference

from jaxseg.ops import color_bins
from tests import quick

BINS = color_bins.gamut_bins()
RNG = np.random.default_rng(0)


def colours(n):
  """(n, 2) of colours that exist."""
  return reference.rgb2lab(RNG.random((n, 3)))[:, 1:].astype(np.float32)


def test_the_table_has_the_cells_that_scikit_image_reaches():
  level = np.arange(0, 256, 3) / 255
  cube = np.stack(np.meshgrid(level, level, level), -1).reshape(-1, 3)
  ab = reference.rgb2lab(cube)[:, 1:]
  for grid in (10, 20):
    cells = {tuple(c) for c in np.unique(np.rint(ab / grid), axis=0) * grid}
    assert {tuple(c) for c in color_bins.gamut_bins(grid)} == cells
  assert BINS.shape == (261, 2)  # not the published 313: see the module


def test_every_colour_lies_in_a_bin():
  far = np.abs(colours(5000)[:, None] - BINS).max(-1).min(1)
  assert far.max() <= 5.01


def dense(index, weight):
  out = np.zeros((len(index), len(BINS)))
  np.put_along_axis(out, np.asarray(index), np.asarray(weight), 1)
  return out


@pytest.mark.parametrize("neighbours", [5, 10])
def test_soft_truth_by_brute_force(neighbours):
  ab = colours(300)
  encode = quick.jit(color_bins.soft_encode, static_argnums=2)
  index, weight = encode(ab, BINS, neighbours)
  np.testing.assert_allclose(weight.sum(-1), 1, rtol=1e-6)
  for row, got in zip(ab, dense(index, weight)):
    square = ((BINS - row).astype(np.float64) ** 2).sum(-1)
    near = np.argsort(square)[:neighbours]
    want = np.zeros(len(BINS))
    want[near] = np.exp(-square[near] / 50)
    np.testing.assert_allclose(got, want / want.sum(), atol=2e-5)
  assert (
    np.argmin(((ab[:, None] - BINS) ** 2).sum(-1), 1) == index[:, 0]
  ).all()


def test_a_colour_far_from_all_bins_has_a_truth_too():
  _, weight = color_bins.soft_encode(np.float32([[900, -900]]), BINS)
  assert np.isfinite(weight).all()
  np.testing.assert_allclose(weight.sum(), 1, rtol=1e-6)


def test_decoding_between_the_mode_and_the_mean():
  logits = RNG.normal(size=(7, len(BINS))).astype(np.float32)
  share = np.exp(logits.astype(np.float64))
  share /= share.sum(-1, keepdims=True)
  mean = color_bins.annealed_mean(logits, BINS, 1.0)
  np.testing.assert_allclose(mean, share @ BINS, atol=1e-4)
  mode = color_bins.annealed_mean(logits, BINS, 1e-3)
  np.testing.assert_allclose(mode, BINS[share.argmax(-1)], atol=1e-3)
  # The paper's form: exp(log z / T), normalised.
  sharp = share ** (1 / 0.38)
  sharp /= sharp.sum(-1, keepdims=True)
  got = color_bins.annealed_mean(logits, BINS)
  np.testing.assert_allclose(got, sharp @ BINS, atol=1e-3)


def test_a_hard_bin_comes_back():
  logits = 60.0 * np.eye(len(BINS), dtype=np.float32)
  for temperature in (0.01, 0.38, 1.0):
    got = color_bins.annealed_mean(logits, BINS, temperature)
    np.testing.assert_allclose(got, BINS, atol=1e-4)


def test_rebalancing_averages_to_one_and_lifts_rare_colours():
  counts = RNG.integers(0, 50, len(BINS)) ** 3
  prior = color_bins.smooth_prior(counts, BINS)
  assert prior.sum() == pytest.approx(1)
  for uniform in (0.0, 0.5, 1.0):
    weight = color_bins.rebalancing(prior, uniform)
    assert prior @ weight == pytest.approx(1)
    order = np.argsort(prior)
    assert (np.diff(weight[order]) <= 1e-12).all()
  np.testing.assert_allclose(weight, 1)  # all uniform
  half = color_bins.rebalancing(prior, 0.5)
  inverse = 1 / (0.5 * prior + 0.5 / len(BINS))
  np.testing.assert_allclose(half / half[0], inverse / inverse[0])


def test_smoothing_keeps_the_pixels_and_spreads_them():
  counts = np.zeros(len(BINS))
  grey = int(np.argmin((BINS**2).sum(-1)))
  counts[grey] = 10
  prior = color_bins.smooth_prior(counts, BINS)
  distance = np.linalg.norm(BINS, axis=-1)
  beside = prior[distance == 10]
  assert len(beside) == 4
  np.testing.assert_allclose(beside / prior[grey], np.exp(-100 / 50))
  np.testing.assert_allclose(
    color_bins.smooth_prior(counts, BINS, 0.1), counts / 10, atol=1e-12
  )


def test_gradients_of_the_decoder_are_finite():
  logits = RNG.normal(0, 30, (3, len(BINS))).astype(np.float32)
  slope = jax.grad(lambda x: color_bins.annealed_mean(x, BINS).sum())(logits)
  assert np.isfinite(slope).all()
