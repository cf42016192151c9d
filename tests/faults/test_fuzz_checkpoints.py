"""Checkpoints and artifacts from anywhere: read, or refused in a sentence.

No code of a file is ever run: each pickle below would leave a canary.
"""

import io
import json
import pickle
import pickletools
import shutil
import struct
import zipfile

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from jaxseg.checkpoint import Checkpoints
from jaxseg.serving import artifact
from jaxseg.types import UserError
from jaxseg.weights import readers, store
from tests.faults import fuzz
from tests.small_states import ABSTRACT, CONFIG, check_equal, make

pytestmark = pytest.mark.damage


ARRAYS = {
  "a.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
  "a.bias": np.ones(4, np.float16),
}


class Runs:
  """Unpickling it writes the canary into the current folder."""

  def __init__(self, function, *args):
    self.call = (function, args)

  def __reduce__(self):
    return self.call


def canaries():
  import os
  import subprocess

  write = "open('canary', 'w').close()"
  return [
    Runs(os.system, "touch canary"),
    Runs(exec, write),
    Runs(eval, "open('canary', 'w')"),
    Runs(subprocess.call, ["touch", "canary"]),
    Runs(open, "canary", "w"),
    Runs(os.mkdir, "canary"),
    Runs(getattr, "os", "system"),
    Runs(__import__, "os"),
  ]


def pickles():
  """Every object by every protocol, plain and as torch's zip file."""
  for i, bad in enumerate(canaries()):
    for protocol in (0, 2, 4):
      for where in (bad, {"state_dict": {"w": bad}}, [1, (bad,)]):
        data = pickle.dumps(where, protocol)
        yield f"{i}_{protocol}.pth", data
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
          archive.writestr("net/data.pkl", data)
          archive.writestr("net/version", "3\n")
        yield f"{i}_{protocol}_zip.pth", file.getvalue()
    yield f"{i}_opt.pth", pickletools.optimize(pickle.dumps(bad, 2))


def test_no_code_is_run(tmp_path, monkeypatch):
  """The readers of weights; and the canary would sing, as pickle shows."""
  monkeypatch.chdir(tmp_path)
  count = 0
  for name, data in pickles():
    (tmp_path / name).write_bytes(data)
    result, text = fuzz.attempt(readers.read, tmp_path / name)
    assert result is None
    assert name in text
    count += 1
  assert count >= 140
  assert not (tmp_path / "canary").exists()
  pickle.loads(pickle.dumps(canaries()[1]))
  assert (tmp_path / "canary").exists()
  print(f"\n{count} pickles with code in them, none run")


def safetensors_file(header, body=b"", length=None):
  text = header if isinstance(header, bytes) else json.dumps(header).encode()
  size = len(text) if length is None else length
  return struct.pack("<Q", size) + text + body


def entry(shape=(2,), dtype="F32", offsets=(0, 8)):
  return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


LYING = {
  "longer": safetensors_file({"a": entry()}, bytes(8), 1 << 40),
  "endless": safetensors_file({"a": entry()}, bytes(8), (1 << 64) - 1),
  "short": safetensors_file({"a": entry((1 << 40,))}, bytes(8)),
  "overflow": safetensors_file({"a": entry((1 << 33, 1 << 33))}, bytes(8)),
  "negative": safetensors_file({"a": entry((-2,))}, bytes(8)),
  "backwards": safetensors_file({"a": entry(offsets=(8, 0))}, bytes(8)),
  "behind": safetensors_file({"a": entry(offsets=(100, 108))}, bytes(8)),
  "overlap": safetensors_file({"a": entry(), "b": entry()}, bytes(8)),
  "hole": safetensors_file({"a": entry(offsets=(4, 12))}, bytes(12)),
  "kind": safetensors_file({"a": entry(dtype="X9")}, bytes(8)),
  "list": safetensors_file([1, 2]),
  "bomb": safetensors_file(b"[" * 100_000),
  "objects": safetensors_file(b'{"a":' * 100_000),
  "twice": safetensors_file(b'{"a":1,"a":2}'),
  "words": safetensors_file(b"{words}"),
  "bytes": safetensors_file(b"\xff\xfe{}"),
  "nothing": safetensors_file({}),
  "record": safetensors_file({"__metadata__": {"jaxseg": "{"}}),
  "no_record": safetensors_file({"__metadata__": {"jaxseg": "[1]"}}),
  "deep_record": safetensors_file({"__metadata__": {"jaxseg": "[" * 50_000}}),
  "other_record": safetensors_file({"__metadata__": {"jaxseg": '{"x": 1}'}}),
}


def keras_file():
  file = io.BytesIO()
  with h5py.File(file, "w") as f:
    f.attrs["layer_names"] = [b"a"]
    f["a/a/kernel:0"] = ARRAYS["a.weight"]
  return file.getvalue()


