"""BSDS500 from a raw folder, and its people's maps read back."""

import io

import cv2
import numpy as np
import pytest

from jaxseg.data import decode, prepare, several, sources
from jaxseg.data.builders import bsds500
from jaxseg.data.datasets import DATASETS
from jaxseg.types import UserError


def people(seed, count, shape):
  rng = np.random.default_rng(seed)
  regions = rng.integers(1, 200, (count, *shape)).astype(np.uint8)
  return regions, rng.random((count, *shape)) < 0.2


def write(root, ids, shapes, counts, split="val"):
  """A raw folder; returns what it holds."""
  (root / "images" / split).mkdir(parents=True)
  (root / "groundTruth" / split).mkdir(parents=True)
  (root / f"{split}.txt").write_text("\n".join(ids) + "\n")
  held = []
  for i, (one, shape, count) in enumerate(zip(ids, shapes, counts)):
    image = np.full((*shape, 3), 40 * i, np.uint8)
    cv2.imwrite(str(root / "images" / split / f"{one}.jpg"), image)
    regions, boundaries = people(i, count, shape)
    np.savez(
      root / "groundTruth" / split / f"{one}.npz",
      segmentation=regions,
      boundaries_packed=np.packbits(boundaries, axis=-1),
      width=shape[1],
    )
    held.append((regions, boundaries))
  return held


def test_records_hold_what_people_drew(tmp_path):
  held = write(tmp_path / "raw", ["7", "12"], [(18, 21), (21, 18)], [4, 6])
  spec = DATASETS["bsds500"]
  prepare.prepare(spec, str(tmp_path / "data"), str(tmp_path / "raw"))
  source = sources.open_source(
    spec, "val", str(tmp_path / "data"), several.KEYS
  )
  assert len(source) == 2
  for i, (regions, boundaries) in enumerate(held):
    got = several.decode(source[i], source.name_of(i))
    np.testing.assert_array_equal(got["regions"], regions - 1)
    np.testing.assert_array_equal(got["boundaries"], boundaries)
    assert got["image"].shape == (*regions.shape[1:], 3)
    assert abs(int(got["image"].mean()) - 40 * i) <= 2
  assert "12.jpg" in source.name_of(1)


def test_the_share_of_people_at_each_pixel(tmp_path):
  """Through records, source and decoder, of pictures in both orientations."""
  held = write(tmp_path / "raw", ["7", "12"], [(18, 21), (21, 18)], [3, 7])
  spec = DATASETS["bsds500"]
  prepare.prepare(spec, str(tmp_path / "data"), str(tmp_path / "raw"))
  source = sources.open_source(
    spec, "val", str(tmp_path / "data"), ("image", "boundary")
  )
  decoder = decode.decoder_of(spec)
  for i, (_, boundaries) in enumerate(held):
    got = decoder(source[i], lambda: "x")["boundary"]
    assert got.dtype == np.uint8
    people = len(boundaries)
    table = np.rint(100 * np.arange(people + 1) / people)
    np.testing.assert_array_equal(got, table[boundaries.sum(0)])
    assert 0 < got[got > 0].min() < 50 < got.max() <= 100
  # Two of three people are 67 percent, three of seven 43.
  assert {33, 67} <= {*np.unique(decoder(source[0], str)["boundary"]).tolist()}


def png(array):
  return cv2.imencode(".png", array)[1].tobytes()


def test_the_regions_of_who_drew_most(tmp_path):
  """Numbered from 0, through records, source and decoder; 255 are too many."""
  held = write(tmp_path / "raw", ["7"], [(18, 21)], [3])
  regions = held[0][0]
  spec = DATASETS["bsds500"]
  prepare.prepare(spec, str(tmp_path / "data"), str(tmp_path / "raw"))
  source = sources.open_source(
    spec, "val", str(tmp_path / "data"), ("image", "region")
  )
  got = decode.decoder_of(spec)(source[0], str)["region"]
  most = max(regions, key=lambda one: len(np.unique(one)))
  ids = np.unique(most).tolist()
  np.testing.assert_array_equal(got, np.vectorize(ids.index)(most))
  every = np.arange(300).reshape(15, 20)
  got = several.finest(np.concatenate([0 * every, every]), (15, 20), "x")
  assert got.dtype == np.uint8
  assert got.ravel().tolist() == [*range(255)] + [255] * 45


def test_maps_of_another_size_are_refused():
  raw = {
    "image": png(np.zeros((6, 8, 3), np.uint8)),
    "regions": png(np.zeros((12, 8), np.uint8)),
    "boundaries": png(np.zeros((13, 8), np.uint8)),
  }
  with pytest.raises(UserError, match=r"x: boundaries of 8x13.*image of 8x6"):
    several.decode(raw, "x")


def test_shares_want_whole_maps_of_somebody():
  raw = {
    "image": png(np.zeros((6, 8, 3), np.uint8)),
    "boundary": png(np.zeros((13, 8), np.uint8)),
  }
  with pytest.raises(UserError, match="x: boundaries of 8x13") as error:
    decode.decoder_of(DATASETS["bsds500"])(raw, lambda: "x")
  assert str(error.value).count(". ") == 1
  with pytest.raises(UserError, match="x: boundaries of no person: expected"):
    several.share(np.zeros((0, 8), np.uint8), (6, 8), "x")


def test_a_data_set_without_annotators_is_refused(tmp_path):
  with pytest.raises(UserError, match=r"'camvid' has no 'boundary': it has"):
    sources.open_source(
      DATASETS["camvid"], "val", str(tmp_path), ("image", "boundary")
    )


def test_mistakes_of_the_raw_folder(tmp_path):
  raw = tmp_path / "raw"
  raw.mkdir()
  (raw / "notes.md").write_text("nothing else")
  with pytest.raises(UserError, match=r"none of train\.txt"):
    prepare.prepare(DATASETS["bsds500"], str(tmp_path / "d"), str(raw))
  path = tmp_path / "a.npz"
  with pytest.raises(UserError, match=r"a\.npz cannot be read"):
    bsds500.read_truth(path)
  path.write_bytes(b"junk")
  with pytest.raises(UserError, match=r"a\.npz cannot be read"):
    bsds500.read_truth(path)
  regions, boundaries = people(0, 3, (5, 9))
  packed = np.packbits(boundaries, axis=-1)
  file = io.BytesIO()
  np.savez(file, segmentation=regions[:2], boundaries_packed=packed, width=9)
  path.write_bytes(file.getvalue())
  with pytest.raises(UserError, match=r"shape \(2, 5, 9\)"):
    bsds500.read_truth(path)
  file = io.BytesIO()
  np.savez(
    file, segmentation=regions[:0], boundaries_packed=packed[:0], width=9
  )
  path.write_bytes(file.getvalue())
  with pytest.raises(UserError, match="holds no person's regions"):
    bsds500.read_truth(path)
  file = io.BytesIO()
  np.savez(file, segmentation=regions * 0, boundaries_packed=packed, width=9)
  path.write_bytes(file.getvalue())
  with pytest.raises(UserError, match="start from 1"):
    bsds500.read_truth(path)
