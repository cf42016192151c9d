"""gPb's parts: half-discs by brute force, eigenvectors by a dense solver."""

import numpy as np
import pytest
import scipy.linalg

from jaxseg import types
from jaxseg.classical.gpb import cues, discs, nms, pipeline, spectral, weights
from tests import quick

N = discs.ORIENTATIONS


def softened(seed, shape=(13, 16), bins=4):
  values = np.random.default_rng(seed).random((*shape, bins))
  return (values / values.sum(-1, keepdims=True)).astype(np.float32)


def jitted(radius):
  return quick.jit(lambda bins: discs.difference(bins, radius))


@pytest.mark.parametrize("radius", [1.5, 3, 5])
def test_slices_cut_a_disc(radius):
  parts = discs.slices(radius)
  areas = parts.sum((0, 1))
  assert areas.sum() == pytest.approx(np.pi * radius**2, rel=0.02)
  np.testing.assert_allclose(areas, areas.mean(), rtol=0.15)
  assert parts.sum(-1).max() <= 1 + 1e-6
  turned = np.rot90(parts, -1)  # clockwise: of x to y
  np.testing.assert_allclose(turned, np.roll(parts, -N // 2, -1), atol=1e-6)


def test_half_discs_against_brute_force():
  """Every pixel, orientation and sample by loops over a mirrored picture."""
  bins, radius, fine = softened(0), 2.0, discs.FINE
  got = np.asarray(jitted(radius)(bins))
  wide = np.pad(bins.astype(float), ((2, 2), (2, 2), (0, 0)), "symmetric")
  at = (np.arange(5 * fine) + 0.5) / fine - 2.5
  y, x = np.meshgrid(at, at, indexing="ij")
  inside = y * y + x * x <= radius**2
  for i in range(N):
    angle = np.pi * i / N
    side = y * np.cos(angle) - x * np.sin(angle)
    for r, c in ((0, 0), (5, 7), (12, 15), (3, 1)):
      patch = np.kron(wide[r : r + 5, c : c + 5], np.ones((fine, fine, 1)))
      # Samples on the cut lie half on either side.
      one = (side > 1e-9) + 0.5 * (np.abs(side) <= 1e-9)
      g, h = (
        ((inside * w)[..., None] * patch).sum((0, 1)) for w in (one, 1 - one)
      )
      g, h = g / g.sum(), h / h.sum()
      want = 0.5 * ((g - h) ** 2 / (g + h)).sum()
      assert got[r, c, i] == pytest.approx(want, rel=1e-4, abs=1e-6)


def test_turning_the_picture_turns_the_orientations():
  bins = softened(1)
  got = jitted(3)(np.rot90(bins).copy())
  want = np.roll(np.rot90(np.asarray(jitted(3)(bins))), -N // 2, -1)
  np.testing.assert_allclose(got, want, atol=1e-5)


@pytest.mark.parametrize("index", range(N))
def test_a_step_is_found_where_it_is(index):
  """The strongest orientation is the step's, the ridge within one pixel."""
  y, x = np.mgrid[-16:17, -16:17]
  angle = np.pi * index / N
  side = y * np.cos(angle) - x * np.sin(angle)
  bins = np.eye(2, dtype=np.float32)[(side > 0).astype(int)]
  got = np.asarray(
    quick.jit(lambda b: discs.gradient(b, 5, shrink=False))(bins)
  )
  middle = got[12:21, 12:21]
  on = np.abs(side[12:21, 12:21]) < 0.5
  assert (middle[on].argmax(-1) == index).all()
  assert middle[on].max(-1).min() > 0.75
  assert got[np.abs(side) > 5].max() < 0.5 * middle[on].max(-1).min()
  thin = np.asarray(quick.jit(nms.suppress)(got))[8:25, 8:25]
  found = np.abs(side[8:25, 8:25][thin > 0.5])
  assert len(found) >= 15
  assert found.max() <= 1.0


def test_flat_pictures_and_borders_are_no_boundary():
  got = jitted(3)(np.ones((9, 11, 1), np.float32))
  assert np.abs(got).max() < 1e-6
  ramp = np.zeros((20, 20, 2), np.float32)
  ramp[..., 0] = 1
  assert np.abs(jitted(5)(ramp)).max() < 1e-6


@pytest.mark.parametrize("radius", [3, 5, 10])
def test_the_parabola_keeps_parabolas(radius):
  reach = int(np.ceil(radius))
  y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
  for i, kernel in enumerate(discs.parabola(radius)):
    angle = np.pi * i / N
    v = y * np.cos(angle) - x * np.sin(angle)
    got = [
      (kernel * (3 + a * v + b * v * v)).sum() for a, b in ((2, 0), (1, 4))
    ]
    np.testing.assert_allclose(got, 3, atol=1e-4)


def test_half_the_size_and_back():
  values = np.random.default_rng(0).random((7, 10, 2)).astype(np.float32)
  small = discs.halve(values)
  assert small.shape == (4, 5, 2)
  np.testing.assert_allclose(
    small[:3, :, 0],
    values[:6, :, 0].reshape(3, 2, 5, 2).mean((1, 3)),
    rtol=1e-6,
  )
  assert discs.double(small, (7, 10)).shape == values.shape
  flat = discs.double(np.full((4, 5, 1), 0.3, np.float32), (7, 10))
  np.testing.assert_allclose(flat, 0.3, rtol=1e-6)


def test_soft_bins():
  got = np.asarray(
    quick.jit(lambda v: cues.soft_bins(v, 0.05))(
      np.array([[0.0, 0.5, 0.98]], np.float32)
    )
  )
  np.testing.assert_allclose(got.sum(-1), 1, rtol=1e-5)
  np.testing.assert_array_equal(got.argmax(-1), [[0, 12, 24]])
  # Their mean is the value, away from the ends.
  middle = (np.arange(25) + 0.5) / 25
  assert got[0, 1] @ middle == pytest.approx(0.5, abs=1e-5)
  assert np.sqrt(got[0, 1] @ (middle - 0.5) ** 2) == pytest.approx(
    0.05, rel=0.02
  )


def test_filters_see_lines_and_edges():
  """An even filter answers a line of its orientation most, an odd an edge."""
  bank = cues.filters(2.0)
  np.testing.assert_allclose(bank.sum((0, 1)), 0, atol=1e-5)
  reach = bank.shape[0] // 2
  y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
  for i in range(N):
    angle = np.pi * i / N
    v = y * np.cos(angle) - x * np.sin(angle)
    line = np.abs((bank * (np.abs(v) < 1)[..., None]).sum((0, 1)))
    edge = np.abs((bank * (v > 0)[..., None]).sum((0, 1)))
    assert line[:N].argmax() == i
    assert edge[N : 2 * N].argmax() == i


def brute_affinity(strength, radius, scale):
  h, w = strength.shape
  out = np.eye(h * w)
  for a in range(h * w):
    for b in range(h * w):
      (ya, xa), (yb, xb) = divmod(a, w), divmod(b, w)
      if a == b or (ya - yb) ** 2 + (xa - xb) ** 2 > radius**2:
        continue
      if (ya, xa) > (yb, xb):
        ya, xa, yb, xb = yb, xb, ya, xa
      n = max(abs(yb - ya), abs(xb - xa))
      worst = max(
        strength[
          int(np.floor(ya + (yb - ya) * i / n + 0.5)),
          int(np.floor(xa + (xb - xa) * i / n + 0.5)),
        ]
        for i in range(n + 1)
      )
      out[a, b] = np.exp(-worst / scale)
  return out


def test_affinities_against_brute_force():
  strength = np.random.default_rng(0).random((7, 9))
  got = spectral.affinity(strength, 3, 0.2).toarray()
  np.testing.assert_allclose(got, brute_affinity(strength, 3, 0.2), rtol=1e-9)
  np.testing.assert_array_equal(got, got.T)


@pytest.mark.parametrize("shape", [(4, 5), (12, 14)])
def test_eigenvectors_against_a_dense_solver(shape):
  strength = 0.3 * np.random.default_rng(1).random(shape)
  matrix = spectral.affinity(strength, 3)
  values, vectors = spectral.eigenvectors(matrix, 4, 1e-10)
  dense = matrix.toarray()
  degree = np.diag(dense.sum(1))
  want, exact = scipy.linalg.eigh(degree - dense, degree)
  np.testing.assert_allclose(values, want[1:5], rtol=1e-6)
  for got, true in zip(vectors.T, exact[:, 1:5].T):
    true = true / np.ptp(true)
    true *= np.sign(true @ got)
    np.testing.assert_allclose(got, true, atol=1e-5)


def test_a_wall_with_a_hole_is_closed():
  """Of a wall that the cues miss a part of, sPb sees the part as well."""
  strength = np.zeros((24, 32), np.float32)
  strength[:, 16] = 0.8
  strength[11:13, 16] = 0.0
  for shrink in (False, True):
    got = spectral.spectral(strength, shrink=shrink)
    row = got[11, :, N // 2]
    assert abs(int(row.argmax()) - 16) <= 2
    assert row[14:19].max() > 2 * np.median(row)


def test_derivatives_of_a_ramp():
  y, x = np.mgrid[:20, :24].astype(float)
  got = spectral.derivatives((2 * y + 3 * x)[..., None])[10, 12, 0]
  angle = np.pi * np.arange(N) / N
  np.testing.assert_allclose(
    got, 2 * np.cos(angle) - 3 * np.sin(angle), rtol=1e-4, atol=1e-4
  )


def test_texture_alone_is_seen():
  """Stripes beside the same stripes turned: equal histograms everywhere."""
  y, x = np.mgrid[:48, :64]
  grey = np.where(x < 32, np.sin(y * 0.9), np.sin(x * 0.9))
  grey = (0.5 + 0.4 * grey).astype(np.float32)
  label = np.asarray(quick.jit(cues.textons)(grey))
  bins = np.eye(cues.TEXTONS, dtype=np.float32)[label]
  got = np.asarray(
    quick.jit(lambda b: discs.gradient(b, 10, shrink=True))(bins)
  )
  upright = got[12:-12, :, N // 2].mean(0)
  assert abs(int(upright.argmax()) - 32) <= 4  # filters reach as far
  assert upright.max() > 2 * upright[[14, 15, 48, 49]].max()


def test_the_logistic_curve_starts_at_nothing():
  got = pipeline.logistic(np.array([0.0, 3.0, 100.0]), -3.0)
  low = 1 / (1 + np.exp(3))
  np.testing.assert_allclose(got, [0, (0.5 - low) / (1 - low), 1], atol=1e-6)


def test_roots_and_logarithm_of_what_is_summed():
  local = np.array([-1e-7, 0.0, 0.25, 0.81], np.float32)
  np.testing.assert_allclose(weights.roots(local), [0, 0, 0.5, 0.9])
  far = np.array([0.0, 0.25, (np.e**2 - 1) / 4], np.float32)
  np.testing.assert_allclose(weights.tamed(far), [0, np.log(2), 2], rtol=1e-6)


def test_the_sum_is_that_of_roots_and_logarithm():
  rng = np.random.default_rng(0)
  local = rng.random((12, 3, 4, N), np.float32)
  far = 20 * rng.random((3, 4, N), np.float32)
  got = weights.total(local, far)
  want = weights.SPECTRAL * np.log1p(4 * far[1, 2, 5])
  for w, g in zip(weights.GPB, local[:, 1, 2, 5]):
    want += w * g**0.5
  np.testing.assert_allclose(got[1, 2, 5], want, rtol=1e-5)


@pytest.mark.slow
def test_affinities_are_of_thin_lines(monkeypatch):
  """What stands beside a line belongs to its own side of it."""
  seen = []

  def spy(strength, **unused):
    seen.append(strength)
    return np.zeros((*strength.shape, N), np.float32)

  monkeypatch.setattr(spectral, "spectral", spy)
  pipeline.features(halves((40, 56)))
  row = seen[0][20]
  assert np.count_nonzero(row > 0.3) == 1
  assert row[[25, 26, 29, 30]].max() < 1e-6


def halves(shape):
  image = np.full((*shape, 3), 40, np.uint8)
  image[:, shape[1] // 2 :] = (200, 180, 90)
  noise = np.random.default_rng(0).integers(0, 12, image.shape)
  return image + noise.astype(np.uint8)


@pytest.mark.slow
def test_gpb_of_two_halves_and_of_the_picture_turned():
  image = halves((40, 56))
  got = pipeline.gpb(image)
  assert got.shape == (40, 56, N)
  assert got.min() >= 0
  assert got.max() <= 1
  strong = got.max(-1)
  assert (np.abs(strong.argmax(1) - 27.5) <= 1.5).all()
  assert (got[10:30, 27].argmax(-1) == N // 2).all()
  assert strong[:, [10, 45]].max() < 0.3 * strong[:, 27].min()
  turned = pipeline.gpb(np.rot90(image, -1).copy())
  want = np.roll(np.rot90(got, -1), N // 2, -1)
  np.testing.assert_allclose(turned, want, atol=1e-5)
  assert 35 <= np.count_nonzero(pipeline.lines(got) > 0.5) <= 45


@pytest.mark.parametrize(
  ("image", "says"),
  [
    (np.zeros((20, 20), np.uint8), r"shape \(20, 20\)"),
    (np.zeros((20, 4, 3), np.uint8), "at least 8"),
    (np.full((20, 20, 3), np.nan), "finite"),
    (np.zeros((20, 20, 3), np.int32), "int32"),
  ],
)
def test_pictures_that_are_none(image, says):
  with pytest.raises(types.UserError, match=says):
    pipeline.check(image)
