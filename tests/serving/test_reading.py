"""Image files as rows: what training reads, without what training needs."""

import numpy as np
import PIL.Image
import pytest

from jaxseg.data import images
from jaxseg.serving import reading
from jaxseg.types import UserError


def _rgb(h=20, w=37):
  return np.random.default_rng(0).integers(0, 256, (h, w, 3), np.uint8)


def _all(source):
  return source.rows(0, source.height)


def test_all_kinds_of_pictures_are_read_as_training_reads_them(tmp_path):
  rgb = _rgb()
  picture = PIL.Image.fromarray(rgb)
  exif = PIL.Image.Exif()
  exif[0x0112] = 6  # a quarter turn
  deep = (rgb[..., 0].astype(np.uint16) * 257) + 100
  saved = {
    "rgb.png": (picture, {}),
    "rgba.png": (PIL.Image.fromarray(np.dstack([rgb, rgb[..., :1]])), {}),
    "palette.png": (picture.quantize(16), {}),
    "grey.png": (picture.convert("L"), {}),
    "deep.png": (PIL.Image.fromarray(deep), {}),
    "lossy.jpg": (picture, {"quality": 90}),
    "turned.jpg": (picture, {"exif": exif.tobytes()}),
    "old.bmp": (picture, {}),
    "scan.tif": (picture, {}),
    "web.webp": (picture, {"lossless": True}),
  }
  for name, (image, options) in saved.items():
    image.save(tmp_path / name, **options)
    want = images.read_image(tmp_path / name)
    source = reading.open_image(tmp_path / name)
    assert (source.height, source.width) == want.shape[:2], name
    gap = np.abs(_all(source).astype(int) - want)
    # Decoders of JPEG differ by a level or two.
    assert gap.max() <= (3 if name.endswith("jpg") else 0), name


def test_plain_files_are_read_by_rows(tmp_path):
  rgb = _rgb()
  np.save(tmp_path / "a.npy", rgb)
  np.save(tmp_path / "g.npy", rgb[..., 0])
  PIL.Image.fromarray(rgb).save(tmp_path / "a.ppm")
  PIL.Image.fromarray(rgb[..., 0]).save(tmp_path / "g.pgm")
  data = (tmp_path / "a.ppm").read_bytes()
  head, body = data[:2], data[-rgb.size :]
  noted = head + b" # a\n# note\n37\n#\n20 255\n" + body
  (tmp_path / "noted.ppm").write_bytes(noted)
  for name in ("a.npy", "a.ppm", "noted.ppm"):
    source = reading.open_image(tmp_path / name)
    assert (source.height, source.width) == (20, 37)
    np.testing.assert_array_equal(source.rows(3, 11), rgb[3:11])
    np.testing.assert_array_equal(_all(source), rgb)
  for name in ("g.npy", "g.pgm"):
    grey = rgb[5:6, :, :1].repeat(3, 2)
    got = reading.open_image(tmp_path / name).rows(5, 6)
    np.testing.assert_array_equal(got, grey)


def test_a_file_larger_than_what_is_asked_for_is_not_read_whole(tmp_path):
  """A sparse file of a terabyte."""
  path = tmp_path / "huge.npy"
  shape = (600_000, 600_000, 3)
  with path.open("wb") as file:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    file.seek(file.tell() + int(np.prod(shape)) - 1)
    file.write(b"\7")
  source = reading.open_image(path)
  last = source.rows(599_999, 600_000)
  assert last[0, -1].tolist() == [0, 0, 7]


@pytest.mark.parametrize(
  ("name", "make", "text"),
  [
    ("none.png", None, "none.png cannot be opened"),
    ("empty.png", lambda p: p.write_bytes(b""), r"empty \(0 bytes\)"),
    ("text.png", lambda p: p.write_text("hello"), "cannot be decoded"),
    ("four.npy", lambda p: np.save(p, np.zeros((2, 3, 4), "u1")), "2, 3, 4"),
    ("float.npy", lambda p: np.save(p, np.zeros((2, 3, 3))), "float64"),
    ("list.npy", lambda p: p.write_text("1 2 3"), "numpy.save"),
    ("zero.npy", lambda p: np.save(p, np.zeros((0, 3, 3), "u1")), "no pixel"),
    ("text.ppm", lambda p: p.write_text("P3 1 1 255 0 0 0"), "P6 or P5"),
    ("cut.ppm", lambda p: p.write_bytes(b"P6 4 4 255 ab"), "13 of 59 bytes"),
  ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, make, text):
  path = tmp_path / name
  if make:
    make(path)
  with pytest.raises(UserError, match=text) as e:
    reading.open_image(path)
  assert str(path) in str(e.value)


def test_a_picture_cut_in_half_is_refused(tmp_path):
  PIL.Image.fromarray(_rgb(200, 200)).save(tmp_path / "a.png")
  PIL.Image.fromarray(_rgb(200, 200)).save(tmp_path / "a.jpg")
  for name in ("a.png", "a.jpg"):
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=rf"{name} cannot be decoded"):
      reading.open_image(tmp_path / name)


def test_without_pillow_the_plain_formats_are_left(tmp_path, monkeypatch):
  monkeypatch.setattr(reading, "has_pillow", lambda: False)
  assert reading.suffixes() == (".npy", ".ppm", ".pgm")
  (tmp_path / "a.jpg").write_bytes(b"x")
  with pytest.raises(UserError, match="pip install pillow, or convert it"):
    reading.open_image(tmp_path / "a.jpg")
