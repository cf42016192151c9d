"""Pictures: colours are the ones promised, and nothing is drawn elsewhere."""

import numpy as np
import pytest

from jaxseg import sheets, viz
from jaxseg.types import IGNORE, UserError

PALETTE = [(10, 20, 30), (200, 0, 0), (0, 0, 250)]


def test_voc_palette_is_bit_interleaved_and_bijective():
  palette = viz.voc_palette()
  known = {
    0: (0, 0, 0),
    1: (128, 0, 0),
    2: (0, 128, 0),
    3: (128, 128, 0),
    8: (64, 0, 0),
    15: (192, 128, 128),
    20: (0, 64, 128),
    255: (224, 224, 192),
  }
  assert {i: tuple(palette[i].tolist()) for i in known} == known
  assert len(np.unique(palette, axis=0)) == 256
  np.testing.assert_array_equal(viz.voc_palette(21), palette[:21])


def test_colorize_gives_each_class_its_colour_and_hatches_ignored():
  label = np.random.default_rng(0).integers(0, 3, (20, 30))
  want = np.array(PALETTE)[label]
  np.testing.assert_array_equal(viz.colorize(label, PALETTE), want)
  holed = label.copy()
  holed[5:15, 5:25] = 255
  got = viz.colorize(holed, PALETTE)
  inside = got[5:15, 5:25].reshape(-1, 3)
  assert {tuple(c) for c in inside.tolist()} == set(viz.HATCH)
  outside = holed != 255
  np.testing.assert_array_equal(got[outside], want[outside])
  flat = viz.colorize(holed, viz.voc_palette(), hatch=False)
  np.testing.assert_array_equal(flat, viz.voc_palette()[holed])


@pytest.mark.parametrize("bad", [3, -1, 300])
def test_colorize_refuses_a_class_without_a_colour(bad):
  with pytest.raises(UserError, match=f"class id {bad} .* has 3"):
    viz.colorize(np.array([[0, bad]]), PALETTE)


def test_overlay_tints_inside_and_marks_borders_only():
  image = np.full((10, 12, 3), 100, np.uint8)  # grey: calming changes nothing
  label = np.zeros((10, 12), int)
  label[:, 6:] = 1
  got = viz.overlay(image, label, PALETTE, alpha=0.5)
  # Half of 100 and half of the colour, away from the border at column 5.
  inner = got.astype(int)
  assert np.abs(inner[:, :5] - [55, 60, 65]).max() <= 1
  assert np.abs(inner[:, 6:] - [150, 50, 50]).max() <= 1
  # 0.25 * (55, 60, 65) + 0.75 * (1.15 * (10, 20, 30) + 20)
  assert np.abs(inner[:, 5] - [37, 47, 57]).max() <= 1
  one = np.zeros((10, 12), int)
  clear = viz.overlay(image, one, PALETTE, alpha=0.0)
  np.testing.assert_array_equal(clear, image)


def test_depth_colours_run_from_red_to_blue_and_leave_holes_grey():
  depth = np.linspace(2, 10, 101)[None].repeat(3, 0)
  depth[1, 50] = 0
  depth[2, 50] = np.nan
  picture, span = viz.depth_colors(depth, 2, 10)
  assert span == (2, 10)
  assert tuple(picture[1, 50]) == tuple(picture[2, 50]) == viz.INVALID
  # Ends and middle of Mikhailov's table: dark red, green, dark blue.
  assert np.abs(picture[0, 0] - [122, 4, 3.0]).max() <= 3
  assert picture[0, 50].argmax() == 1
  assert np.abs(picture[0, 100] - [48, 18, 59.0]).max() <= 3
  _, (low, high) = viz.depth_colors(depth)
  valid = depth[np.isfinite(depth) & (depth > 0)]
  np.testing.assert_allclose([low, high], np.percentile(valid, [2, 98]), 1e-5)
  empty, _ = viz.depth_colors(np.zeros((4, 5)))
  assert (empty == viz.INVALID).all()
  same, _ = viz.depth_colors(np.full((4, 5), 3.0))
  assert (same == same[0, 0]).all()