def weights_files():
  good = {"safetensors": save(ARRAYS), "h5": keras_file()}
  for kind, data in good.items():
    yield f"whole.{kind}", data
    for what, changed in fuzz.mutations(data, len(kind), 20, 30):
      yield f"{what}.{kind}", changed
  for name, data in LYING.items():
    yield f"{name}.safetensors", data


def test_files_of_weights(tmp_path):
  count = refused = 0
  for name, data in weights_files():
    path = tmp_path / name
    path.write_bytes(data)
    for read in (readers.read, store.read, store.describe):
      _, text = fuzz.attempt(read, path)
      refused += text is not None
      count += 1
      assert text is None or name in text, text
    if name.partition(".")[0] in LYING and name != "nothing.safetensors":
      with pytest.raises(UserError):
        store.read(path)
  assert count >= 300
  print(f"\n{count} readings of weights, {refused} refused")


@fuzz.drawn(150)
@given(
  head=st.sampled_from(
    [
      b"",
      b"PK\x03\x04",
      b"\x89HDF\r\n\x1a\n",
      b"\x80\x02",
      b"\x10\0\0\0\0\0\0\0{",
    ]
  ),
  body=st.binary(max_size=200),
)
def test_bytes_that_hypothesis_draws(tmp_path, head, body):
  path = tmp_path / "file.pth"
  path.write_bytes(head + body)
  found, text = fuzz.attempt(readers.read, path)
  assert isinstance(found, dict) if text is None else path.name in text


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
  root = tmp_path_factory.mktemp("pair")
  found = Checkpoints(root, CONFIG)
  for step in (3, 6):
    found.save(make(step), position={"next_batch": step})
  found.close()
  return root


def infos(good):
  """Manifests that are none, or of something else."""
  yield from (b"", b"{", b"null", b"[]", b"7", b'"text"', b"\xff\xfe\0", b"NaN")
  yield b"[" * 200_000
  yield b'{"a":' * 100_000
  yield b'{"step": ' + b"9" * 5000 + b"}"
  for key in good:
    if key != "crc":  # which earlier versions did not write
      yield json.dumps({k: v for k, v in good.items() if k != key}).encode()
    for value in (None, [], "x", -1, 1e400, {"a": {"b": None}}):
      yield json.dumps({**good, key: value}).encode()
  # Without a checksum, as of an earlier version: other shapes and names.
  old = {k: v for k, v in good.items() if k != "crc"}
  name, (shape, dtype, crc) = next(iter(old["arrays"].items()))
  for wrong in ([[9], dtype, crc], [shape, "int8", crc], [shape, dtype, 1], 3):
    yield json.dumps({**old, "arrays": {**old["arrays"], name: wrong}}).encode()
  more = {**old["arrays"], "more": [[1], "float32", 0]}
  yield json.dumps({**old, "arrays": more}).encode()
  yield json.dumps({**old, "code": "import os"}).encode()


def test_malformed_manifests(pair, tmp_path):
  where = "checkpoints/latest/6/info/metadata"
  good = json.loads((pair / where).read_text())
  found = list(infos(good))
  assert len(found) >= 60
  for content in found:
    folder = tmp_path / "run"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(pair, folder)
    (folder / where).write_bytes(content)
    checkpoints = Checkpoints(folder, CONFIG, note=lambda text: None)
    restored, text = fuzz.attempt(checkpoints.restore, ABSTRACT)
    checkpoints.close()
    assert text is None, (content[:200], text)
    check_equal(restored.state, make(int(restored.state.step)))
    assert int(restored.state.step) == 3, content[:200]
  print(f"\n{len(found)} manifests, none believed")


def descriptions():
  good = {"sha256": "0" * 64, "size": [4, 4], "batch": "any", "bytes": 3}
  yield from (b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000)
  for key in good:
    for value in (None, -1, [], {}, "x", [1, "a"], 1e400):
      yield json.dumps({**good, key: value}).encode()
  yield json.dumps({**good, "format": ["x"]}).encode()
  yield json.dumps({**good, "format": {}}).encode()


def test_malformed_artifacts(tmp_path):
  path = tmp_path / "net.stablehlo"
  count = 0
  for description in descriptions():
    for data in (b"", b"abc", bytes(2000)):
      path.write_bytes(data)
      artifact.sidecar(path).write_bytes(description)
      result, text = fuzz.attempt(artifact.load, path)
      assert result is None
      assert "net.stablehlo" in text
      count += 1
  # With the right checksum: a program that is none.
  import hashlib

  for data in (b"", b"abc", bytes(2000), np.random.default_rng(0).bytes(999)):
    path.write_bytes(data)
    description = {
      "sha256": hashlib.sha256(data).hexdigest(),
      "size": [4, 4],
      "batch": "any",
    }
    artifact.sidecar(path).write_text(json.dumps(description))
    result, text = fuzz.attempt(artifact.load, path)
    assert result is None
    assert "net.stablehlo" in text
    count += 1
  print(f"\n{count} artifacts refused")
