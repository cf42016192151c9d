"""Picture files: every kind is read to known pixels, every fault is named."""

import io
import pathlib

import cv2
import numpy as np
import PIL.Image
import pytest

from jaxseg.data import images
from jaxseg.types import UserError


def _smooth(h=37, w=53, channels=3, seed=0):
  noise = np.random.default_rng(seed).normal(size=(h, w, channels))
  noise = cv2.GaussianBlur(noise, (0, 0), 6).reshape(h, w, channels)
  low, high = noise.min(), noise.max()
  return np.round((noise - low) / (high - low) * 255).astype(np.uint8)


def _encode(array, kind, **kwargs):
  out = io.BytesIO()
  PIL.Image.fromarray(array).save(out, kind, **kwargs)
  return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_files_come_back_exactly_in_rgb_order(kind, tmp_path):
  rgb = _smooth()
  extra = {"lossless": True} if kind == "WEBP" else {}
  path = tmp_path / "a.img"
  path.write_bytes(_encode(rgb, kind, **extra))
  np.testing.assert_array_equal(images.read_image(path), rgb)
  np.testing.assert_array_equal(images.read_image(path.read_bytes()), rgb)


def test_jpeg_agrees_with_pillow():
  data = _encode(_smooth(), "JPEG", quality=95)
  want = np.asarray(PIL.Image.open(io.BytesIO(data))).astype(int)
  assert np.abs(images.read_image(data).astype(int) - want).max() <= 3


def test_cmyk_jpeg_agrees_with_pillow():
  out = io.BytesIO()
  PIL.Image.fromarray(_smooth()).convert("CMYK").save(out, "JPEG", quality=98)
  want = PIL.Image.open(io.BytesIO(out.getvalue())).convert("RGB")
  got = images.read_image(out.getvalue()).astype(int)
  assert np.abs(got - np.asarray(want).astype(int)).max() <= 4


