"""Whatever is wrong with a file, it is one UserError, and nothing is run."""

import io
import os
import pickle
import struct
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxseg.types import UserError
from jaxseg.weights import readers
from tests.weights import torch_bytes as tb

ARRAYS = {
  "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
  "a.bias": np.zeros(3, np.float32),
}


def check_refused(path, match):
  with pytest.raises(UserError, match=match) as e:
    readers.read(path)
  assert str(path) in str(e.value)
  assert "\n" not in str(e.value)


class Attack:
  """Would make a file when it is unpickled."""

  def __init__(self, marker):
    self.marker = marker

  def __reduce__(self):
    return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", ["zip", "stream", "bare"])
def test_a_pickle_that_runs_code(tmp_path, kind, protocol):
  marker, path = tmp_path / "marker", tmp_path / "evil.pth"
  evil = pickle.dumps({"w": Attack(marker)}, protocol)
  pickle.loads(evil)  # the attack is a real one
  marker.rmdir()
  head = pickle.dumps(tb.MAGIC, 2) + pickle.dumps(1001, 2)
  if kind == "zip":
    with zipfile.ZipFile(path, "w") as archive:
      archive.writestr("archive/data.pkl", evil)
  elif kind == "stream":
    path.write_bytes(head + pickle.dumps({}, 2) + evil)
  else:
    path.write_bytes(evil)
  if kind == "bare" and protocol < 2:  # has no first bytes of its own
    check_refused(path, "no checkpoint")
  else:
    check_refused(
      path, "asks for '(posix|nt).mkdir' to be called .* nothing was run"
    )
  assert not marker.exists()


@pytest.mark.parametrize(
  ("piece", "name"),
  [
    (tb.call("builtins", "eval", tb.text("1")), "builtins.eval"),
    (tb.call("torch", "load", tb.text("x")), "torch.load"),
    (tb.call("collections", "namedtuple"), "collections.namedtuple"),
    (tb.word("torchvision.models.resnet", "ResNet"), "resnet.ResNet"),
    # STACK_GLOBAL
    (tb.text("os") + tb.text("system") + b"\x93", "os.system"),
    # INST and OBJ
    (b"(" + tb.text("x") + b"ios\nsystem\n", "os.system"),
    (b"(" + tb.word("torch", "Size") + b"o", "OBJ"),
    # An allowed name with attributes is still another name.
    (tb.word("torch._utils", "_rebuild_parameter.__globals__"), "__globals__"),
    # An extension code
    (b"\x82\x01", "1"),
  ],
)
def test_names_that_are_not_on_the_list(tmp_path, piece, name):
  path = tb.zip_file(tmp_path / "a.pth", tb.table(w=piece))
  check_refused(path, f"asks for '[^']*{name}")


def test_attributes_are_not_set(tmp_path):
  """BUILD on one of our own functions would change it for good."""
  from jaxseg.weights import words

  before = dict(vars(words._rebuild))
  piece = tb.word("torch._utils", "_rebuild_tensor_v2")
  piece += tb.row(b"N", tb.table(__defaults__=tb.row(b"N"))) + b"b"
  check_refused(tb.zip_file(tmp_path / "a", tb.table(w=piece)), "no tensors")
  assert vars(words._rebuild) == before
  assert words._rebuild.__defaults__ is None


def tensor_with(**changes):
  """A tensor of 4 numbers with one thing wrong."""
  options = {"shape": (2, 2), "strides": (2, 1), "offset": 0, "length": 4}
  options |= changes
  place = tb.storage("0", "float32", options.pop("length"))
  return tb.table(w=tb.tensor(place, **options))


