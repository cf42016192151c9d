"""The words that a checkpoint's pickle may use, and what each stands for.

torch's tensors become `Tensor` records; what lies beside the weights becomes
`Opaque`. A file reaches no function but those of this module.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Malformed(Exception):
  """The stream is no pickle of a checkpoint: cut off, damaged or forged."""


class Forbidden(Exception):
  """The stream names something that is to be called; its text is the name."""


class Storage(NamedTuple):
  """Numbers in a row, somewhere in the file.

  Fields: key that the file gives it; dtype; length in numbers; offset of the
  first one (views of the old format; else 0).
  """

  key: str
  dtype: str
  length: int
  offset: int = 0


class Tensor(NamedTuple):
  """A strided view of a storage; offset and strides count numbers."""

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]
  dtype: str


class Opaque:
  """Stands for a value that is no weight: swallows what is put into it."""

  __slots__ = ()


class Word(NamedTuple):
  """A global that a file may name.

  Fields: kind, 'dtype', 'call' or 'opaque'; value, the dtype's name or one of
  this module's functions.
  """

  kind: str
  value: Any = None


OPAQUE = Opaque()

_DTYPES = {
  "Double": "float64",
  "Float": "float32",
  "Half": "float16",
  "BFloat16": "bfloat16",
  "Long": "int64",
  "Int": "int32",
  "Short": "int16",
  "Char": "int8",
  "Byte": "uint8",
  "Bool": "bool",
  "ComplexFloat": "complex64",
  "ComplexDouble": "complex128",
}


def check_size(x: Any) -> None:
  """Sizes are whole, not negative, and of 62 bits at most."""
  if type(x) is not int or not 0 <= x < 1 << 62:
    raise Malformed("a size that is no number of things")


def _rebuild(storage: Any, offset: Any, shape: Any, strides: Any, *_) -> Tensor:
  """torch._utils._rebuild_tensor and _v2."""
  if not isinstance(storage, Storage):
    raise Malformed("a tensor without a storage")
  for x in (offset, *shape, *strides):
    check_size(x)
  if len(shape) != len(strides) or len(shape) > 32:
    raise Malformed(f"a tensor of shape {shape} with strides {strides}")
  return Tensor(storage, offset, tuple(shape), tuple(strides), storage.dtype)


def _rebuild_typed(*args: Any) -> Tensor:
  """torch._utils._rebuild_tensor_v3: bytes, with the dtype beside them."""
  word = args[6]
  if not isinstance(word, Word) or word.kind != "dtype":
    raise Malformed("a tensor without a dtype")
  return _rebuild(*args[:4])._replace(dtype=word.value)


def _rebuild_subclass(rebuild: Any, _type: Any, args: Any, _state: Any) -> Any:
  """torch._tensor._rebuild_from_type_v2: a tensor with attributes."""
  if not isinstance(rebuild, Word) or rebuild.kind != "call":
    raise Malformed("a tensor that is rebuilt by no function")
  return rebuild.value(*args)


def _first(x: Any, *_) -> Any:
  """torch._utils._rebuild_parameter: the tensor is all that counts."""
  return x


def _check_key(key: Any) -> None:
  """Hashing a tuple of tuples of tuples ... overruns the C stack."""
  parts = key if type(key) is tuple else (key,)
  for part in parts:
    if part is not None and type(part) not in (str, int, float, bool, bytes):
      raise Malformed(f"a key of type {type(part).__name__}")


def set_item(container: Any, key: Any, value: Any) -> None:
  """container[key] = value; raises Malformed where that makes no sense."""
  if isinstance(container, Opaque):
    return
  if type(container) is not dict:
    raise Malformed("an item set on something that is no dictionary")
  _check_key(key)
  container[key] = value


def _ordered(pairs: Any = ()) -> dict:
  out: dict = {}
  for key, value in pairs:
    set_item(out, key, value)
  return out


def _size(sizes: Any = ()) -> tuple:
  return tuple(sizes)


WORDS: dict[str, Word] = {
  **{f"torch {k}Storage": Word("dtype", v) for k, v in _DTYPES.items()},
  **{f"torch.cuda {k}Storage": Word("dtype", v) for k, v in _DTYPES.items()},
  **{
    f"torch {name}": Word("dtype", name)
    for name in (*_DTYPES.values(), "uint16", "uint32", "uint64")
  },
  "torch UntypedStorage": Word("dtype", "uint8"),
  "torch.storage UntypedStorage": Word("dtype", "uint8"),
  "torch._utils _rebuild_tensor": Word("call", _rebuild),
  "torch._utils _rebuild_tensor_v2": Word("call", _rebuild),
  "torch._utils _rebuild_tensor_v3": Word("call", _rebuild_typed),
  "torch._utils _rebuild_parameter": Word("call", _first),
  "torch._utils _rebuild_parameter_with_state": Word("call", _first),
  "torch._tensor _rebuild_from_type_v2": Word("call", _rebuild_subclass),
  "torch Size": Word("call", _size),
  "collections OrderedDict": Word("call", _ordered),
  # What lies beside the weights in checkpoints of training runs.
  **{
    name: Word("opaque")
    for name in (
      "torch Tensor",
      "torch device",
      "torch.nn.parameter Parameter",
      "torch.nn.parameter Buffer",
      "argparse Namespace",
      "collections Counter",
      "collections defaultdict",
      "pathlib Path",
      "pathlib PosixPath",
      "pathlib WindowsPath",
      "numpy dtype",
      "numpy.core.multiarray scalar",
      "numpy._core.multiarray scalar",
      "_codecs encode",
      *(
        f"{module} {name}"
        for module in ("builtins", "__builtin__")
        for name in ("set", "list", "dict", "int", "float", "str", "bool")
      ),
    )
  },
}
