"""Images and masks of every malformed kind: read, or refused in a sentence.

A corpus that code builds, and bytes that Hypothesis draws. Both readers: that
of training and prediction, and that of the program that serves artifacts.
"""

import io
import os
import struct
import zlib

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxseg.data import decode, folder, images, sources
from jaxseg.serving import reading
from tests.faults import fuzz

# Pillow warns of what it then refuses, or reads around.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

RNG = np.random.default_rng(11)
PIXELS = RNG.integers(0, 256, (24, 31, 3), np.uint8)
IDS = RNG.integers(0, 2, (24, 31), np.uint8)


def saved(mode, kind, array=None, **options):
  file = io.BytesIO()
  picture = PIL.Image.fromarray(PIXELS if array is None else array)
  picture.convert(mode).save(file, kind, **options)
  return file.getvalue()


def encoded(suffix, array):
  return cv2.imencode(suffix, array)[1].tobytes()


def animated(kind):
  frames = [PIL.Image.fromarray(np.roll(PIXELS, i, 0)) for i in range(3)]
  file = io.BytesIO()
  frames[0].save(file, kind, save_all=True, append_images=frames[1:])
  return file.getvalue()


def png(width, height, depth=8, color=2, data=b"", order=(0,)):
  """A PNG whose header says anything; chunks with right checksums."""

  def chunk(name, body):
    crc = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)

  head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, order[0])
  return b"".join(
    [
      b"\x89PNG\r\n\x1a\n",
      chunk(b"IHDR", head),
      chunk(b"IDAT", zlib.compress(data)),
      chunk(b"IEND", b""),
    ]
  )


def npy(array):
  file = io.BytesIO()
  np.save(file, array, allow_pickle=True)
  return file.getvalue()


# name -> bytes: whole files of every kind, wanted or not.
WHOLE = {
  "rgb.png": saved("RGB", "PNG"),
  "grey.png": saved("L", "PNG"),
  "alpha.png": saved("RGBA", "PNG"),
  "grey_alpha.png": saved("LA", "PNG"),
  "palette.png": saved("P", "PNG"),
  "bits1.png": saved("1", "PNG"),
  "sixteen.png": encoded(".png", PIXELS.astype(np.uint16) * 257),
  "sixteen_grey.png": encoded(".png", IDS.astype(np.uint16) * 40000),
  "ids.png": encoded(".png", IDS),
  "rgb.jpg": saved("RGB", "JPEG"),
  "grey.jpg": saved("L", "JPEG"),
  "cmyk.jpg": saved("CMYK", "JPEG"),
  "progressive.jpg": saved("RGB", "JPEG", progressive=True),
  "rgb.bmp": saved("RGB", "BMP"),
  "rgb.webp": saved("RGB", "WEBP"),
  "lossless.webp": saved("RGB", "WEBP", lossless=True),
  "rgb.tif": saved("RGB", "TIFF"),
  "float.tif": encoded(".tif", PIXELS.astype(np.float32)),
  "palette.gif": saved("P", "GIF"),
  "animated.gif": animated("GIF"),
  "animated.png": animated("PNG"),
  "animated.webp": animated("WEBP"),
  "pages.tif": animated("TIFF"),
  "one.png": saved("RGB", "PNG", PIXELS[:1, :1]),
  "wide.png": encoded(".png", np.zeros((1, 100_000), np.uint8)),
  "tall.png": encoded(".png", np.zeros((100_000, 1), np.uint8)),
}
STRANGE = {
  "empty.png": b"",
  "text.png": b"hello",
  "zeros.jpg": bytes(4096),
  "signature.png": b"\x89PNG\r\n\x1a\n",
  "start.jpg": b"\xff\xd8\xff",
  "start.webp": b"RIFF\x10\0\0\0WEBPVP8 ",
  "start.tif": b"II*\0\x08\0\0\0",
  "loop.tif": b"II*\0\x08\0\0\0" + b"\0\0" + b"\x08\0\0\0",
  "bomb.png": png(1 << 30, 1 << 30),
  "wide_bomb.png": png(2_000_000_000, 1),
  "no_rows.png": png(100, 100),
  "no_pixels.png": png(0, 0),
  "depth3.png": png(4, 4, depth=3, data=bytes(64)),
  "color9.png": png(4, 4, color=9, data=bytes(64)),
  "palette_without.png": png(4, 4, color=3, data=bytes(20)),
  "interlaced.png": png(4, 4, data=bytes(52), order=(7,)),
  "inflated.png": png(4, 4, data=bytes(10_000_000)),
  "wrong_ending.png": WHOLE["rgb.jpg"],
  "wrong_ending.jpg": WHOLE["palette.png"],
  "document.png": b"%PDF-1.4\n" + bytes(200),
  "vector.png": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
  "archive.png": b"PK\x03\x04" + bytes(100),
  "pickle.png": b"\x80\x04cos\nsystem\n(S'touch canary'\ntR.",
  "nan.npy": npy(np.full((4, 4, 3), np.nan, np.float32)),
  "objects.npy": npy(np.array([{"a": 1}], object)),
  "huge.npy": b"\x93NUMPY\x01\0v\0"
  + b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000, 9, 3)}"
  + b" " * 46
  + b"\n",
  "code.npy": b"\x93NUMPY\x01\0v\0"
  + b"__import__('os').system('x')"
  + b" " * 90,
  "negative.npy": b"\x93NUMPY\x01\0v\0"
  + b"{'descr': '|u1', 'fortran_order': False, 'shape': (-4, -4, 3)}"
  + b" " * 56,
  "sizes.ppm": b"P6 99999999999 99999999999 255\n",
  "zero.ppm": b"P6 0 0 255\n",
  "letters.ppm": b"P6 a b 255\n",
}


