"""Bytes of torch checkpoints without torch: pickles put together by hand.

`pieces` are byte strings that push one value each; `zip_file` and
`stream_file` wrap one of them as torch.save does.
"""

import io
import pickle
import struct
import zipfile

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {
  "float64": "DoubleStorage",
  "float32": "FloatStorage",
  "float16": "HalfStorage",
  "bfloat16": "BFloat16Storage",
  "int64": "LongStorage",
  "int32": "IntStorage",
  "int16": "ShortStorage",
  "int8": "CharStorage",
  "uint8": "ByteStorage",
  "bool": "BoolStorage",
}


def word(module, name):
  """A global."""
  return f"c{module}\n{name}\n".encode()


def text(value):
  raw = value.encode()
  return b"X" + struct.pack("<I", len(raw)) + raw


def number(value):
  """LONG1: any size."""
  raw = pickle.encode_long(value)
  return b"\x8a" + bytes([len(raw)]) + raw


def row(*pieces):
  """A tuple."""
  return b"(" + b"".join(pieces) + b"t"


def call(module, name, *pieces):
  return word(module, name) + row(*pieces) + b"R"


def table(**pieces):
  """A dictionary; keys by keyword, 'conv.weight' by ** too."""
  items = b"".join(text(k) + v for k, v in pieces.items())
  return b"}(" + items + b"u"


ordered = call("collections", "OrderedDict")


def storage(key, dtype, length, view=None):
  """A persistent id; a view, even None, is of the stream format."""
  last = () if view is None else (view,)
  return (
    row(
      text("storage"),
      word("torch", STORAGES[dtype]),
      text(key),
      text("cpu"),
      number(length),
      *last,
    )
    + b"Q"
  )


def tensor(place, shape, strides=None, offset=0):
  """_rebuild_tensor_v2 on a storage; contiguous by default."""
  if strides is None:
    strides = [int(np.prod(shape[i + 1 :])) for i in range(len(shape))]
  return call(
    "torch._utils",
    "_rebuild_tensor_v2",
    place,
    number(offset),
    row(*map(number, shape)),
    row(*map(number, strides)),
    b"\x89",
    ordered,
  )


def pickled(piece):
  return b"\x80\x02" + piece + b"."


def zip_file(path, piece, storages=(), *, order="little", extra=None):
  """Storages: key -> bytes."""
  with zipfile.ZipFile(path, "w") as archive:
    archive.writestr("archive/data.pkl", pickled(piece))
    archive.writestr("archive/byteorder", order)
    for key, raw in dict(storages).items():
      archive.writestr(f"archive/data/{key}", raw)
    archive.writestr("archive/version", "3\n")
    for name, raw in (extra or {}).items():
      archive.writestr(name, raw)
  return path


def stream_file(path, piece, storages=(), *, little=True):
  """Storages: key -> (length in numbers, bytes)."""
  out = io.BytesIO()
  for value in (MAGIC, 1001, {"little_endian": little, "protocol": 1001}):
    pickle.dump(value, out, protocol=2)
  out.write(pickled(piece))
  storages = dict(storages)
  pickle.dump(list(storages), out, protocol=2)
  for length, raw in storages.values():
    out.write(struct.pack("<q" if little else ">q", length) + raw)
  path.write_bytes(out.getvalue())
  return path


def save(path, arrays, stream=False):
  """A plain state_dict of arrays, each in a storage of its own."""
  entries, storages = {}, {}
  for i, (name, array) in enumerate(arrays.items()):
    array = np.ascontiguousarray(array).reshape(np.shape(array))
    view = b"N" if stream else None
    place = storage(str(i), str(array.dtype), array.size, view)
    entries[name] = tensor(place, array.shape)
    raw = array.tobytes()
    storages[str(i)] = (array.size, raw) if stream else raw
  write = stream_file if stream else zip_file
  return write(path, table(**entries), storages)
