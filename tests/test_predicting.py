"""Files in, files out: right values, right names, faults named at the end."""

import io
import pathlib
import threading

import cv2
import numpy as np
import PIL.Image
import pytest
from rich.console import Console

from jaxseg import predicting
from jaxseg.data import images
from jaxseg.serving import paths
from jaxseg.types import UserError

PALETTE = ((0, 0, 0), (250, 10, 20), (30, 240, 40))


class Task:
  palette = PALETTE
  classes = ("ground", "red", "green")


def _write_image(path, h=12, w=17, seed=0):
  path.parent.mkdir(parents=True, exist_ok=True)
  rgb = np.random.default_rng(seed).integers(0, 256, (h, w, 3), np.uint8)
  PIL.Image.fromarray(rgb).save(path)
  return images.read_image(path)


def _label(image):
  return (image.astype(int).sum(-1) % 3).astype(np.uint8)


def _semantic(image):
  return {"label": _label(image)}


def _files(folder):
  return sorted(
    str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()
  )


def _run(fn, paths, out, **kwargs):
  kwargs = {"task": Task(), "console": Console(quiet=True), **kwargs}
  return predicting.predict_files(fn, paths, out, **kwargs)


def test_labels_come_out_at_each_inputs_own_size(tmp_path):
  sizes = [(12, 17), (40, 9), (1, 30)]
  paths = [tmp_path / f"in/{i}.png" for i in range(3)]
  inputs = [
    _write_image(p, *size, seed=i)
    for i, (p, size) in enumerate(zip(paths, sizes))
  ]
  out = tmp_path / "out"
  assert _run(_semantic, paths, out) == 3
  assert _files(out) == [
    "0.png",
    "0_overlay.jpg",
    "1.png",
    "1_overlay.jpg",
    "2.png",
    "2_overlay.jpg",
    "contact_sheet.jpg",
  ]
  for i, image in enumerate(inputs):
    got = images.read_mask(out / f"{i}.png")
    np.testing.assert_array_equal(got, _label(image))
    shown = np.asarray(PIL.Image.open(out / f"{i}.png").convert("RGB"))
    np.testing.assert_array_equal(shown, np.array(PALETTE)[_label(image)])
    overlay = images.read_image(out / f"{i}_overlay.jpg")
    assert overlay.shape == image.shape


def test_folders_and_endings_keep_names_apart(tmp_path):
  names = ["a/x.png", "b/x.png", "b/x.bmp", "b/x_png.tif", "y.png"]
  paths = [tmp_path / "in" / n for n in names]
  labels = {
    n: _label(_write_image(p, seed=len(n))) for n, p in zip(names, paths)
  }
  out = tmp_path / "out"
  _run(_semantic, paths, out, sheet=0)
  want = {
    "a/x.png": "a/x",
    "b/x.png": "b/x_png_",  # x_png belongs to the tif
    "b/x.bmp": "b/x_bmp",
    "b/x_png.tif": "b/x_png",
    "y.png": "y",
  }
  assert len(_files(out)) == 10
  for name, stem in want.items():
    got = images.read_mask(out / f"{stem}.png")
    np.testing.assert_array_equal(got, labels[name])


def test_a_deep_folder_is_not_repeated_below_the_results(tmp_path):
  path = tmp_path / "very/deep/x.png"
  assert paths.result_names([path]) == ["x"]
  both = [path, tmp_path / "very/y.v2.png"]
  assert paths.result_names(both) == ["deep/x", "y.v2"]


def test_depth_writes_metres_and_a_picture_with_a_scale(tmp_path):
  path = tmp_path / "in/x.png"
  image = _write_image(path, 60, 50)

  def depth(image):
    return {"depth": image[..., 0] / 10 + 1.0, "error": image[..., 1] / 2.0}

  out = tmp_path / "out"
  _run(depth, [path], out)
  assert _files(out) == [
    "contact_sheet.jpg",
    "x.npy",
    "x_depth.jpg",
    "x_error.npy",
  ]
  got = np.load(out / "x.npy")
  assert got.dtype == np.float32
  np.testing.assert_allclose(got, image[..., 0] / 10 + 1.0, rtol=1e-6)
  np.testing.assert_array_equal(
    np.load(out / "x_error.npy"), image[..., 1] / 2.0
  )
  picture = images.read_image(out / "x_depth.jpg")
  assert picture.shape[0] == 60
  assert picture.shape[1] > 50


def test_pictures_in_rgb_and_normals(tmp_path):
  path = tmp_path / "in/x.png"
  image = _write_image(path)

  def restored(image):
    return {
      "image": 1 - image.astype(np.float32) / 255,
      "normal": np.zeros(image.shape, np.float32) - np.float32([0, 0, 1]),
    }

  out = tmp_path / "out"
  _run(restored, [path], out)
  np.testing.assert_array_equal(images.read_image(out / "x.png"), 255 - image)
  assert (np.load(out / "x_normal.npy") == [0, 0, -1]).all()
  blue = images.read_image(out / "x_normal.jpg").astype(int)
  assert np.abs(blue - [128, 128, 255]).max() <= 3


