"""Each kind of field follows its own geometry, and all stay together."""

import numpy as np
import pytest
from scipy import ndimage

from jaxseg.data import geometry, transforms
from jaxseg.types import IGNORE, UserError

ALL = "random_scale(0.5, 2, 0.3)|rotate(20)|crop|flip|photometric"


def rng(seed=0):
  return np.random.default_rng(seed)


def picture(h=37, w=53, seed=0, classes=(0, 3, 7)):
  """Blocks of labels, and the label painted as an image."""
  r = rng(seed)
  small = r.choice(classes, (h // 8 + 1, w // 8 + 1))
  label = np.kron(small, np.ones((8, 8), int))[:h, :w].astype(np.uint8)
  image = np.repeat(label[..., None] * 30, 3, -1).astype(np.uint8)
  return {"image": image, "label": label}


@pytest.mark.parametrize("seed", range(8))
def test_no_label_value_appears(seed):
  fields = picture(seed=seed)
  known = {*np.unique(fields["label"]).tolist(), IGNORE}
  out = transforms.parse(ALL, (40, 40))(fields, rng(seed))
  assert set(np.unique(out["label"]).tolist()) <= known
  assert out["label"].shape == (40, 40)
  assert out["image"].shape == (40, 40, 3)


@pytest.mark.parametrize("text", ["resize", "crop", "flip(1)", "rotate(20)"])
@pytest.mark.parametrize("seed", range(4))
def test_image_and_label_move_together(text, seed):
  """The label painted as an image stays the label, but for border pixels."""
  out = transforms.parse(text, (31, 61))(picture(80, 96, seed), rng(seed))
  valid = out["label"] != IGNORE
  painted = out["label"].astype(int) * 30
  close = np.abs(out["image"][..., 0].astype(int) - painted) <= 16
  # Pixels whose 8x8 block ends in their neighbourhood are mixtures.
  assert close[valid].mean() > 0.7
  moved = (
    np.abs(np.roll(out["image"][..., 0], 9, 1).astype(int) - painted) <= 16
  )
  assert close[valid].mean() > moved[valid].mean() + 0.1  # shifted: worse


def test_nearest_takes_the_pixel_that_holds_the_centre():
  row = np.arange(6)[None].repeat(2, 0)
  # 6 -> 4: centres at 0.75, 2.25, 3.75, 5.25; 6 -> 9: (i + .5) * 2 / 3.
  assert geometry.nearest(row, (1, 4)).tolist() == [[0, 2, 3, 5]]
  assert geometry.nearest(row, (1, 9))[0].tolist() == [
    0, 1, 1, 2, 3, 3, 4, 5, 5,
  ]  # fmt: skip


def test_lines_survive_shrinking():
  """One pixel wide, they go through any factor whole, by their strength."""
  line = np.zeros((24, 30), np.uint8)
  line[np.arange(24), np.arange(24)] = 60
  line[7], line[:, 12] = 40, 100
  for size in ((12, 15), (11, 13), (7, 30), (24, 9)):
    got = geometry.lines(line, size)
    assert got.shape == size
    assert (got.max(1) == 100).all()  # the vertical one, in every row
    row = got[int(7.5 * size[0] / 24)]
    assert (row >= 40).all()
    assert set(np.unique(got)) <= {0, 40, 60, 100}
    # The diagonal one has no gaps, seen with eight neighbours.
    on = np.isin(got, (60, 100, 40))
    for i in range(24):
      assert on[int((i + 0.5) * size[0] / 24), int((i + 0.5) * size[1] / 30)]
  lost = geometry.nearest(line, (12, 15))
  assert not (lost.max(1) == 100).all()
  # Larger is as of any label, and nothing stays nothing.
  np.testing.assert_array_equal(
    geometry.lines(line, (30, 47)), geometry.nearest(line, (30, 47))
  )


def test_lines_by_hand():
  """6 -> 4: centres at 1/3, 1, 5/3, 7/3, 3, 11/3; ignored only if all is."""
  row = np.array([[0, 20, 255, 255, 60, 255]], np.uint8)
  assert geometry.lines(row, (1, 4)).tolist() == [[0, 20, 255, 60]]
  assert geometry.lines(row[:, ::-1], (1, 2)).tolist() == [[60, 20]]


@pytest.mark.parametrize("seed", range(3))
def test_lines_move_with_the_picture(seed):
  """A picture with its lines painted broad: on a line it is not dark."""
  r = rng(seed)
  line = np.zeros((60, 80), np.uint8)
  for _ in range(3):
    line[r.integers(60)], line[:, r.integers(80)] = 100, 40
  broad = ndimage.grey_dilation(line, size=3)
  image = np.repeat(broad[..., None], 3, -1)
  fields = {"image": image, "boundary": line}
  text = "random_scale(0.5, 1.5)|rotate(20)|crop|flip"
  out = transforms.parse(text, (48, 48))(fields, r)
  got = out["boundary"]
  assert got.shape == (48, 48)
  assert set(np.unique(got)) <= {0, 40, 100, IGNORE}
  painted = out["image"][..., 0].astype(int)
  on = (got != IGNORE) & (got > 0)
  assert (painted[on] > 8).mean() > 0.98
  shifted = np.roll(painted, 5, (0, 1))
  assert (shifted[on] > 8).mean() < 0.8


def test_crop_outside_is_ignore_and_grey():
  out = geometry.crop(picture(4, 5), -1, 2, (6, 6))
  assert (out["label"][0] == IGNORE).all()
  assert (out["label"][5] == IGNORE).all()
  assert (out["label"][:, 3:] == IGNORE).all()
  assert (out["image"][0] == 128).all()
  assert (out["label"][1:5, :3] == picture(4, 5)["label"][:, 2:]).all()


def test_flip_negates_normals_swaps_sides_and_mirrors_the_camera():
  normal = np.zeros((4, 6, 3), np.float32)
  normal[..., 0], normal[..., 2] = 0.6, -0.8
  points = np.array([[[1.0, 2.0, 2.0], [4.5, 3.0, 1.0]]], np.float32)
  out = geometry.flip_lr(
    {
      "image": np.zeros((4, 6, 3), np.uint8),
      "normal": normal,
      "keypoints": points,
      "flip_pairs": [(0, 1)],
      "boxes": np.array([[0, 1, 2, 3, 5]], np.float32),
      "camera": np.array([9, 8, 2.5, 2], np.float32),
    }
  )
  np.testing.assert_allclose(out["normal"][0, 0], [-0.6, 0, -0.8])
  np.testing.assert_allclose(out["keypoints"], [[[1.5, 3, 1], [5, 2, 2]]])
  np.testing.assert_allclose(out["boxes"], [[0, 3, 2, 5, 5]])
  np.testing.assert_allclose(out["camera"], [9, 8, 3.5, 2])


def test_transposition_exchanges_rows_columns_and_all_that_goes_with_them():
  rng = np.random.default_rng(0)
  fields = {
    **picture(),
    "normal": rng.normal(size=(*picture()["image"].shape[:2], 3)),
    "boxes": np.array([[1, 2, 5, 4, 7]], np.float32),
    "camera": np.array([9, 8, 2.5, 2], np.float32),
  }
  out = geometry.transpose(fields)
  assert out["image"][3, 1].tolist() == fields["image"][1, 3].tolist()
  assert (
    out["normal"][3, 1].tolist() == fields["normal"][1, 3, [1, 0, 2]].tolist()
  )
  assert out["boxes"].tolist() == [[2, 1, 4, 5, 7]]
  assert out["camera"].tolist() == [8, 9, 2, 2.5]
  twice = geometry.transpose(out)
  for key in fields:
    np.testing.assert_array_equal(twice[key], fields[key])
  with pytest.raises(UserError, match="left and a right"):
    geometry.transpose({**fields, "keypoints": np.zeros((1, 2, 3))})
  with pytest.raises(UserError, match="48x64: give a square size"):
    transforms.parse("transpose", (48, 64))


def test_flip_twice_is_the_identity():
  fields = picture()
  twice = geometry.flip_lr(geometry.flip_lr(fields))
  assert (twice["image"] == fields["image"]).all()
  assert (twice["label"] == fields["label"]).all()


def test_points_follow_resize_crop_and_rotation():
  """A bright dot is found where its keypoint went."""
  image = np.zeros((60, 80, 3), np.uint8)
  image[20:25, 30:35] = 255  # centre (32.5, 22.5)
  fields = {
    "image": image,
    "keypoints": np.array([[[32.5, 22.5, 2.0]]], np.float32),
  }
  fields = geometry.resize(fields, (120, 200))
  fields = geometry.crop(fields, 10, 20, (100, 150))
  fields = geometry.rotate_by(fields, 15.0)
  y, x = np.nonzero(fields["image"][..., 0] > 200)
  found = np.array([x.mean() + 0.5, y.mean() + 0.5])
  np.testing.assert_allclose(found, fields["keypoints"][0, 0, :2], atol=0.6)


def test_rotation_turns_normals_with_the_picture():
  normal = np.zeros((21, 21, 3), np.float32)
  normal[..., 0] = 1  # to the right
  fields = {"image": np.zeros((21, 21, 3), np.uint8), "normal": normal}
  out = geometry.rotate_by(fields, 90.0)  # counter-clockwise: now up
  np.testing.assert_allclose(out["normal"][10, 10], [0, -1, 0], atol=1e-6)


def test_resize_scales_intrinsics_not_depth():
  fields = {
    "image": np.zeros((10, 20, 3), np.uint8),
    "depth": np.full((10, 20), 7.0, np.float32),
    "camera": np.array([20, 20, 10, 5], np.float32),
  }
  out = geometry.resize(fields, (20, 10))
  np.testing.assert_allclose(out["camera"], [10, 40, 5, 10])
  assert (out["depth"] == 7).all()


def test_photometric_leaves_labels_and_is_bounded():
  fields = picture()
  out = transforms.parse("photometric", (1, 1))(fields, rng(3))
  assert out["label"] is fields["label"]
  assert out["image"].dtype == np.uint8
  assert (out["image"] != fields["image"]).any()
  still = transforms.parse("photometric(0, 0, 0, 0)", (1, 1))(fields, rng(3))
  assert (still["image"] == fields["image"]).all()


def test_same_generator_same_result():
  apply = transforms.parse(ALL, (32, 32))
  a, b = apply(picture(), rng(5)), apply(picture(), rng(5))
  c = apply(picture(), rng(6))
  assert (a["image"] == b["image"]).all()
  assert (a["image"] != c["image"]).any()


@pytest.mark.parametrize(
  ("text", "says"),
  [
    ("flop", "Did you mean 'flip'"),
    ("crop(", "cannot be read"),
    ("resize(1, 2, 3, 4)", "too many"),
    ("flip(q=1)", "unexpected keyword"),
    ("__import__('os')", "unknown transform"),
    ("random_scale(2, 1)", "0 < low <= high"),
  ],
)
def test_bad_text(text, says):
  with pytest.raises(UserError, match=says.replace("(", r"\(")):
    transforms.parse(text, (8, 8))


def test_pad_refuses_a_larger_image():
  with pytest.raises(UserError, match="37x53, larger than"):
    transforms.parse("pad", (32, 32))(picture(), rng())