@pytest.mark.parametrize(
  "changes",
  [
    {"length": 1 << 60},
    {"length": -4},
    {"shape": (1 << 40, 1 << 40), "strides": (0, 0)},
    {"shape": (1 << 31,), "strides": (0,)},
    {"shape": (2, 3)},
    {"shape": (-2, -2)},
    {"strides": (-2, 1)},
    {"strides": (1 << 62, 1)},
    {"strides": (1,)},
    {"offset": 1},
    {"offset": -1},
    {"shape": (1,) * 70, "strides": (1,) * 70},
    {"shape": (0, 1 << 61, 1 << 61), "strides": (1, 1, 1)},
    {"shape": (10**250,), "strides": (1,)},
    {"length": 10**250},
  ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_sizes_that_the_file_has_not(tmp_path, changes, stream):
  raw = np.arange(4, dtype="<f4").tobytes()
  piece = tensor_with(**changes)
  if stream:
    path = tb.stream_file(tmp_path / "a.pth", piece, {"0": (4, raw)})
  else:
    path = tb.zip_file(tmp_path / "a.pth", piece, {"0": raw})
  tracemalloc.start()
  check_refused(path, "cut off or damaged")
  assert tracemalloc.get_traced_memory()[1] < 10 << 20
  tracemalloc.stop()


def billion(levels=60):
  """A dictionary that holds one dictionary twice, that holds one twice ..."""
  piece = b"}q\x00"
  for i in range(levels):
    k = bytes([i])
    double = b"h" + k + tb.text("b") + b"h" + k
    piece += b"}q" + bytes([i + 1]) + b"(" + tb.text("a") + double + b"u"
  return piece


def wide():
  """Only seven levels, each a hundred times the one below."""
  piece = b"}q\x00"
  for i in range(7):
    items = b"".join(tb.text(f"{n}") + b"h" + bytes([i]) for n in range(100))
    piece += b"}q" + bytes([i + 1]) + b"(" + items + b"u"
  return piece


@pytest.mark.parametrize(
  "piece",
  [
    billion(),
    wide(),
    # A dictionary that holds itself.
    b"}q\x00(" + tb.text("a") + b"h\x00u",
    b"}r\xff\xff\xff\x7f",  # memo entry 2^31: an array in C's unpickler
    b"\x8e" + struct.pack("<Q", 1 << 60) + b"abc",  # 2^60 bytes
    b"X" + struct.pack("<I", 1 << 31) + b"abc",
    b"",
    b"0",  # pops nothing
    b"(",
    b"R",
    b"h\x07",
    b"}(" + tb.text("a") + b"u",
    b"]Na",
    tb.call("torch._utils", "_rebuild_tensor_v2"),
    tb.call("torch._utils", "_rebuild_tensor_v2", b"N", b"N", b"N", b"N"),
    tb.text("x") + b"Q",
    tb.word("torch", "FloatStorage") + b")R",
  ],
)
def test_forged_pickles(tmp_path, piece):
  tracemalloc.start()
  check_refused(
    tb.zip_file(tmp_path / "a.pth", piece),
    "cut off or damaged|no tensors with names",
  )
  peak = tracemalloc.get_traced_memory()[1]
  tracemalloc.stop()
  assert peak < 100 << 20


def test_a_deep_tuple_as_a_key(tmp_path):
  """Hashing a tuple in a tuple in a tuple ... overruns the stack of C."""
  piece = b"}" + b")" + b"\x85" * 100_000 + b"Ns"
  check_refused(tb.zip_file(tmp_path / "a.pth", piece), "a key of type tuple")


def test_entries_that_lie_upon_one_another(tmp_path):
  """1000 names for one megabyte: the directory points to it again and again."""
  n, raw = 1000, bytes(1 << 20)
  entries = {
    str(i): tb.tensor(tb.storage(str(i), "uint8", len(raw)), (1,))
    for i in range(n)
  }
  tb.zip_file(tmp_path / "a.pth", tb.table(**entries), {"0": raw})
  with zipfile.ZipFile(tmp_path / "a.pth", "a") as archive:
    info = archive.getinfo("archive/data/0")
    for i in range(1, n):
      twin = zipfile.ZipInfo(f"archive/data/{i}")
      twin.header_offset, twin.CRC = info.header_offset, info.CRC
      twin.file_size = twin.compress_size = len(raw)
      archive.filelist.append(twin)
      archive.NameToInfo[twin.filename] = twin
    archive._didModify = True
  check_refused(tmp_path / "a.pth", "cut off or damaged")


def test_compressed_entries(tmp_path):
  """A megabyte can hold a gigabyte of zeros; torch never compresses."""
  n = 1 << 22
  piece = tb.table(w=tb.tensor(tb.storage("0", "uint8", n), (n,)))
  with zipfile.ZipFile(tmp_path / "a", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("x/data.pkl", tb.pickled(piece), zipfile.ZIP_STORED)
    archive.writestr("x/data/0", bytes(n))
  check_refused(tmp_path / "a", "compressed, which torch never does")


def test_a_storage_that_is_not_there(tmp_path):
  piece = tb.table(w=tb.tensor(tb.storage("0", "float32", 1), (1,)))
  check_refused(tb.zip_file(tmp_path / "a", piece), "data/0 is missing")
  piece = tb.table(w=tb.tensor(tb.storage("0", "float32", 1, b"N"), (1,)))
  check_refused(tb.stream_file(tmp_path / "b", piece), "storage 0 is missing")


def write(kind, folder):
  path = folder / {"h5": "a.h5", "safetensors": "a.safetensors"}.get(
    kind, "a.pth"
  )
  if kind == "h5":
    with h5py.File(path, "w") as f:
      for name, array in ARRAYS.items():
        f[name] = array
  elif kind == "safetensors":
    save_file(ARRAYS, path)
  else:
    tb.save(path, ARRAYS, stream=kind == "stream")
  return path


@pytest.mark.parametrize("kind", ["zip", "stream", "safetensors", "h5"])
def test_files_that_are_cut_off(tmp_path, kind):
  path = write(kind, tmp_path)
  assert len(readers.read(path)[0]) == 2
  size = path.stat().st_size
  for length in reversed(range(0, size, 1 if size < 1500 else 11)):
    os.truncate(path, length)
    with pytest.raises(UserError):
      readers.read(path)


@pytest.mark.parametrize("kind", ["zip", "stream", "safetensors"])
def test_files_with_other_bytes(tmp_path, kind):
  """Weights or a UserError, never another exception; a zip has checksums."""
  path = write(kind, tmp_path)
  whole = path.read_bytes()
  rng = np.random.default_rng(0)
  refusals = 0
  for _ in range(200):
    damaged = bytearray(whole)
    for at in rng.integers(0, len(whole), rng.integers(1, 4)):
      damaged[at] = rng.integers(256)
    path.unlink()  # writing over a file waits for the disk
    path.write_bytes(damaged)
    try:
      readers.read(path)
    except UserError:
      refusals += 1
  assert refusals > 25


def zipped(name, content):
  out = io.BytesIO()
  with zipfile.ZipFile(out, "w") as archive:
    archive.writestr(name, content)
  return out.getvalue()


@pytest.mark.parametrize(
  ("content", "match"),
  [
    (b"", "is empty"),
    (b"\x80", "cut off or damaged"),
    (b"PK\x03\x04", "cut off or damaged"),
    (b"<!DOCTYPE html><html>404", r"no checkpoint \(it begins with b'<!DOC"),
    (b"\x89PNG\r\n\x1a\n", "no checkpoint"),
    (zipped("a.npy", b"x"), "not one that torch.save wrote"),
    (pickle.dumps([1, 2], 2), "not a checkpoint that torch.save wrote"),
    (pickle.dumps({"w": np.ones(3)}, 4), "asks for 'numpy"),
    (b"x" * 257 + b"ustar" + b"x" * 300, "before 0.1.10"),
    (b"\x89HDF\r\n\x1a\n" + bytes(100), "cut off or damaged"),
    (struct.pack("<Q", 5) + b"{abcdef", "cut off or damaged"),
  ],
)
def test_files_of_another_kind(tmp_path, content, match):
  path = tmp_path / "resnet.pth"
  path.write_bytes(content)
  check_refused(path, match)


def test_no_file(tmp_path):
  check_refused(tmp_path / "resnet50.pth", "cannot be read .No such file")
  check_refused(tmp_path, "cannot be read .Is a directory")


def test_without_tensors(tmp_path):
  check_refused(
    tb.zip_file(tmp_path / "a", tb.table(epoch=b"K\x01")), "no tensors"
  )
  save_file({}, tmp_path / "b.safetensors")
  check_refused(tmp_path / "b.safetensors", "no tensors")
  h5py.File(tmp_path / "c.h5", "w").close()
  check_refused(tmp_path / "c.h5", "no tensors")


def test_a_tensor_without_a_name(tmp_path):
  piece = tb.tensor(tb.storage("0", "float32", 1), (1,))
  path = tb.zip_file(tmp_path / "a", piece, {"0": bytes(4)})
  check_refused(path, "one tensor without a name")


def test_torchscript(tmp_path):
  extra = {"archive/constants.pkl": b"", "archive/code/a.py": b""}
  path = tb.zip_file(tmp_path / "a.pt", tb.word("__torch__", "M"), extra=extra)
  check_refused(path, "TorchScript program")


def test_hdf5_that_claims_more_than_it_has(tmp_path):
  """Chunks that were never written take no room in the file."""
  with h5py.File(tmp_path / "a.h5", "w") as f:
    f.create_dataset("w", (1 << 20, 1 << 20), "f4", chunks=(64, 64))
  check_refused(tmp_path / "a.h5", "far larger than the file")