def test_scale_bar_shows_the_colours_of_the_range():
  bar = sheets.scale_bar(1, 9, 200)
  picture, _ = viz.depth_colors(np.array([[1.0, 9.0]]), 1, 9)
  assert bar.shape[0] == 200
  np.testing.assert_array_equal(bar[10, 10], picture[0, 0])
  np.testing.assert_array_equal(bar[189, 10], picture[0, 1])
  assert (bar[:, 24:].min(-1) < 120).any()  # there is text


def test_normal_colours_of_the_axes():
  normal = np.array([[[0, 0, -1], [1, 0, 0], [0, -1, 0], [0, 0, 0]]])
  got = viz.normal_colors(normal)[0].tolist()
  assert got == [
    [128, 128, 255],  # towards the viewer
    [255, 128, 128],  # right
    [128, 255, 128],  # up
    list(viz.INVALID),
  ]


def test_contact_sheet_holds_every_picture_and_legend_colour():
  rows = [
    [np.full((40, 60, 3), (9 * r + c, 7, 200), np.uint8) for c in range(3)]
    for r in range(2)
  ]
  names = ["sky", "a rather long class name", "tree"] * 3
  palette = viz.voc_palette(9) + np.uint8(1)
  sheet = sheets.contact_sheet(
    rows,
    ["image", "truth", "prediction"],
    sheets.class_legend(names, palette, ignore=True),
    names=["one.png", "folder/" * 60 + "two.png"],
    cell=(40, 60),
  )
  for picture in (p for row in rows for p in row):
    assert (sheet == picture[0, 0]).all(-1).sum() == 40 * 60
  for color in palette:
    assert (sheet == color).all(-1).sum() == 12 * 18
  assert (sheet == viz.HATCH[1]).all(-1).sum() > 50
  border = np.concatenate([sheet[:5], sheet[-5:]])
  assert (border == sheets.PAPER).all()  # nothing runs over the edge
  assert (sheet[:, -10:] == sheets.PAPER).all()


def test_contact_sheet_fits_pictures_of_any_size():
  half = np.zeros((400, 200, 3), np.uint8)
  half[:, :, 1] = np.arange(400)[:, None] // 200 * 200
  tiny = np.full((3, 4, 3), (255, 0, 255), np.uint8)
  sheet = sheets.contact_sheet([[half, tiny]], ["a", "b"], cell=(100, 100))
  assert (sheet == (0, 200, 0)).all(-1).sum() == 50 * 50
  assert (sheet == (255, 0, 255)).all(-1).sum() == 75 * 100  # 25 times
  with pytest.raises(ValueError, match="2 titles"):
    sheets.contact_sheet([[half]], ["a", "b"])


def test_a_scale_bar_does_not_make_its_picture_smaller_than_the_others():
  image = np.full((60, 60, 3), 90, np.uint8)
  depth = np.full((60, 60 + 64, 3), 30, np.uint8)
  large = np.full((500, 500, 3), 60, np.uint8)
  fitted = sheets.row([image, depth, large], (192, 256))
  assert [p.shape[:2] for p in fitted] == [(180, 180), (180, 372), (192, 192)]
  again = sheets.row(fitted, (192, 256))
  assert [p.shape for p in again] == [p.shape for p in fitted]
  sheet = sheets.contact_sheet([[image, depth]], ["image", "depth"])
  assert np.sum(np.all(sheet == 30, -1)) == 180 * 372


def test_skeleton_draws_points_and_bones_inside_only():
  image = np.zeros((30, 40, 3), np.uint8)
  points = np.array(
    [
      [[5.5, 5.5, 2], [25.5, 5.5, 1], [np.nan, 4, 1], [1e9, 5.5, 1]],
      [[5.5, 20.5, 1], [9, 9, 0], [9, 9, 0], [9, 9, 0]],
    ]
  )
  got = viz.skeleton(image, points, [(0, 1), (1, 2)], [(0, 3)])
  assert not image.any()  # a copy
  assert got[5, 5].tolist() == list(viz.RIGHT)
  assert got[20, 5].tolist() == list(viz.RIGHT)  # the second person's
  assert got[5, 25].tolist() == list(viz.MIDDLE)
  assert got[5, 15].tolist() == list(viz.MIDDLE)  # the bone between
  assert (got.any(-1).any(1)).nonzero()[0].tolist() == [4, 5, 6, 19, 20, 21]
  assert not got[:, 28:].any()


