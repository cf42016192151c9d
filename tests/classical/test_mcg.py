"""From a picture to its hierarchies and proposals: a scene with a known answer,
what SCG is, weights of scales, and what cannot be."""

import numpy as np
import pytest
from scipy import ndimage

from jaxseg.classical import owt, partition, ucm
from jaxseg.classical.gpb import pipeline
from jaxseg.classical.mcg import (
  align,
  features,
  forest,
  grouping,
  multiscale,
  proposals,
  pyramid,
  weights,
)
from jaxseg.types import UserError


def shapes(fine=1.0):
  """A hole in a disc, on two grounds, 60 x 72 at scale 1: bool and strength."""
  y, x = (np.indices((int(60 * fine), int(72 * fine))) + 0.5) / fine
  far = np.hypot(y - 28, x - 30)
  return [(far < 9, 0.5), (far < 20, 0.7), (x > 57, 0.3)]


def scene():
  """int (60, 72): 0 1 grounds, 2 ring, 3 hole."""
  hole, disc, ground = (mask for mask, _ in shapes())
  return np.where(hole, 3, np.where(disc, 2, ground * 1))


def boundary(fine, seed):
  """An oriented map of the shapes' borders, two pixels wide, with noise."""
  angle = np.pi * np.arange(8) / 8
  out = 0.0
  for mask, strength in shapes(fine):
    dy, dx = (
      ndimage.gaussian_filter(mask.astype(float), 1.0, order=order)[..., None]
      for order in ((1, 0), (0, 1))
    )
    across = np.abs(dy * np.cos(angle) - dx * np.sin(angle))
    across = across**2 / np.maximum(np.hypot(dy, dx), 1e-9)
    out = np.maximum(out, strength * across * np.sqrt(2 * np.pi))
  rough = np.random.default_rng(seed).random(out.shape[:2])
  return out + 0.02 * ndimage.gaussian_filter(rough, 1.0)[..., None]


@pytest.fixture(scope="module")
def trees():
  """Of scales 2, 1 and 0.5; each has its own noise."""
  return [
    ucm.merge(owt.transform(boundary(fine, i)))
    for i, fine in enumerate((2, 1, 0.5))
  ]


def known(x):
  """A forest that grows with the contour and falls with what is inside."""
  y = np.clip(0.5 + x[:, features.NAMES.index("contrast")], 0, 1)
  return forest.fit(x, y, trees=4, leaves=16, smallest=2)


@pytest.fixture(scope="module")
def made(trees):
  return multiscale.combine(trees, (60, 72), (1, 1, 1))


def test_all_share_the_leaves(made, trees):
  assert len(made.scales) == 3
  assert len(made.every) == 4
  for tree in made.every:
    np.testing.assert_array_equal(tree.leaves, made.tree.leaves)
    np.testing.assert_array_equal(tree.pairs, made.tree.pairs)
    partition.validate(ucm.segments(tree, 0.2))
  d = ucm.distance(made.tree)[::9, ::9]
  assert len(d) > 50
  assert (d[:, None, :] <= np.maximum(d[:, :, None], d[None])).all()
  want = align.finest(trees[0], (60, 72))
  np.testing.assert_array_equal(made.tree.leaves, want)


def test_the_hierarchy_is_the_merging_of_the_weighted_mean(made):
  length = partition.adjacency(made.tree.leaves)[1]
  heights = np.stack([tree.heights for tree in made.scales])
  for mix in ((1, 1, 1), (2, 0, 6)):
    mean = (np.array(mix) / sum(mix)) @ heights
    want = ucm.merge(owt.Arcs(made.tree.leaves, made.tree.pairs, length, mean))
    got = multiscale.combine(
      [tree._replace(leaves=tree.leaves) for tree in made.scales],
      (60, 72),
      mix,
    )
    np.testing.assert_allclose(got.tree.heights, want.heights)


def test_one_scale_is_its_own_hierarchy(trees):
  """SCG: nothing is combined, and nothing changes but that there may be fewer
  leaves."""
  made = multiscale.combine(trees[1:2], (60, 72), (3,))
  assert made.every == (made.tree,)
  np.testing.assert_array_equal(made.tree.levels, trees[1].levels)
  np.testing.assert_array_equal(ucm.contours(made.tree), ucm.contours(trees[1]))


def test_the_regions_of_the_scene(made):
  label = ucm.segments(made.tree, 0.22)
  truth = scene()
  assert len(np.unique(label)) == 4
  for i in range(4):
    best = max(
      ((label == k) & (truth == i)).sum() / ((label == k) | (truth == i)).sum()
      for k in range(4)
    )
    assert best > 0.9