def test_grey_alpha_palette_and_sixteen_bits_become_rgb():
  rgb = _smooth()
  grey = rgb[..., 0]
  np.testing.assert_array_equal(
    images.read_image(_encode(grey, "PNG")), np.dstack([grey] * 3)
  )
  alpha = np.dstack([rgb, np.full_like(grey, 7)])
  np.testing.assert_array_equal(images.read_image(_encode(alpha, "PNG")), rgb)
  indexed = PIL.Image.fromarray(grey // 128)
  indexed.putpalette([9, 8, 7, 200, 100, 50])
  out = io.BytesIO()
  indexed.save(out, "PNG")
  want = np.array([[9, 8, 7], [200, 100, 50]])[grey // 128]
  np.testing.assert_array_equal(images.read_image(out.getvalue()), want)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_divided_by_257_and_rounded(kind):
  # 255 * 257 = 65535; 128 / 257 rounds to 0 and 129 / 257 to 1.
  deep = np.array([[0, 128, 129, 257, 30000, 65535]], np.uint16)
  got = images.read_image(_encode(deep, kind))
  assert got[0, :, 0].tolist() == [0, 0, 1, 1, 117, 255]
  assert got.dtype == np.uint8


def test_exif_rotation_is_applied():
  exif = PIL.Image.Exif()
  exif[0x0112] = 6  # the top of the picture is on the right of the raster
  rgb = np.zeros((16, 32, 3), np.uint8)
  rgb[:, 16:] = 255
  got = images.read_image(_encode(rgb, "JPEG", exif=exif, quality=95))
  assert got.shape == (32, 16, 3)
  assert got[:14].max() < 20
  assert got[18:].min() > 235


def test_masks_of_every_depth_give_their_ids():
  ids = np.arange(12).reshape(3, 4).astype(np.uint8)
  assert images.read_mask(_encode(ids, "PNG")).tolist() == ids.tolist()
  deep = ids.astype(np.uint16) * 1000
  got = images.read_mask(_encode(deep, "PNG"))
  assert got.dtype == np.uint16
  np.testing.assert_array_equal(got, deep)
  one_bit = _encode(ids > 5, "PNG")
  assert one_bit[24] == 1
  np.testing.assert_array_equal(images.read_mask(one_bit), ids > 5)
  same = np.dstack([ids] * 3)
  np.testing.assert_array_equal(images.read_mask(_encode(same, "PNG")), ids)


@pytest.mark.parametrize("count", [2, 4, 16, 256])
def test_palette_png_gives_indices_not_colours(count, tmp_path):
  rng = np.random.default_rng(1)
  palette = rng.integers(0, 256, (count, 3))
  ids = rng.integers(0, count, (20, 30))
  path = tmp_path / "m.png"
  images.write_png_palette(path, ids, palette)
  got = images.read_mask(path)
  np.testing.assert_array_equal(got, ids)
  # Any other program sees the colours.
  shown = np.asarray(PIL.Image.open(path).convert("RGB"))
  np.testing.assert_array_equal(shown, palette[ids])


def test_palette_png_of_fewer_bits_gives_indices():
  indexed = PIL.Image.fromarray(np.array([[0, 1, 2, 3]], np.uint8))
  indexed.putpalette([0, 0, 0, 10, 0, 0, 20, 0, 0, 30, 0, 0])
  out = io.BytesIO()
  indexed.save(out, "PNG", bits=2)
  assert out.getvalue()[24] == 2
  assert images.read_mask(out.getvalue()).tolist() == [[0, 1, 2, 3]]


def test_written_palette_keeps_ignore_and_refuses_unknown_ids(tmp_path):
  path = tmp_path / "m.png"
  images.write_png_palette(path, np.array([[0, 1, 255]]), [(1, 2, 3)] * 2)
  assert images.read_mask(path).tolist() == [[0, 1, 255]]
  shown = np.asarray(PIL.Image.open(path).convert("RGB"))
  assert shown[0, 2].tolist() == [224, 224, 192]
  for bad in (2, -1, 256):
    with pytest.raises(UserError, match=rf"m\.png: id {bad} "):
      images.write_png_palette(path, np.array([[bad]]), [(1, 2, 3)] * 2)


def test_colour_coded_masks_decode_by_the_palette():
  palette = [(128, 64, 128), (0, 0, 142), (250, 170, 30)]
  ids = np.random.default_rng(0).integers(0, 3, (9, 11))
  rgb = np.array(palette, np.uint8)[ids]
  table = images.color_table(palette)
  data = _encode(rgb, "PNG")
  np.testing.assert_array_equal(images.read_mask(data, table), ids)
  # Ids need not be in order or dense.
  table = {(128, 64, 128): 7, (0, 0, 142): 255, (250, 170, 30): 300}
  want = np.array([7, 255, 300])[ids]
  np.testing.assert_array_equal(images.read_mask(data, table), want)
  # With a palette the colours of an indexed file count, not its indices.
  indexed = PIL.Image.fromarray(rgb).quantize(3)
  out = io.BytesIO()
  indexed.save(out, "PNG")
  np.testing.assert_array_equal(images.read_mask(out.getvalue(), table), want)


def test_unknown_colours_are_listed_with_their_counts():
  rgb = np.zeros((4, 5, 3), np.uint8)
  rgb[0, :3] = (1, 2, 3)
  rgb[1, 0] = (9, 9, 9)
  with pytest.raises(UserError) as e:
    images.read_mask(_encode(rgb, "PNG"), {(0, 0, 0): 0}, name="x/y.png")
  text = str(e.value)
  assert "x/y.png" in text
  assert text.index("(1, 2, 3) in 3 pixels") < text.index("(9, 9, 9) in 1")


def test_two_ids_of_one_colour_are_refused():
  with pytest.raises(UserError, match=r"ids 0 and 2 .* \(1, 1, 1\)"):
    images.color_table([(1, 1, 1), (2, 2, 2), (1, 1, 1)])


def test_lossy_or_coloured_masks_are_refused(tmp_path):
  rgb = _smooth()
  for kind in ("JPEG", "WEBP"):
    path = tmp_path / f"m.{kind}"
    path.write_bytes(_encode(rgb, kind))
    with pytest.raises(UserError, match=rf"m\.{kind} is compressed with loss"):
      images.read_mask(path)
  path = tmp_path / "m.png"
  path.write_bytes(_encode(rgb, "PNG"))
  with pytest.raises(UserError, match=r"m\.png is in colour"):
    images.read_mask(path)
  path = tmp_path / "m.tif"
  path.write_bytes(_encode(rgb[..., 0].astype(np.float32), "TIFF"))
  with pytest.raises(UserError, match=r"m\.tif holds float32"):
    images.read_mask(path)
  path.write_bytes(cv2.imencode(".tif", rgb.astype(np.float32))[1].tobytes())
  with pytest.raises(UserError, match=r"m\.tif "):
    images.read_image(path)


def _broken(tmp_path):
  """Path -> what its error has to say."""
  rgb = _smooth(100, 120)
  cases = {}
  for kind in ("JPEG", "PNG", "BMP", "TIFF", "WEBP"):
    data = _encode(rgb, kind)
    for part in (0.5, 0.97):
      path = tmp_path / f"cut{part}.{kind}"
      path.write_bytes(data[: int(len(data) * part)])
      sure = kind in ("JPEG", "PNG")
      cases[path] = "is cut off" if sure else "cannot be decoded"
  (tmp_path / "empty.jpg").write_bytes(b"")
  cases[tmp_path / "empty.jpg"] = "is empty"
  (tmp_path / "text.png").write_text("not a picture")
  cases[tmp_path / "text.png"] = "cannot be decoded"
  (tmp_path / "folder.png").mkdir()
  cases[tmp_path / "folder.png"] = "is a folder"
  cases[tmp_path / "none.png"] = "does not exist"
  return cases


def test_every_broken_file_is_named(tmp_path):
  for path, text in _broken(tmp_path).items():
    with pytest.raises(UserError) as e:
      images.read_image(path)
    assert str(path) in str(e.value)
    assert text in str(e.value), path
    if path.suffix not in (".JPEG", ".WEBP"):
      with pytest.raises(UserError, match=text):
        images.read_mask(path)


def test_jpeg_cut_behind_its_thumbnail_is_still_cut_off():
  # The thumbnail in the header brings an end marker of its own.
  thumb = _encode(_smooth(8, 8), "JPEG")
  assert thumb.endswith(b"\xff\xd9")
  data = _encode(_smooth(100, 120), "JPEG")
  block = b"\xff\xe1" + (len(thumb) + 2).to_bytes(2, "big") + thumb
  whole = data[:2] + block + data[2:]
  assert images.read_image(whole + b"camera notes").shape == (100, 120, 3)
  with pytest.raises(UserError, match=r"t\.jpg is cut off"):
    images.read_image(whole[: len(whole) * 3 // 4], name="t.jpg")


def test_damaged_palette_png_is_named(tmp_path):
  path = tmp_path / "m.png"
  ids = np.random.default_rng(0).integers(0, 9, (50, 50))
  images.write_png_palette(path, ids, [(i, i, i) for i in range(9)])
  data = bytearray(path.read_bytes())
  at = data.index(b"IDAT") + 200
  data[at] ^= 0x55
  path.write_bytes(bytes(data))
  with pytest.raises(UserError, match=r"m\.png is a damaged"):
    images.read_mask(path)


def _touch(folder, *names):
  for name in names:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")


def test_listing_sorts_naturally_and_looks_into_folders(tmp_path):
  _touch(tmp_path, "a10.png", "a2.JPG", "b/c1.webp", ".a.png", "notes.txt")
  names = [p.relative_to(tmp_path) for p in images.list_images(tmp_path)]
  assert names == [pathlib.Path(n) for n in ("a2.JPG", "a10.png", "b/c1.webp")]
  some = images.list_images([tmp_path / "a10.png", str(tmp_path / "a*.*")])
  assert [p.name for p in some] == ["a10.png", "a2.JPG"]
  deep = images.list_images(str(tmp_path / "**/*.webp"))
  assert [p.name for p in deep] == ["c1.webp"]


def test_a_name_that_looks_like_a_pattern_is_taken_literally(tmp_path):
  _touch(tmp_path, "x[1].png")
  assert images.list_images(tmp_path / "x[1].png")[0].name == "x[1].png"


def test_listing_nothing_is_an_error(tmp_path):
  _touch(tmp_path, "notes.txt")
  (tmp_path / "empty").mkdir()
  for pattern, text in [
    (tmp_path / "empty", "folder .*empty"),
    (tmp_path / "*.png", r"pattern .*\*\.png"),
    (tmp_path / "gone.jpg", r"file or pattern .*gone\.jpg"),
  ]:
    with pytest.raises(UserError, match=text):
      images.list_images(pattern)
  with pytest.raises(UserError, match="no input"):
    images.list_images([])
