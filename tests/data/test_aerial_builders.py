"""Aerial data sets: raw folders in their layouts, made and read again."""

import cv2
import numpy as np
import pytest

from jaxseg.data import decode, drone_classes, images, prepare, sources
from jaxseg.data.builders import semantic_drone
from jaxseg.data.datasets import DUBAI_AERIAL, SEMANTIC_DRONE
from jaxseg.types import IGNORE, UserError


def write(path, array):
  path.parent.mkdir(parents=True, exist_ok=True)
  assert cv2.imwrite(str(path), array)


def dubai_raw(root):
  rng = np.random.default_rng(0)
  for name in ("tile1_001", "tile1_002", "tile3_001"):
    write(root / f"images/{name}.jpg", rng.integers(0, 255, (9, 12, 3)))
    write(root / f"masks/{name}.png", rng.integers(0, 6, (9, 12)))
  (root / "suggested_train.txt").write_text("tile1_001\ntile1_002\n")
  (root / "suggested_val.txt").write_text("tile3_001\n")
  return root


def read_all(spec, split, place):
  source = sources.open_source(spec, split, str(place))
  decoder = decode.decoder_of(spec)
  return [
    (source.name_of(i), decoder(source[i], lambda: "x"))
    for i in range(len(source))
  ]


def test_dubai_round_trip(tmp_path):
  raw = dubai_raw(tmp_path / "raw")
  prepare.prepare(DUBAI_AERIAL, str(tmp_path / "tfds"), str(raw))
  train = read_all(DUBAI_AERIAL, "train", tmp_path / "tfds")
  (name, val), = read_all(DUBAI_AERIAL, "val", tmp_path / "tfds")  # fmt: skip
  assert len(train) == 2
  assert "tile3_001.jpg" in name
  ids = images.read_mask(raw / "masks/tile3_001.png")
  np.testing.assert_array_equal(val["label"], np.where(ids == 5, IGNORE, ids))
  np.testing.assert_array_equal(
    val["image"], images.read_image(raw / "images/tile3_001.jpg")
  )


def test_dubai_mistakes_name_the_file(tmp_path):
  raw = dubai_raw(tmp_path / "raw")
  target = str(tmp_path / "tfds")
  (raw / "masks/tile1_002.png").unlink()
  with pytest.raises(UserError, match="masks/tile1_002 is not there"):
    prepare.prepare(DUBAI_AERIAL, target, str(raw))
  (raw / "suggested_val.txt").write_text("")
  with pytest.raises(UserError, match=r"suggested_val.txt is empty"):
    prepare.prepare(DUBAI_AERIAL, target, str(raw))
  (raw / "suggested_val.txt").unlink()
  with pytest.raises(UserError, match=r"suggested_val.txt is not there"):
    prepare.prepare(DUBAI_AERIAL, target, str(raw))


LAYOUTS = {
  "download": (
    "training_set/images",
    "training_set/gt/semantic/label_images",
  ),
  "copy": (
    "original_images",
    "RGB_color_image_masks/RGB_color_image_masks",
  ),
}


def drone_raw(root, layout, count=12):
  """Pictures of 24 stripes, whose colours are those of the classes in turn."""
  colors = np.array([c for _, c in drone_classes.CLASSES], np.uint8)
  folder, masks = LAYOUTS[layout]
  for i in range(count):
    ids = (np.arange(24) + i) % 24
    rgb = colors[ids].repeat(2, 0)[None].repeat(6, 0)  # (6, 48, 3)
    write(root / folder / f"{i:03d}.jpg", np.full((6, 48, 3), 10 * i))
    write(root / masks / f"{i:03d}.png", rgb[..., ::-1])
  return root


@pytest.mark.parametrize("layout", LAYOUTS)
def test_drone_round_trip(layout, tmp_path):
  raw = drone_raw(tmp_path / "raw", layout)
  prepare.prepare(SEMANTIC_DRONE, str(tmp_path / "tfds"), str(raw))
  seen = []
  for split, size in (("train", 10), ("val", 1), ("test", 1)):
    examples = read_all(SEMANTIC_DRONE, split, tmp_path / "tfds")
    assert len(examples) == size
    for name, fields in examples:
      number = int(name.split("(")[1][:3])
      seen.append(number)
      ids = (np.arange(24) + number) % 24
      # 0 is unlabeled and 23 conflicting; the classes between count from 0.
      want = np.where((ids == 0) | (ids == 23), IGNORE, ids - 1).repeat(2)
      np.testing.assert_array_equal(fields["label"], want[None].repeat(6, 0))
      assert abs(fields["image"].astype(int) - 10 * number).max() <= 2
  assert sorted(seen) == list(range(12))  # every image once


def test_drone_classes_are_those_of_the_table():
  assert len(drone_classes.CLASSES) == 24
  assert SEMANTIC_DRONE.num_classes == 22
  for i, name in enumerate(SEMANTIC_DRONE.classes):
    assert drone_classes.CLASSES[i + 1][0] == name
    assert SEMANTIC_DRONE.label_table[i + 1] == i
  split = semantic_drone.split_names([f"{i:03d}" for i in range(400)])
  assert {k: len(v) for k, v in split.items()} == SEMANTIC_DRONE.sizes


def test_drone_pictures_are_reduced_without_new_colours(monkeypatch):
  monkeypatch.setattr(semantic_drone, "LONGEST", 5)
  rng = np.random.default_rng(0)
  image = rng.integers(0, 255, (7, 11, 3), np.uint8)
  label = rng.integers(0, 24, (7, 11), np.uint8)
  small, ids = semantic_drone.reduced(image, label)  # by 3
  assert ids.tolist() == label[1:6:3, 1:9:3].tolist()  # middles of blocks
  want = image[:6, :9].reshape(2, 3, 3, 3, 3).mean((1, 3))
  np.testing.assert_allclose(small, want, atol=0.51)
  same, unchanged = semantic_drone.reduced(image[:4, :5], label[:4, :5])
  assert (same == image[:4, :5]).all()
  assert (unchanged == label[:4, :5]).all()


def test_drone_mistakes_name_the_file(tmp_path):
  target = str(tmp_path / "tfds")
  (tmp_path / "other/pictures").mkdir(parents=True)
  with pytest.raises(UserError, match=r"no folder of images: expected one of"):
    prepare.prepare(SEMANTIC_DRONE, target, str(tmp_path / "other"))
  raw = drone_raw(tmp_path / "raw", "copy", 3)
  mask = raw / LAYOUTS["copy"][1] / "001.png"
  write(mask, np.full((6, 48, 3), 77, np.uint8))
  with pytest.raises(UserError, match=r"001.png has colours .*\(77, 77, 77\)"):
    prepare.prepare(SEMANTIC_DRONE, target, str(raw))
  write(mask, np.zeros((5, 48, 3), np.uint8))
  with pytest.raises(UserError, match=r"\(6, 48\) pixels and .*\(5, 48\)"):
    prepare.prepare(SEMANTIC_DRONE, target, str(raw))
  mask.unlink()
  with pytest.raises(UserError, match=r"001 is not there, with any ending"):
    prepare.prepare(SEMANTIC_DRONE, target, str(raw))