def corpus():
  yield from WHOLE.items()
  yield from STRANGE.items()
  for seed, (name, data) in enumerate(WHOLE.items()):
    many = name in ("rgb.png", "ids.png", "palette.png", "rgb.jpg", "rgb.tif")
    for what, changed in fuzz.mutations(
      data, seed, *((6, 8) if many else (2, 3))
    ):
      yield f"{what}_{name}", changed


CORPUS = list(corpus())
MANY = ("pages.tif", "animated.gif", "animated.webp", "animated.png")


def read_every_way(data, path):
  """Each reader of a file; what they said."""
  path.write_bytes(data)
  said = []
  image, text = fuzz.attempt(images.read_image, path)
  said.append(text)
  if image is not None:
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert min(image.shape) > 0
  mask, text = fuzz.attempt(images.read_mask, path)
  said.append(text)
  if mask is not None:
    assert mask.ndim == 2
    assert mask.dtype.kind in "iu"
  _, text = fuzz.attempt(images.read_mask, path, {(0, 0, 0): 0, (9, 9, 9): 1})
  said.append(text)
  source, text = fuzz.attempt(reading.open_image, path)
  said.append(text)
  if source is not None:
    first = source.rows(0, min(2, source.height))
    assert first.shape == (min(2, source.height), source.width, 3)
  for text in said:
    assert text is None or path.name in text, text
  return said


