"""SLIC against itself written with loops, its identities, scikit-image's."""

import numpy as np
import pytest
from scipy import ndimage
from skimage import data, segmentation

from jaxseg import types
from jaxseg.classical import cells, connect, partition, slic
from jaxseg.ops import color
from tests import quick


def picture(seed=0, shape=(23, 31)):
  noise = np.random.default_rng(seed).normal(size=(*shape, 3))
  smooth = ndimage.gaussian_filter(noise, (2, 2, 0))
  return np.clip(0.5 + 1.5 * smooth, 0, 1).astype(np.float32)


@pytest.mark.parametrize("seeded", [False, True])
@pytest.mark.parametrize("adaptive", [False, True])
def test_the_same_with_loops(adaptive, seeded):
  image = picture(shape=(13, 17))
  lab = np.asarray(quick.jit(color.rgb_to_lab)(image), np.float64)
  grid = cells.grid(13, 17, 12)
  got, _ = quick.jit(
    lambda x: slic.cluster(x, grid, rounds=4, adaptive=adaptive, seeded=seeded)
  )(lab)
  centres = np.asarray(quick.jit(lambda x: slic.seeds(x, grid))(lab), float)
  place = np.stack(np.mgrid[:13, :17], -1)
  joint = np.concatenate([lab, place], -1)
  m = np.full(grid.count, 10.0)
  labels = np.zeros((13, 17), int)
  worst = np.ones(grid.count)
  home = np.asarray(cells.start(grid))
  if not seeded:
    own = np.asarray(cells.start(grid))
    centres = np.stack([joint[own == k].mean(0) for k in range(grid.count)])
  for _ in range(4 if seeded else 3):
    for y in range(13):
      for x in range(17):
        row, column = divmod(home[y, x], grid.columns)
        best = np.inf
        for k in range(grid.count):
          r, c = divmod(k, grid.columns)
          if max(abs(r - row), abs(c - column)) > 1:
            continue
          d_lab = ((lab[y, x] - centres[k, :3]) ** 2).sum()
          d_xy = ((place[y, x] - centres[k, 3:]) ** 2).sum()
          d = d_lab / m[k] ** 2 + d_xy / grid.step**2
          if d < best:
            best, labels[y, x], colour = d, k, d_lab
        worst[labels[y, x]] = max(worst[labels[y, x]], colour)
    for k in range(grid.count):
      if (labels == k).any():
        centres[k] = joint[labels == k].mean(0)
    if adaptive:
      m = np.sqrt(worst)
  np.testing.assert_array_equal(got, labels)