def test_errors_are_blue_where_there_is_none_and_red_where_it_is_large():
  blue, red = viz.turbo(np.array([[0.0, 1.0]]))[0]
  true = np.array([[2.0, 2.0, 2.0, 0.0]])
  picture = viz.depth_error(np.array([[2.0, 3.0, 9.0, 5.0]]), true)
  assert picture[0].tolist() == [*map(list, (blue, red, red, viz.INVALID))]
  half = viz.depth_error(np.array([[2.5]]), np.array([[2.0]]))
  np.testing.assert_array_equal(half, viz.turbo(np.array([[0.5]])))

  front, side, none = [0, 0, -1.0], [1.0, 0, 0], [0, 0, 0]
  picture = viz.normal_error(
    np.array([[front, side, front]]), np.array([[front, front, none]])
  )
  assert picture[0].tolist() == [*map(list, (blue, red, viz.INVALID))]
  tilted = [np.sin(np.pi / 6), 0, -np.cos(np.pi / 6)]  # by 30 degrees
  picture = viz.normal_error(np.array([[tilted]]), np.array([[front]]))
  np.testing.assert_array_equal(picture, viz.turbo(np.array([[0.5]])))

  image = np.full((1, 2, 3), 100, np.uint8)
  other = image + np.uint8([[[0, 0, 0], [96, 96, 0]]])
  picture = viz.image_error(other, image)
  assert picture[0].tolist() == [list(blue), list(red)]


def test_wrong_labels_are_red_on_a_grey_image():
  image = np.full((20, 30, 3), (200, 40, 90), np.uint8)
  true = np.zeros((20, 30), np.int32)
  true[:, 20:] = IGNORE
  label = np.zeros((20, 30), np.int32)
  label[:, 10:20] = 1
  picture = viz.label_error(image, label, true).astype(int)
  right, wrong = picture[:, :9], picture[:, 11:19]
  assert (right == right[..., :1]).all()  # grey
  assert (wrong[..., 0] > wrong[..., 1] + 60).all()
  assert {tuple(c) for c in picture[:, 22:].reshape(-1, 3)} - {
    tuple(c) for c in right.reshape(-1, 3)
  }  # hatched


def test_a_line_leads_from_each_seen_point_to_its_prediction():
  image = np.zeros((30, 30, 3), np.uint8)
  true = np.array([[[5.5, 5.5, 2], [20.5, 20.5, 0]]])
  guess = np.array([[[15.5, 5.5, 1.0], [25.5, 20.5, 1.0]]])
  picture = viz.point_error(image, guess, true)
  assert picture[5, 5].tolist() == list(viz.MIDDLE)
  assert (picture[5, 8:15] == viz.WRONG).all()
  assert not picture[15:].any()  # nobody sees the second point


def test_discs_are_drawn_where_they_are():
  picture = np.full((60, 80, 3), 90, np.uint8)
  drawn = viz.discs(picture, [(20, 30, 12.0), (45, 60, 8.0)], ("1: 3 m",))
  assert (picture == 90).all()  # drawn on a copy
  assert tuple(drawn[20, 30]) == viz.BEST
  assert tuple(drawn[45, 60]) == viz.OTHER
  y, x = np.mgrid[:60, :80]
  away = np.hypot(y - 45, x - 60)
  changed = (drawn != picture).any(-1)
  assert changed[abs(away - 8) < 0.7].all()  # the circle
  assert not changed[(away > 2) & (away < 4)].any()  # and nothing inside
  assert not changed[:4, 60:].any()
