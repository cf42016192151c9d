"""Bins of depth: goldens, which bin, and the three ways back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.ops import bins
from jaxseg.types import UserError
from tests import quick


def test_golden_sid():
  t = bins.edges(1, 80, 80, "sid")
  want = [1, 1.056303, 1.115777, 1.178598, 75.735825, 80]
  np.testing.assert_allclose(t[[0, 1, 2, 3, 79, 80]], want, rtol=1e-6)
  assert len(t) == 81
  np.testing.assert_allclose(np.diff(np.log(t)), np.log(80) / 80, rtol=1e-9)


def test_uniform_edges_and_centres():
  t = bins.edges(1, 9, 4, "uniform")
  np.testing.assert_allclose(t, [1, 3, 5, 7, 9])
  np.testing.assert_allclose(bins.centres(t), [2, 4, 6, 8])


@pytest.mark.parametrize("spacing", bins.SPACINGS)
def test_which_bin_against_numpy(spacing):
  t = bins.edges(0.5, 60, 37, spacing)
  depth = np.random.default_rng(0).uniform(0.5, 60, 4000).astype(np.float32)
  got = quick.jit(lambda d: bins.index_of(d, t))(depth)
  np.testing.assert_array_equal(got, np.digitize(depth, np.float32(t)) - 1)
  odd = np.float32([0.5, 60, 0.49, 60.1, 0, -3, np.nan, np.inf])
  np.testing.assert_array_equal(
    bins.index_of(odd, t), [0, 36, -1, -1, -1, -1, -1, -1]
  )


def test_reading_bins():
  c = bins.centres(bins.edges(1, 9, 4, "uniform"))
  one = 50 * jax.nn.one_hot(jnp.array([0, 2, 3]), 4)
  for read in (bins.from_argmax, bins.from_expectation):
    np.testing.assert_allclose(read(one, c), [2, 6, 8], rtol=1e-5)
  # All alike: the mean of the centres. Two alike: between them.
  assert bins.from_expectation(jnp.zeros(4), c) == pytest.approx(5)
  half = jnp.array([0.0, 7, 7, 0]) * 10
  assert bins.from_expectation(half, c) == pytest.approx(5, rel=1e-5)


def test_adaptive_edges():
  """Widths of AdaBins: positive part plus 0.1, as shares of the range."""
  rng = np.random.default_rng(0)
  widths = rng.normal(0, 3, (5, 1, 1, 256)).astype(np.float32)
  edges = np.asarray(
    quick.jit(lambda w: bins.adaptive_edges(w, 0.001, 10))(widths)
  )
  assert edges.shape == (5, 1, 1, 257)
  share = np.maximum(widths.astype(np.float64), 0) + 0.1
  share /= share.sum(-1, keepdims=True)
  want = 0.001 + 9.999 * share.cumsum(-1)
  np.testing.assert_allclose(edges[..., 1:], want, rtol=1e-5)
  np.testing.assert_array_equal(edges[..., 0], np.float32(0.001))
  wide = np.diff(edges, axis=-1)
  np.testing.assert_allclose(wide.sum(-1), 9.999, rtol=1e-6)
  assert (np.diff(bins.centres(edges), axis=-1) > 0).all()
  # By hand: 0.1 and 0.3 are a quarter and three quarters of 8 metres.
  small = bins.adaptive_edges(jnp.array([-7, 0.2]), 2, 10)
  np.testing.assert_allclose(small, [2, 4, 10], rtol=1e-6)
  np.testing.assert_allclose(bins.centres(small), [3, 7], rtol=1e-6)
  # Uniform probabilities: the mean of the centres, per image.
  got = bins.from_expectation(jnp.zeros((5, 3, 4, 256)), bins.centres(edges))
  mean = bins.centres(edges).mean(-1)
  np.testing.assert_allclose(got, np.broadcast_to(mean, (5, 3, 4)), rtol=1e-5)


def test_reading_ordinals():
  c = bins.centres(bins.edges(1, 9, 4, "uniform"))
  pairs = jnp.array(
    [
      [1, 0, 1, 0, 1, 0, 1, 0],  # beyond none
      [0, 1, 0, 1, 1, 0, 1, 0],  # beyond two
      [0, 1, 0, 1, 0, 1, 0, 1],  # beyond the last one too
      [1, 0, 0, 1, 0, 1, 1, 0],  # not monotone: two all the same
    ]
  )
  got = bins.from_ordinal(bins.beyond_logits(pairs), c)
  np.testing.assert_allclose(got, [2, 6, 8, 6])
  # Rank consistency: raising any answer never brings it nearer.
  rng = np.random.default_rng(0)
  low = rng.normal(size=(200, 4)).astype(np.float32)
  high = low + rng.exponential(size=low.shape).astype(np.float32)
  assert (bins.from_ordinal(high, c) >= bins.from_ordinal(low, c)).all()


@pytest.mark.parametrize(
  ("options", "says"),
  [
    ((1, 80, 1, "sid"), "1 depth bins: expected at least 2"),
    ((0, 80, 8, "sid"), "from 0 to 80 metres: expected 0 < low < high"),
    ((9, 3, 8, "uniform"), "from 9 to 3 metres"),
    ((1, 9, 8, "log"), "'log' is not known: expected one of sid, uniform"),
  ],
)
def test_bins_that_cannot_be(options, says):
  with pytest.raises(UserError, match=says):
    bins.edges(*options)