def test_seeds_move_to_the_lowest_gradient():
  values = np.random.default_rng(0).random((12, 12, 1)).astype(np.float32)
  grid = cells.grid(12, 12, 9)
  got = np.asarray(quick.jit(lambda x: slic.seeds(x, grid))(values))
  wide = np.pad(values[..., 0], 1, mode="edge")
  slope = (wide[2:, 1:-1] - wide[:-2, 1:-1]) ** 2
  slope += (wide[1:-1, 2:] - wide[1:-1, :-2]) ** 2
  for k, (value, y, x) in enumerate(got):
    r, c = 4 * (k // 3) + 1, 4 * (k % 3) + 1  # the middle at 1.5
    around = slope[r - 1 : r + 2, c - 1 : c + 2]
    dy, dx = np.unravel_index(around.argmin(), (3, 3))
    assert (y, x) == (r + 0.5 + dy - 1, c + 0.5 + dx - 1)
    assert value == values[r + dy - 1, c + dx - 1, 0]


def test_no_round_of_k_means_makes_it_worse():
  image = picture(1, (40, 50))
  grid = cells.grid(40, 50, 20)
  _, energy = quick.jit(lambda x: slic.cluster(100 * x, grid))(image)
  energy = np.asarray(energy)
  assert (np.diff(energy) <= 1e-4 * energy[0]).all()
  assert energy[-1] < 0.9 * energy[0]


@pytest.mark.parametrize("adaptive", [False, True])
def test_one_colour_gives_the_grid(adaptive):
  image = np.full((24, 36, 3), 0.3, np.float32)
  got = slic.slic(image, 6, adaptive=adaptive)
  want = np.repeat(np.repeat(np.arange(6).reshape(2, 3), 12, 0), 12, 1)
  np.testing.assert_array_equal(got, want)


def both_counts(image, segments, adaptive=False, sigma=0):
  """Superpixels of scikit-image and of ours; it stretches to [0, 1] first."""
  image = (image - image.min()) / np.ptp(image)
  theirs = segmentation.slic(
    image, segments, sigma=sigma, start_label=0, slic_zero=adaptive
  )
  image = ndimage.gaussian_filter(image, (sigma, sigma, 0))
  ours = slic.slic(image, segments, adaptive=adaptive, seeded=adaptive)
  partition.validate(ours)
  return len(np.unique(theirs)), ours.max() + 1, ours


@pytest.mark.parametrize("adaptive", [False, True])
def test_nearly_as_many_as_scikit_image_has(adaptive):
  """196 of the astronaut at half size, blurred with sigma 1; ours within 5%.

  SLICO comes near from the paper's seeds only: from means it makes 225, and
  scikit-image 252.
  """
  image = data.astronaut()[::2, ::2] / 255.0
  theirs, count, labels = both_counts(image, 250, adaptive, sigma=1)
  assert adaptive or theirs == 196
  assert abs(count - theirs) <= 0.05 * theirs
  assert partition.sizes(labels).min() >= 0.5 * 256 * 256 / 256


TABLE = {  # of pictures at half size, 100, 200, 400 asked for: scikit-image's
  "astronaut": (57, 127, 293),
  "chelsea": (81, 167, 383),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("column", range(3))
def test_counts_on_pictures(name, column):
  """Ours: 57, 131, 290 and 79, 165, 384."""
  image = getattr(data, name)()[::2, ::2] / 255
  theirs, count, _ = both_counts(image, (100, 200, 400)[column])
  assert theirs == TABLE[name][column]
  assert abs(count - theirs) <= 0.05 * theirs


def test_superpixels_keep_to_colours():
  """Two colours that meet at a slant: no superpixel has both."""
  y, x = np.mgrid[:40, :60]
  side = x + y // 2 > 38
  image = np.where(side[..., None], (0.9, 0.2, 0.1), (0.1, 0.3, 0.8))
  labels = slic.slic(image, 30)
  for i in range(labels.max() + 1):
    assert len(np.unique(side[labels == i])) == 1
  assert labels.max() > 15


def test_a_batch_is_its_pictures():
  images = np.stack([picture(i) for i in range(3)])
  got = slic.slic(images, 12)
  for image, labels in zip(images, got):
    np.testing.assert_array_equal(slic.slic(image, 12), labels)
    partition.validate(labels)


def test_as_many_segments_as_pixels_and_one():
  image = picture(shape=(3, 5))
  assert slic.slic(image, 15).max() == 14
  assert slic.slic(image, 1).max() == 0


@pytest.mark.parametrize(
  ("image", "settings", "text"),
  [
    (picture(shape=(3, 5)), {"segments": 16}, "16 segments .* 1 to 15"),
    (picture(shape=(3, 5)), {"segments": 0}, "0 segments"),
    (np.full((4, 4, 3), np.nan), {}, "finite"),
    (np.zeros((4, 4, 3), np.uint8), {}, "uint8"),
    (np.zeros((4, 4)), {}, r"shape \(4, 4\)"),
    (np.zeros((0, 4, 3)), {}, r"shape \(0, 4, 3\)"),
    (picture(), {"compactness": 0}, "compactness 0"),
  ],
)
def test_what_it_cannot_do(image, settings, text):
  with pytest.raises(types.UserError, match=text):
    slic.slic(image, **settings)


def test_small_pieces_join_the_longest_border():
  labels = np.array(
    [
      [0, 0, 0, 1, 1],
      [0, 2, 0, 1, 1],
      [0, 0, 2, 1, 1],
      [3, 3, 2, 1, 1],
    ]
  )
  # Pieces of 2: one pixel inside 0, two that touch 0 with two edges (above,
  # left), 1 with two, 3 with one. 3 has two pixels: two edges to 0, one to 2.
  got = connect.connect(labels, 3)
  partition.validate(got)
  np.testing.assert_array_equal(
    got, np.where(np.isin(labels, [1]), 1, 0) * (labels == 1)
  )
  np.testing.assert_array_equal(
    connect.connect(labels, 0), partition.components(labels)
  )
  assert connect.connect(np.arange(12).reshape(3, 4), 100).max() == 0


def test_small_pieces_join_the_nearest_colour():
  """As a loop over the pieces does, whatever their borders."""
  rng = np.random.default_rng(4)
  labels = rng.integers(0, 3, (17, 23)).repeat(2, 1)
  labels[:8, :20], labels[9:, 25:] = 3, 4
  values = rng.normal(size=(*labels.shape, 3)).astype(np.float32)
  pieces = partition.components(labels)
  size = np.bincount(pieces.ravel())
  mean = np.array([values[pieces == i].mean(0) for i in range(len(size))])
  region = {i: i for i in range(len(size)) if size[i] >= 12}
  assert 2 < len(region) < len(size) / 3
  first, second = partition.adjacency(pieces)[0].T
  near = {i: set() for i in range(len(size))}
  for i, j in zip(first, second):
    near[i].add(j)
    near[j].add(i)
  while len(region) < len(size):
    joined = {}
    for i in set(near) - set(region):
      found = sorted({region[j] for j in near[i] if j in region})
      if found:
        away = [((mean[i] - mean[j]) ** 2).sum() for j in found]
        joined[i] = found[int(np.argmin(away))]
    region.update(joined)
  want = partition.relabel(np.vectorize(region.get)(pieces))
  got = connect.connect(labels, 12, values)
  partition.validate(got)
  np.testing.assert_array_equal(got, want)
  assert (got != connect.connect(labels, 12)).any()


def test_the_grid_has_about_as_many_cells_as_asked():
  for h, w, n in ((321, 481, 100), (7, 300, 40), (1, 9, 4), (50, 50, 49)):
    grid = cells.grid(h, w, n)
    assert abs(grid.count - n) <= max(1, 0.15 * n)
    area = np.bincount(np.asarray(cells.start(grid)).ravel())
    assert len(area) == grid.count
    assert area.min() > 0


def test_pixels_by_cell_and_cells_around():
  """`join` undoes `split`; `give` is the transpose of `near`."""
  grid = cells.grid(23, 31, 12)
  values = picture()
  blocks, real = cells.split(values, grid)
  assert real.sum() == 23 * 31
  own = np.asarray(cells.start(grid)).reshape(23, 31)
  ids = np.broadcast_to(
    np.arange(grid.count).reshape(grid.rows, grid.columns, 1), real.shape
  )
  np.testing.assert_array_equal(cells.join(ids, grid), own)
  back = cells.join(np.moveaxis(np.asarray(blocks), 2, 0), grid)
  np.testing.assert_array_equal(np.moveaxis(back, 0, -1), values)
  total = np.where(real[:, :, None], blocks, 0).sum((0, 1, 3))
  np.testing.assert_allclose(total, values.sum((0, 1)), rtol=1e-5)
  rng = np.random.default_rng(0)
  a = rng.normal(size=(grid.rows, grid.columns, 2)).astype(np.float32)
  b = rng.normal(size=(9, grid.rows, grid.columns, 2)).astype(np.float32)
  left = (np.asarray(cells.near(a, 0.0)) * b).sum()
  right = (a * np.asarray(cells.give(b))).sum()
  np.testing.assert_allclose(left, right, rtol=1e-5)
  np.testing.assert_array_equal(cells.near(a, 0.0)[0], a)
