"""Our own file: round trip, provenance, damage."""

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxseg import __version__
from jaxseg.types import UserError
from jaxseg.weights import store
from tests.weights import torch_bytes as tb

ARRAYS = {
  "params/stem/conv/kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
  "batch_stats/norm/mean": np.ones(4, np.float16),
}
RECORD = store.Record(
  network="resnet50",
  fields={"padding": "tf"},
  source="torchvision",
  licence="BSD-3-Clause",
  sha256="ab" * 32,
  normalization={"mean": [0.5, 0.5, 0.5], "scale": 1.0},
)


def test_round_trip(tmp_path):
  path = tmp_path / "new" / "folder" / "a.safetensors"
  written = store.write(path, ARRAYS, RECORD)
  arrays, record = store.read(path)
  assert record == written == store.describe(path)
  assert record == dataclasses.replace(RECORD, digest=record.digest)
  assert record.version == __version__
  assert arrays.keys() == ARRAYS.keys()
  for name, array in ARRAYS.items():
    assert arrays[name].dtype == array.dtype
    np.testing.assert_array_equal(arrays[name], array)
  assert [p.name for p in path.parent.iterdir()] == ["a.safetensors"]


def test_views_are_written_as_they_read(tmp_path):
  """Rules transpose and turn: what they give is seldom contiguous."""
  view = ARRAYS["params/stem/conv/kernel"].transpose(2, 0, 1)[::-1, :, ::2]
  store.write(tmp_path / "a.safetensors", {"params/w": view}, RECORD)
  np.testing.assert_array_equal(
    store.read(tmp_path / "a.safetensors")[0]["params/w"], view
  )


def test_a_flipped_bit_is_found(tmp_path):
  path = tmp_path / "a.safetensors"
  store.write(path, ARRAYS, RECORD)
  raw = bytearray(path.read_bytes())
  raw[-5] ^= 1
  path.write_bytes(raw)
  with pytest.raises(UserError, match=r"a.safetensors is damaged: .* digest"):
    store.read(path)


def test_the_digest_sees_names_and_shapes():
  x = np.zeros((2, 3), np.float32)
  same = [
    {"a": x},
    {"b": x},
    {"a": x.T},
    {"a": x.astype(np.int32)},
    {"a": x, "b": x[:0]},
  ]
  assert len({store.digest(arrays) for arrays in same}) == len(same)


def test_a_file_that_is_cut_off(tmp_path):
  path = tmp_path / "a.safetensors"
  store.write(path, ARRAYS, RECORD)
  raw = path.read_bytes()
  for length in range(0, len(raw), 29):
    path.unlink()
    path.write_bytes(raw[:length])
    with pytest.raises(UserError, match=r"a.safetensors cannot be read"):
      store.read(path)


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
  path = tmp_path / "a.safetensors"
  store.write(path, ARRAYS, RECORD)
  before = path.read_bytes()

  def full(arrays, name, metadata):
    name.write_bytes(b"half")
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(store, "save_file", full)
  with pytest.raises(UserError, match="No space left"):
    store.write(path, ARRAYS, RECORD)
  assert path.read_bytes() == before
  assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]


def test_places_that_cannot_be_written(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(UserError, match="cannot be written"):
    store.write(tmp_path / "file" / "a.safetensors", ARRAYS, RECORD)
  with pytest.raises(UserError, match=r"ends in .safetensors"):
    store.write(tmp_path / "a.npz", ARRAYS, RECORD)


def test_files_of_others(tmp_path):
  with pytest.raises(UserError, match="are not there"):
    store.read(tmp_path / "none.safetensors")
  save_file(ARRAYS, tmp_path / "a.safetensors")
  with pytest.raises(UserError, match="no record of jaxseg"):
    store.read(tmp_path / "a.safetensors")
  tb.save(tmp_path / "b.pth", {"w": np.ones(3, np.float32)})
  with pytest.raises(UserError, match=r"jaxseg.weights.convert"):
    store.describe(tmp_path / "b.pth")
  for text in ("{", json.dumps({"unknown": 1}), "[1]"):
    save_file(ARRAYS, tmp_path / "c.safetensors", {"jaxseg": text})
    with pytest.raises(UserError, match=r"record of .* cannot be read"):
      store.describe(tmp_path / "c.safetensors")
