"""The fully connected field: golden, oracle, brute force, symmetries."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.classical.crf import dense, exact, lattice
from jaxseg.types import UserError
from tests import quick

# A 2x3 picture and P(label 0), computed independently.
IMAGE = np.array(
  [
    [[10, 10, 10], [12, 11, 10], [200, 200, 200]],
    [[11, 9, 10], [190, 205, 199], [201, 198, 202]],
  ],
  np.float32,
)[None] / np.float32(255)
P0 = np.array([[0.9, 0.6, 0.3], [0.7, 0.55, 0.1]])
LOGS = np.log(np.stack([P0, 1 - P0], -1)).astype(np.float32)[None]
FIELD = dense.DenseOptions(
  bilateral_weight=1.0,
  bilateral_deviation=80.0,
  color_deviation=13.0,
  smooth_weight=0.5,
  smooth_deviation=3.0,
  normalization="none",
  filter="exact",
)


@functools.partial(quick.jit, static_argnums=2)
def refine(logs, image, options, compatibility=None):
  return dense.refine(logs, image, options, compatibility)


@pytest.mark.parametrize(
  ("normalization", "iterations", "want"),
  [
    ("none", 1, [[0.9345, 0.8382, 0.2101], [0.8679, 0.3866, 0.1074]]),
    ("none", 3, [[0.9810, 0.9088, 0.2466], [0.9386, 0.4646, 0.1082]]),
    ("symmetric", 1, [[0.9379, 0.7106, 0.2206], [0.7957, 0.4904, 0.0671]]),
    ("symmetric", 3, [[0.9501, 0.7551, 0.1975], [0.8308, 0.4573, 0.0591]]),
  ],
)
def test_golden(normalization, iterations, want):
  options = dataclasses.replace(
    FIELD, normalization=normalization, iterations=iterations
  )
  got = refine(LOGS, IMAGE, options)
  np.testing.assert_allclose(got[0, ..., 0], want, atol=1e-4)
  np.testing.assert_allclose(got.sum(-1), 1, atol=1e-6)
  potts = refine(LOGS, IMAGE, options, 1 - np.eye(2, dtype=np.float32))
  np.testing.assert_allclose(got, potts, atol=1e-6)


def _kernel(options):
  """sum of the weighted kernels between all pixels of IMAGE, NumPy."""
  h, w = IMAGE.shape[1:3]
  place = np.stack(np.meshgrid(range(h), range(w), indexing="ij"), -1)
  place = place.reshape(-1, 2).astype(float)
  color = IMAGE.reshape(-1, 3) * 255.0

  def squares(x):
    return ((x[:, None] - x[None]) ** 2).sum(-1)

  bilateral = np.exp(
    -squares(place) / (2 * options.bilateral_deviation**2)
    - squares(color) / (2 * options.color_deviation**2)
  )
  smooth = np.exp(-squares(place) / (2 * options.smooth_deviation**2))
  k = options.bilateral_weight * bilateral + options.smooth_weight * smooth
  return k - np.diag(np.diag(k))


def test_weak_coupling_gives_the_exact_marginals():
  """The error is of second order in the coupling, and far below its effect."""
  rng = np.random.default_rng(0)
  logs = np.log(rng.dirichlet(np.ones(3), (1, 2, 3))).astype(np.float32)
  mu = np.array([[0, 1, 2], [1, 0, 0.5], [2, 0.5, 0]], np.float32)
  pairs = np.array(np.triu_indices(6, 1)).T
  errors = []
  for scale in (0.04, 0.02):
    options = dataclasses.replace(
      FIELD, bilateral_weight=scale, smooth_weight=scale / 2, iterations=30
    )
    k = _kernel(options)[pairs[:, 0], pairs[:, 1]]
    field = exact.Field(-logs.reshape(6, 3), pairs, k[:, None, None] * mu)
    want = exact.marginals(field)
    got = np.asarray(refine(logs, IMAGE, options, mu), float).reshape(6, 3)
    errors.append(np.abs(got - want).max())
    moved = np.abs(np.exp(logs.reshape(6, 3)) - want).max()
    assert errors[-1] < 0.1 * moved
    assert (want * np.log(want / got)).sum(1).max() < 1e-4
  assert errors[1] < 0.4 * errors[0]  # a quarter, were it all second order


def test_without_kernels_it_is_the_softmax():
  options = dataclasses.replace(FIELD, bilateral_weight=0.0, smooth_weight=0.0)
  got = refine(LOGS, IMAGE, options)
  np.testing.assert_allclose(got, np.exp(LOGS), atol=1e-6)


def test_classes_in_another_order_and_a_mirrored_picture():
  rng = np.random.default_rng(1)
  logs = rng.normal(size=(1, 6, 9, 4)).astype(np.float32)
  image = rng.random((1, 6, 9, 3), np.float32)
  options = dataclasses.replace(FIELD, normalization="symmetric")
  got = refine(logs, image, options)
  order = [2, 0, 3, 1]
  other = refine(logs[..., order], image, options)
  np.testing.assert_allclose(other, got[..., order], atol=1e-5)
  mirrored = refine(logs[:, ::-1, ::-1], image[:, ::-1, ::-1], options)
  np.testing.assert_allclose(mirrored[:, ::-1, ::-1], got, atol=1e-5)
  assert np.abs(got - jax.nn.softmax(logs)).max() > 0.05


def test_examples_of_a_batch_do_not_meet():
  rng = np.random.default_rng(2)
  logs = rng.normal(size=(2, 7, 9, 3)).astype(np.float32)
  image = rng.random((2, 7, 9, 3), np.float32)
  options = dense.DenseOptions(color_deviation=60.0)  # the lattice
  both = refine(logs, image, options)
  for i in range(2):
    one = refine(logs[i : i + 1], image[i : i + 1], options)
    np.testing.assert_allclose(both[i], one[0], atol=1e-5)
  assert np.abs(both[0] - both[1]).max() > 0.1


def test_a_pixel_of_nan_says_nothing_and_hears_its_neighbours():
  logs = np.tile(np.log([0.9, 0.1]).astype(np.float32), (1, 5, 5, 1))
  logs[0, 2, 2] = np.nan
  logs[0, 0, 0, 1] = -np.inf  # certain
  image = np.full((1, 5, 5, 3), 0.5, np.float32)
  options = dataclasses.replace(FIELD, normalization="symmetric")
  got = refine(logs, image, options)
  assert np.isfinite(got).all()
  assert got[0, 2, 2, 0] > 0.6
  silent = logs.copy()
  silent[0, 2, 2] = 0.0
  np.testing.assert_array_equal(got, refine(silent, image, options))


def _scene(h=24, w=32, seed=0):
  """A noisy picture of a disc, and its truth."""
  rng = np.random.default_rng(seed)
  y, x = np.mgrid[:h, :w]
  truth = ((y - h / 2) ** 2 + (x - w / 2.5) ** 2 < (h / 3.2) ** 2).astype(int)
  colours = np.array([[0.2, 0.3, 0.6], [0.8, 0.6, 0.3]])
  image = colours[truth] + rng.normal(0, 0.03, (h, w, 3))
  return np.clip(image, 0, 1).astype(np.float32)[None], truth


@pytest.mark.slow
def test_the_lattice_is_near_the_sum_over_all_pairs():
  """Symmetric normalisation: 2.5% on average of messages that are about 1/2."""
  image, truth = _scene()
  rng = np.random.default_rng(3)
  x = np.stack([rng.random(truth.shape), truth], -1).astype(np.float32)[None]

  @functools.partial(quick.jit, static_argnums=0)
  def run(options):
    return dense.filters(jnp.asarray(image), options)["bilateral"](x)

  for alpha, beta in ((30.0, 13.0), (8.0, 30.0)):
    options = dense.DenseOptions(
      bilateral_deviation=alpha, color_deviation=beta
    )
    got = run(options)
    want = run(dataclasses.replace(options, filter="exact"))
    assert np.abs(got - want).mean() < 0.025
    assert np.abs(got - want).max() < 0.15
    q = refine(np.log(x + 0.1), image, options)
    p = refine(
      np.log(x + 0.1), image, dataclasses.replace(options, filter="exact")
    )
    assert (q.argmax(-1) == p.argmax(-1)).mean() > 0.97


def test_the_lattice_has_the_gaussian_on_even_points():
  """A constant stays, and cos(x / 2) is multiplied by exp(-1/8)."""
  at = np.stack(np.meshgrid(*[np.arange(-6, 6, 0.1)] * 2), -1)
  points = at.reshape(-1, 2).astype(np.float32)
  wave = np.cos(points[:, 0] / 2)
  values = np.stack([np.ones(len(points)), wave], -1).astype(np.float32)
  got = quick.jit(lambda p, v: lattice.blur(lattice.build(p), v))(
    points, values
  )
  inside = np.abs(points).max(1) < 2
  density = 0.1**-2 * 2 * np.pi
  np.testing.assert_allclose(got[inside, 0] / density, 1, atol=0.02)
  want = np.exp(-1 / 8) * wave[inside]
  np.testing.assert_allclose(got[inside, 1] / density, want, atol=0.04)


def test_corners_are_told_apart_and_their_weights_place_the_point():
  rng = np.random.default_rng(4)
  points = rng.uniform(-40, 40, (300, 5)).astype(np.float32)
  base, rank, weights = map(np.asarray, quick.jit(lattice._simplex)(points))
  assert (np.sort(rank, 1) == np.arange(6)).all()
  assert (base.sum(1) == 0).all()
  assert weights.min() > -1e-5
  np.testing.assert_allclose(weights.sum(1), 1, atol=1e-5)
  corner = np.arange(6)
  cells = base[:, None] + (
    corner[:, None] / 6 - (rank[:, None] > 5 - corner[:, None])
  )
  assert np.abs(cells.sum(2)).max() < 1e-6
  basis = np.zeros((5, 6))
  for i in range(5):
    basis[i, : i + 1], basis[i, i + 1] = 1, -(i + 1)
    basis[i] *= np.sqrt(2 / 3 / ((i + 1) * (i + 2)))
  place = (cells * weights[..., None]).sum(1)
  np.testing.assert_allclose(place, points @ basis, atol=1e-4)
  # The table: equal keys, and only they, share a row.
  names = {}
  table = quick.jit(lattice.build)(points)
  rows = np.asarray(table.corners).reshape(-1)
  for cell, row in zip(np.rint(6 * cells).astype(int).reshape(-1, 6), rows):
    assert names.setdefault(tuple(cell), row) == row
  assert len(names) == len(set(rows)) == int(table.count) == rows.max() + 1
  # Neighbours: of each direction, by the definition.
  some = list(names)[:50]
  for j in range(6):
    step = np.ones(6, int) - 6 * (np.arange(6) == j)
    for cell in some:
      for way, sign in ((table.after, 1), (table.before, -1)):
        want = names.get(tuple(cell + sign * step), way.shape[1])
        assert way[j, names[cell]] == want


def test_the_gradient_of_the_lattice_is_its_transpose():
  rng = np.random.default_rng(5)
  points = rng.normal(size=(40, 3)).astype(np.float32)
  x, y = rng.normal(size=(2, 40, 2)).astype(np.float32)

  @quick.jit
  def both(x, y):
    table = lattice.build(points)
    out, back = jax.vjp(lambda x: lattice.blur(table, x), x)
    return out, back(y)[0]

  out, back = both(x, y)
  np.testing.assert_allclose((out * y).sum(), (x * back).sum(), rtol=1e-4)
  assert np.abs(out).max() > 0.1


def test_it_mends_a_noisy_answer_along_the_edges():
  image, truth = _scene(seed=6)
  rng = np.random.default_rng(7)
  logits = 1.2 * np.eye(2)[truth] + rng.normal(0, 1.0, (*truth.shape, 2))
  logits = logits.astype(np.float32)[None]
  got = np.asarray(refine(logits, image, dense.DenseOptions()))[0].argmax(-1)

  def iou(label):
    both = (label == 1) & (truth == 1)
    return both.sum() / ((label == 1) | (truth == 1)).sum()

  assert iou(logits[0].argmax(-1)) < 0.7
  assert iou(got) > 0.95


@pytest.mark.parametrize(
  ("field", "value", "says"),
  [
    ("iterations", 0, "iterations = 0: expected at least 1"),
    ("color_deviation", 0.0, r"color_deviation = 0\.0.*levels of 255"),
    ("smooth_deviation", -1.0, "smooth_deviation = -1.0.*pixels"),
    ("bilateral_weight", -2.0, "bilateral_weight = -2.0"),
    ("smooth_weight", float("nan"), "smooth_weight = nan"),
    ("normalization", "rows", "'rows': expected symmetric or none"),
    ("filter", "grid", "'grid': expected lattice or exact"),
    ("normalization", "none", "choose filter = 'exact'"),
  ],
)
def test_wrong_options(field, value, says):
  with pytest.raises(UserError, match=says):
    dense.DenseOptions(**{field: value})


def test_what_does_not_fit():
  with pytest.raises(UserError, match="expected the same size"):
    dense.refine(np.zeros((1, 4, 4, 2)), np.zeros((1, 4, 5, 3)))
  options = dense.DenseOptions(color_deviation=0.2)
  with pytest.raises(UserError, match="choose larger deviations"):
    dense.refine(np.zeros((1, 4, 4, 2)), np.zeros((1, 4, 4, 3)), options)