def test_boundaries_are_dark_on_white(tmp_path):
  path = tmp_path / "in/x.png"
  h, w = _write_image(path).shape[:2]
  strength = np.zeros((h, w), np.float32)
  strength[:, w // 2 :] = 1

  out = tmp_path / "out"
  _run(lambda image: {"boundary": strength}, [path], out)
  np.testing.assert_array_equal(np.load(out / "x_boundary.npy"), strength)
  drawn = images.read_image(out / "x_boundary.jpg").astype(int)
  assert np.abs(drawn[..., 0] - 255 * (1 - strength)).mean() < 5


def test_superpixels_are_outlined(tmp_path):
  path = tmp_path / "in/x.png"
  image = _write_image(path)
  segments = np.zeros(image.shape[:2], np.int32)
  segments[:, 7:] = 1
  drawn = predicting.pictures(image, {"segments": segments}, ())["segments"]
  changed = (drawn != image).any(-1)
  assert changed[:, 6].all()
  assert not np.delete(changed, 6, 1).any()

  out = tmp_path / "out"
  _run(lambda image: {"segments": segments}, [path], out)
  np.testing.assert_array_equal(np.load(out / "x_segments.npy"), segments)
  assert images.read_image(out / "x_segments.jpg").shape == image.shape


def test_more_classes_than_a_palette_holds(tmp_path):
  path = tmp_path / "in/x.png"
  _write_image(path, 3, 4)
  want = np.arange(12).reshape(3, 4) * 90
  palette = np.random.default_rng(0).integers(0, 256, (1000, 3))

  class Many:
    pass

  Many.palette = palette
  _run(lambda _: {"label": want}, [path], tmp_path / "o", task=Many())
  np.testing.assert_array_equal(images.read_mask(tmp_path / "o/x.png"), want)


def test_unreadable_files_are_skipped_and_named_at_the_end(tmp_path):
  paths = [tmp_path / f"in/{i}.png" for i in range(4)]
  for path in paths:
    _write_image(path)
  data = paths[1].read_bytes()
  paths[1].write_bytes(data[: len(data) // 2])
  out = tmp_path / "out"
  console = Console(file=io.StringIO(), soft_wrap=True)
  paths[3].write_bytes(b"")
  with pytest.raises(UserError) as e:
    _run(_semantic, paths, out, console=console)
  text = str(e.value)
  assert "2 of 4" in text
  assert f"{paths[1]} is cut off" in text
  assert f"{paths[3]} is empty" in text
  assert "0.png is" not in text
  done = {"0.png", "2.png", "contact_sheet.jpg"}
  assert done <= set(_files(out))
  assert not {"1.png", "3.png"} & set(_files(out))
  assert f"skipped: {paths[1]} is cut off" in console.file.getvalue()


def test_results_never_overwrite_inputs(tmp_path):
  path = tmp_path / "x.png"
  _write_image(path)
  before = path.read_bytes()
  with pytest.raises(UserError, match=r"x\.png would overwrite an input"):
    _run(_semantic, [path], tmp_path)
  assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
  _write_image(tmp_path / "in/x.png")
  (tmp_path / "file").write_text("in the way")
  with pytest.raises(UserError, match=r"file.* cannot be written"):
    _run(_semantic, [tmp_path / "in/x.png"], tmp_path / "file")


def test_the_same_file_twice_and_no_file_are_refused(tmp_path):
  path = pathlib.Path(tmp_path / "x.png")
  with pytest.raises(UserError, match=r"x\.png was given twice"):
    paths.result_names([path, path])
  with pytest.raises(UserError, match="no image"):
    paths.result_names([])


def test_a_fault_of_the_network_names_the_image(tmp_path):
  _write_image(tmp_path / "x.png")

  def broken(_):
    raise RuntimeError("out of memory")

  with pytest.raises(RuntimeError) as e:
    _run(broken, [tmp_path / "x.png"], tmp_path / "out")
  assert "x.png" in e.value.__notes__[0]


def test_only_a_few_images_are_in_memory_at_once(tmp_path, monkeypatch):
  paths = [tmp_path / f"in/{i:02}.png" for i in range(20)]
  for path in paths:
    _write_image(path, 4, 4)
  read, done, gap = [], [], []
  lock = threading.Lock()
  original = images.read_image

  def counted(path):
    with lock:
      read.append(path)
      gap.append(len(read) - len(done))
    return original(path)

  def finish(image):
    with lock:
      done.append(1)
    return _semantic(image)

  monkeypatch.setattr(images, "read_image", counted)
  assert _run(finish, paths, tmp_path / "out") == 20
  assert len(read) == 20
  assert max(gap) <= predicting.AHEAD + 1


def test_the_contact_sheet_shows_images_pictures_and_legend(tmp_path):
  paths = [tmp_path / f"in/{i}.png" for i in range(5)]
  for i, path in enumerate(paths):
    path.parent.mkdir(exist_ok=True)
    flat = np.full((30, 40, 3), (0, 0, 100 + 30 * i), np.uint8)
    cv2.imwrite(str(path), flat[..., ::-1])
  out = tmp_path / "out"

  def none(image, pred):
    return {"mark": np.full((30, 40, 3), (255, 0, 255), np.uint8)}

  _run(_semantic, paths, out, render=none, sheet=3)
  sheet = images.read_image(out / "contact_sheet.jpg").astype(int)

  def area(color):  # JPEG is not exact
    return (np.abs(sheet - color).max(-1) <= 12).sum()

  # 30 x 40 pixels enlarged six times, three rows of it.
  assert abs(area((255, 0, 255)) / (3 * 180 * 240) - 1) < 0.05
  for i in range(5):
    shown = area((0, 0, 100 + 30 * i)) > 180 * 240 * 0.9
    assert shown == (i < 3)
  assert area(PALETTE[1]) > 100
  assert "4_mark.jpg" in _files(out)
