"""torch's checkpoint files without torch: the zip format, and the older stream.

Zip (torch >= 1.6): `NAME/data.pkl`, a pickle whose storages are the entries
`NAME/data/KEY`, all of them uncompressed. Stream: five pickles (a number, the
version, facts of the machine, the object, the keys of its storages), then the
storages, each with its length before it.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import pathlib
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jaxseg.types import UserError
from jaxseg.weights import unpickle
from jaxseg.weights.words import Forbidden, Malformed, Storage, Tensor

MAGIC = 0x1950A86A20F9469CFC6C
# Where training programs put the network's weights, best first.
ENTRIES = (
  "state_dict",
  "model_state_dict",
  "model_state",
  "model",
  "net",
  "network",
  "params",
  "weights",
)
MAX_DEPTH = 8
MAX_NODES = 100_000
MAX_NAME = 1000
SLACK = 64 << 20  # bytes that views may describe beyond four times the file

# (storage, dtype) -> its numbers as that dtype, in the file's byte order
Fetch = Callable[[Storage, str], np.ndarray]


def read_zip(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict]:
  """Tensors by name, and where they were; raises Malformed or UserError."""
  with _guarded(), zipfile.ZipFile(path) as archive:
    return _read_archive(path, archive)


def read_stream(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict]:
  """The same of the format before torch 1.6."""
  with (
    _guarded(),
    path.open("rb") as file,
    mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
  ):
    return _read_pickles(path, data)


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
  """What a damaged or forged file makes of the code below is Malformed."""
  try:
    yield
  except (UserError, Malformed, Forbidden, MemoryError):
    raise
  # zipfile and NumPy: BadZipFile, OSError, ValueError, zlib.error ...
  except Exception as e:
    raise Malformed(str(e)) from e


def _read_archive(
  path: pathlib.Path, archive: zipfile.ZipFile
) -> tuple[dict[str, np.ndarray], dict]:
  entries = {info.filename: info for info in archive.infolist()}
  pickles = [
    n for n in entries if n.count("/") == 1 and n.endswith("/data.pkl")
  ]
  if len(pickles) != 1:
    raise UserError(
      f"{path} is a zip file, but not one that torch.save wrote (it has no "
      "data.pkl): expected a checkpoint with a state_dict."
    )
  root = pickles[0].removesuffix("data.pkl")
  if f"{root}constants.pkl" in entries:
    raise UserError(
      f"{path} is a TorchScript program, not a checkpoint: load it with "
      "torch.jit.load and save its state_dict() with torch.save."
    )
  length = path.stat().st_size

  def take(name: str) -> bytes:
    info = entries.get(root + name)
    if info is None:
      raise Malformed(f"the entry {name} is missing")
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > length:
      raise Malformed(f"the entry {name} is compressed, which torch never does")
    return archive.read(info)

  order = "<"
  if f"{root}byteorder" in entries and take("byteorder").strip() == b"big":
    order = ">"

  held: dict[str, bytes] = {}

  def fetch(storage: Storage, dtype: str) -> np.ndarray:
    if storage.key not in held:
      held[storage.key] = take(f"data/{storage.key}")
      if sum(map(len, held.values())) > length:
        raise Malformed("its entries lie upon one another")
    return _numbers(held[storage.key], storage, dtype, order)

  stream = _Bytes(take("data.pkl"))
  value = unpickle.load(stream, unpickle.storage)
  return _collect(path, value, fetch, length)


def _read_pickles(
  path: pathlib.Path, data: mmap.mmap
) -> tuple[dict[str, np.ndarray], dict]:
  if unpickle.load(data) != MAGIC:
    raise UserError(
      f"{path} is a pickle, but not a checkpoint that torch.save wrote: "
      "expected a .pth file with a state_dict."
    )
  unpickle.load(data)  # version of the format
  machine = unpickle.load(data)
  big = type(machine) is dict and machine.get("little_endian") is False
  sizes: dict[str, int] = {}

  def remember(pid: Any) -> Storage:
    storage = unpickle.storage(pid)
    sizes[storage.key] = _dtype(storage.dtype).itemsize
    return storage

  value = unpickle.load(data, remember)
  keys = unpickle.load(data)
  if type(keys) is not list:
    raise Malformed("no list of storages")
  places: dict[str, tuple[int, int]] = {}
  position = data.tell()
  for key in map(str, keys):
    if position + 8 > len(data) or key not in sizes:
      raise Malformed(f"the storage {key} is missing")
    (count,) = struct.unpack_from(">q" if big else "<q", data, position)
    start = position + 8
    position = start + count * sizes[key]
    if count < 0 or position > len(data):
      raise Malformed(f"the storage {key} reaches behind the end of the file")
    places[key] = start, position

  held: dict[str, bytes] = {}

  def fetch(storage: Storage, dtype: str) -> np.ndarray:
    if storage.key not in places:
      raise Malformed(f"the storage {storage.key} is missing")
    if storage.key not in held:
      held[storage.key] = data[slice(*places[storage.key])]
    return _numbers(held[storage.key], storage, dtype, ">" if big else "<")

  return _collect(path, value, fetch, len(data))


class _Bytes:
  """Bytes as a stream that does not promise what it has not."""

  def __init__(self, data: bytes):
    self._data, self._at = data, 0

  def read(self, n: int) -> bytes:
    out = self._data[self._at : self._at + n]
    self._at += len(out)
    return out

  def readline(self) -> bytes:
    end = self._data.find(b"\n", self._at) + 1 or len(self._data)
    return self.read(end - self._at)

  def tell(self) -> int:
    return self._at


def _dtype(name: str) -> np.dtype:
  return np.dtype("uint16" if name == "bfloat16" else name)


def _numbers(
  raw: bytes, storage: Storage, dtype: str, order: str
) -> np.ndarray:
  """A storage's numbers out of its bytes."""
  size = _dtype(storage.dtype).itemsize
  start, end = (
    size * n for n in (storage.offset, storage.offset + storage.length)
  )
  if end > len(raw):
    raise Malformed(
      f"a storage of {storage.length} numbers, {size} bytes each, has "
      f"{len(raw)} bytes"
    )
  kind = _dtype(dtype).newbyteorder(order)
  return np.frombuffer(raw, kind, (end - start) // kind.itemsize, start)


def _collect(
  path: pathlib.Path, value: Any, fetch: Fetch, file_bytes: int
) -> tuple[dict[str, np.ndarray], dict]:
  """The tensors of the state_dict within what the pickle held."""
  if isinstance(value, Tensor):
    raise UserError(
      f"{path} holds one tensor without a name: expected a state_dict."
    )
  entry = []
  while type(value) is dict and len(entry) < MAX_DEPTH:
    inner = [k for k in ENTRIES if type(value.get(k)) is dict and value[k]]
    if not inner:
      break
    entry.append(inner[0])
    value = value[inner[0]]
  tensors: dict[str, Tensor] = {}
  for count, (name, leaf) in enumerate(_nodes(value, "", 0)):
    # A few shared dictionaries can stand for any number of nodes.
    if count > MAX_NODES or len(name) > MAX_NAME:
      raise Malformed("dictionaries without end")
    if isinstance(leaf, Tensor):
      if name in tensors:
        raise Malformed(f"two tensors named {name}")
      tensors[name] = leaf
  if not tensors:
    raise UserError(
      f"{path} holds no tensors with names: expected a state_dict, saved with "
      "torch.save(network.state_dict(), PATH)."
    )
  # Views (a stride of 0, storages in common) can describe far more than the
  # file has: a file of a kilobyte must not fill the memory.
  described = sum(
    math.prod(t.shape) * _dtype(t.dtype).itemsize for t in tensors.values()
  )
  if described > 4 * file_bytes + SLACK:
    raise Malformed(
      f"its {len(tensors)} tensors describe {described} bytes, the file has "
      f"{file_bytes}"
    )
  out = {
    name: _materialize(tensor, fetch(tensor.storage, tensor.dtype))
    for name, tensor in tensors.items()
  }
  return out, {"entry": ".".join(entry)}


def _nodes(value: Any, name: str, depth: int) -> Iterator[tuple[str, Any]]:
  """Nested dictionaries as dotted names: each node, leaf or not."""
  yield name, value
  if type(value) is dict:
    if depth == MAX_DEPTH:
      raise Malformed("dictionaries without end")
    for key, inner in value.items():
      yield from _nodes(inner, f"{name}.{key}" if name else str(key), depth + 1)


def _materialize(tensor: Tensor, base: np.ndarray) -> np.ndarray:
  """The array, contiguous, in the machine's byte order."""
  if 0 in tensor.shape:
    array = np.zeros(tensor.shape, base.dtype)
  else:
    steps = zip(tensor.shape, tensor.strides)
    last = tensor.offset + sum((n - 1) * stride for n, stride in steps)
    if last >= base.size:
      raise Malformed(
        f"a tensor of shape {tensor.shape} reaches behind its storage of "
        f"{base.size} numbers"
      )
    array = np.lib.stride_tricks.as_strided(
      base[tensor.offset :],
      tensor.shape,
      [stride * base.itemsize for stride in tensor.strides],
      writeable=False,
    )
  array = np.asarray(array, array.dtype.newbyteorder("="), order="C")
  if tensor.dtype == "bfloat16":  # the upper half of a float32
    array = (array.astype(np.uint32) << 16).view(np.float32)
  return array
