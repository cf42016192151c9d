"""Files that grow: other readers find in them what was written."""

import struct
import zlib

import cv2
import numpy as np
import PIL.Image
import pytest

from jaxseg.serving import writing


def _write(path, kind, array, *more):
  """In strips of 1, 2, 3 ... rows."""
  with writing.Png(path, array.shape[:2], kind, *more) as png:
    y, n = 0, 1
    while y < len(array):
      png.write(array[y : y + n])
      y, n = y + n, n + 1


def test_pictures_read_back_by_pillow_and_opencv(tmp_path):
  rng = np.random.default_rng(0)
  ids = rng.integers(0, 256, (31, 17)).astype(np.uint8)
  table = rng.integers(0, 256, (256, 3)).astype(np.uint8)
  _write(tmp_path / "a.png", "palette", ids, table)
  with PIL.Image.open(tmp_path / "a.png") as image:
    assert image.mode == "P"
    np.testing.assert_array_equal(np.array(image), ids)
    np.testing.assert_array_equal(np.array(image.convert("RGB")), table[ids])

  rgb = rng.integers(0, 256, (31, 17, 3)).astype(np.uint8)
  _write(tmp_path / "b.png", "rgb", rgb)
  np.testing.assert_array_equal(PIL.Image.open(tmp_path / "b.png"), rgb)
  bgr = cv2.imread(str(tmp_path / "b.png"))
  np.testing.assert_array_equal(bgr[..., ::-1], rgb)

  deep = rng.integers(0, 65536, (9, 5)).astype(np.uint16)
  _write(tmp_path / "c.png", "grey16", deep)
  got = cv2.imread(str(tmp_path / "c.png"), cv2.IMREAD_UNCHANGED)
  np.testing.assert_array_equal(got, deep)


def test_every_chunk_has_the_checksum_of_the_standard(tmp_path):
  _write(tmp_path / "a.png", "rgb", np.ones((40, 30, 3), np.uint8))
  data = (tmp_path / "a.png").read_bytes()
  at, names = 8, []
  while at < len(data):
    (size,) = struct.unpack(">I", data[at : at + 4])
    body = data[at + 4 : at + 8 + size]
    (crc,) = struct.unpack(">I", data[at + 8 + size : at + 12 + size])
    assert crc == zlib.crc32(body)
    names.append(body[:4])
    at += 12 + size
  assert (names[0], names[-1]) == (b"IHDR", b"IEND")


def test_an_array_reads_back_by_numpy(tmp_path):
  want = np.random.default_rng(0).random((7, 4, 2), np.float32)
  with writing.Npy(tmp_path / "a.npy", want.shape, want.dtype) as file:
    file.write(want[:3])
    file.write(want[3:])
  np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), want)


def test_a_broken_run_leaves_no_file(tmp_path):
  seen = []

  def broken():
    with writing.Png(tmp_path / "a.png", (4, 4), "rgb") as png:
      png.write(np.zeros((2, 4, 3), np.uint8))
      seen.extend(p.name for p in tmp_path.iterdir())
      raise RuntimeError("halfway")

  with pytest.raises(RuntimeError, match="halfway"):
    broken()
  assert seen == ["a.png.part"]
  assert list(tmp_path.iterdir()) == []
