"""BSDS500 from a raw folder, and its people's maps read back."""

import io

import cv2
import numpy as np
import pytest

from jaxseg.data import prepare, several, sources
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


def png(array):
  return cv2.imencode(".png", array)[1].tobytes()


def test_maps_of_another_size_are_refused():
  raw = {
    "image": png(np.zeros((6, 8, 3), np.uint8)),
    "regions": png(np.zeros((12, 8), np.uint8)),
    "boundaries": png(np.zeros((13, 8), np.uint8)),
  }
  with pytest.raises(UserError, match=r"x: boundaries of 8x13.*image of 8x6"):
    several.decode(raw, "x")


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
  np.savez(file, segmentation=regions * 0, boundaries_packed=packed, width=9)
  path.write_bytes(file.getvalue())
  with pytest.raises(UserError, match="start from 1"):
    bsds500.read_truth(path)