def test_proposals_of_the_scene(made):
  """Ring and hole are regions, the disc is both of them; the ring without its
  hole is not proposed, for holes are filled."""
  counts = ((30, 20, 10, 10),) * 4
  rows = proposals.candidates(made, counts)
  area = grouping.areas(made.tree.leaves)
  overlap = grouping.jaccard(rows, rows, area)
  assert (overlap[~np.eye(len(rows), dtype=bool)] < 0.95).all()
  truth = scene()
  masks = rows[:, made.tree.leaves]
  for object_ in (truth == 3, truth >= 2, truth == 1, truth != 1):
    best = max((m & object_).sum() / (m | object_).sum() for m in masks)
    assert best > 0.9
  for m in masks:
    np.testing.assert_array_equal(ndimage.binary_fill_holes(m), m)
  guess = known(features.features(rows, made.tree))
  found = proposals.propose(made, counts, guess=guess)
  assert sorted(map(bytes, found.rows)) == sorted(map(bytes, rows))
  score = forest.predict(guess, features.features(found.rows, made.tree))
  np.testing.assert_allclose(found.score, score)
  assert found.score[0] == score.max()
  few = proposals.propose(made, counts, guess=guess, most=5)
  np.testing.assert_array_equal(few.rows, found.rows[:5])
  np.testing.assert_array_equal(
    found.masks(2), found.rows[:2][:, made.tree.leaves]
  )


def test_the_shipped_forest_knows_these_features():
  made = forest.shipped()
  assert made.feature.max() < len(features.NAMES)
  assert len(made.roots) >= 16
  assert 0 <= made.value.min() < made.value.max() <= 1


def test_known_weights_fit_their_scales():
  for scales in (pyramid.SCALES, (1.0,)):
    assert scales in weights.COUNTS
    assert len(weights.mix(scales)) == len(scales)
    lengths = weights.counts(scales)
    assert len(lengths) == (1 if len(scales) == 1 else len(scales) + 1)
    assert all(len(x) == grouping.MOST for x in lengths)
  assert weights.mix((1.0, 0.25)) == (1.0, 1.0)
  assert len(weights.counts((1.0, 0.25))) == 3


def test_scales_are_sizes(monkeypatch):
  """Each scale is asked of a picture of its size, and averages stay."""
  seen = []

  def gpb(image, *, shrink, solve):
    assert not shrink
    assert callable(solve)
    seen.append(image)
    rough = np.random.default_rng(0).random((*image.shape[:2], 8))
    return ndimage.gaussian_filter(rough, (1, 1, 0)).astype(np.float32)

  monkeypatch.setattr(pyramid.pipeline, "gpb", gpb)
  y, x = np.mgrid[:33, :50]
  image = np.stack([y / 33, x / 50, np.full(y.shape, 0.5)], -1)
  made = multiscale.multiscale(
    image.astype(np.float32), (2.0, 1.0, 0.5), shrink=False
  )
  assert [s.shape for s in seen] == [(66, 100, 3), (33, 50, 3), (16, 25, 3)]
  assert made.tree.leaves.shape == (33, 50)
  for one in seen:
    assert 0 <= one.min() < one.max() <= 1
    np.testing.assert_allclose(one.mean((0, 1)), image.mean((0, 1)), atol=0.01)
    inner = one[3:-3, 3:-3, 1]
    slope = np.diff(inner.mean(0)) * one.shape[1]
    np.testing.assert_allclose(slope, 1, atol=0.05)


def test_what_cannot_be(trees):
  image = np.zeros((20, 14, 3), np.float32)
  for scales in ((), (1.0, 2.0), (1.0, 1.0), (1.0, 0.0), ("1",)):
    with pytest.raises(UserError, match="the finest first"):
      multiscale.multiscale(image, scales)
  with pytest.raises(UserError, match=r"14x20 .* too small at scale 0.5"):
    pyramid.boundary(image, 0.5)
  for mix in ((1, 1), (0, 0, 0), (1, -1, 1)):
    with pytest.raises(UserError, match="for 3 scales"):
      multiscale.combine(trees, (60, 72), mix)
  with pytest.raises(UserError, match="finite floats"):
    pyramid.boundary(np.full((20, 20, 3), np.nan), 1.0)


def test_a_picture_of_one_colour_has_one_proposal():
  flat = ucm.merge(owt.transform(np.zeros((10, 12, 8))))
  made = multiscale.combine([flat, flat], (10, 12), (1, 1))
  found = proposals.propose(made, weights.counts((2.0, 1.0)))
  np.testing.assert_array_equal(found.masks(), np.ones((1, 10, 12), bool))


@pytest.mark.slow
def test_gpb_with_fewer_pixels_sees_the_same_edge():
  x = np.mgrid[:48, :64][1]
  image = np.where((x > 30)[..., None], [0.8, 0.5, 0.2], [0.2, 0.4, 0.6])
  rng = np.random.default_rng(0)
  image = (image + rng.normal(0, 0.02, image.shape)).clip(0, 1)
  image = image.astype(np.float32)
  for found in (pyramid.boundary(image, 1.0), pipeline.gpb(image)):
    strong = found.max(-1)[8:-8]
    assert np.abs(strong.argmax(1) - 30.5).max() <= 1
    assert strong[:, 29:33].max() > 3 * strong[:, :20].max()