def test_the_corpus(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert len(CORPUS) >= 250
  refused, broken = 0, []
  for name, data in CORPUS:
    try:
      said = read_every_way(data, tmp_path / name)
    except (Exception, fuzz.Hang) as e:
      broken.append(f"{name}: {type(e).__name__}: {str(e)[:200]}")
      continue
    refused += any(said)
    # Of a TIFF with pages, and of an animation, the first picture is enough.
    if name.startswith("cut_") and not name.endswith(MANY):
      assert said[0], f"{name}: half a picture was taken for a whole one"
  assert not broken, "\n".join(broken)
  assert refused >= len(STRANGE)
  # PNG has checksums: no flipped bit is read as other pixels.
  want = images.read_image(WHOLE["rgb.png"])
  for seed in range(40):
    rng = np.random.default_rng(seed)
    image, text = fuzz.attempt(
      images.read_image, fuzz.flip_bits(WHOLE["rgb.png"], rng, 1)
    )
    assert text or np.array_equal(image, want)
  assert not (tmp_path / "canary").exists()
  print(f"\n{len(CORPUS) + 40} files, {refused} refused")


@fuzz.drawn(150)
@given(
  head=st.sampled_from(
    [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"BM", b"P6 "]
  ),
  body=st.binary(max_size=300),
  name=st.sampled_from(["a.png", "a.jpg", "a.tif", "a.npy", "a.ppm", "a.bmp"]),
)
def test_bytes_that_hypothesis_draws(tmp_path, head, body, name):
  """Noise is no picture, however it begins and whatever it is called."""
  said = read_every_way(head + body, tmp_path / name)
  assert all(said), said


DECODER = decode.Decoder({0: 0, 1: 1, 255: 255})


@fuzz.drawn(100)
@given(st.data())
def test_masks_with_any_ids(draw):
  """Known ids are decoded; others are refused, by value and by count."""
  kind = draw.draw(st.sampled_from([np.uint8, np.uint16]))
  limit = np.iinfo(kind).max
  values = draw.draw(
    st.lists(
      st.sampled_from([0, 1, 2, 7, 254, 255, limit]), min_size=4, max_size=4
    )
  )
  ids = np.array(values, kind).reshape(2, 2)
  raw = {
    "image": encoded(".png", np.zeros((2, 2, 3), np.uint8)),
    "label": encoded(".png", ids),
  }
  out, text = fuzz.attempt(DECODER, raw, lambda: "example 3")
  bad = sorted({v for v in values if v not in (0, 1, 255)})
  assert (text is not None) == bool(bad)
  if bad:
    assert text.startswith("example 3: ")
    for value in bad:
      assert f"{value} ({values.count(value)} pixels)" in text
  else:
    np.testing.assert_array_equal(out["label"], ids)


@pytest.mark.parametrize(
  "kind", ["folder", "loop", "dangling", "pipe", "closed"]
)
def test_files_that_are_none(tmp_path, kind):
  path = tmp_path / "a.png"
  if kind == "folder":
    path.mkdir()
  elif kind == "loop":
    path.symlink_to(path)
  elif kind == "dangling":
    path.symlink_to(tmp_path / "nowhere")
  elif kind == "pipe":
    os.mkfifo(path)
  else:
    path.write_bytes(WHOLE["rgb.png"])
    path.chmod(0)
  for read in (images.read_image, images.read_mask, reading.open_image):
    result, text = fuzz.attempt(read, path)
    if kind == "closed" and os.geteuid() == 0:
      continue  # root may read it
    assert result is None
    assert str(path) in text


def test_folders_that_loop(tmp_path):
  """A link to the folder above, and one to itself: each file once."""
  for name, suffix in (("images", ".jpg"), ("masks", ".png")):
    place = tmp_path / name
    place.mkdir()
    for i in range(3):
      data = WHOLE["rgb.jpg"] if suffix == ".jpg" else WHOLE["ids.png"]
      (place / f"{i}{suffix}").write_bytes(data)
    (place / "above").symlink_to(place)
    (place / f"self{suffix}").symlink_to(place / f"self{suffix}")
    (place / f"folder{suffix}").mkdir()
  spec, text = fuzz.attempt(
    folder.folder_spec,
    images=str(tmp_path / "images"),
    masks=str(tmp_path / "masks"),
    classes="a,b",
    val_fraction=0.3,
  )
  assert text is None
  pairs, text = fuzz.attempt(spec.pairs, "train")
  if text is None:
    source = sources.FolderSource(pairs)
    for i in range(len(source)):
      fuzz.attempt(lambda i=i: DECODER(source[i], lambda: source.name_of(i)))
