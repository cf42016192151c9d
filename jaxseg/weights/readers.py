"""Published checkpoints to arrays by name: .pth, .safetensors, .h5.

`read(path) -> (tensors, meta)`: what a file is, is told from its first bytes.
Nothing in a file is ever run. float16, float32, integers keep their dtypes;
bfloat16, which NumPy lacks, becomes float32 (exactly).
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors

from jaxseg.types import UserError
from jaxseg.weights import torch_files
from jaxseg.weights.words import Forbidden, Malformed

# What a wrapped network puts before every name.
WRAPPERS = ("module.", "_orig_mod.")
KINDS = ".pth, .pt or .bin (torch), .safetensors, .h5 (Keras)"


def read(path: str | pathlib.Path) -> tuple[dict[str, np.ndarray], dict]:
  """Reads a checkpoint.

  Args:
    path: a file of torch.save (zip or the older stream), safetensors, or
      Keras' HDF5 weights.

  Returns:
    tensors: source name -> array, in the file's order; nested dictionaries
      have dotted names, and 'module.' before all of them is taken off.
    meta: 'format'; 'entry', the key that held the state_dict; 'metadata' of
      safetensors.

  Raises:
    UserError: the file is missing, cut off, damaged, of another kind, holds
      no tensors, or asks for code to be run.
  """
  path = pathlib.Path(path)
  try:
    with path.open("rb") as f:
      start = f.read(512)
    size = path.stat().st_size
  except OSError as e:
    raise UserError(
      f"the checkpoint {path} cannot be read ({e.strerror}): expected a file "
      f"of kind {KINDS}."
    ) from e
  kind = sniff(path, start, size)
  try:
    tensors, meta = _READERS[kind](path)
  except Malformed as e:
    raise UserError(
      f"{path} is cut off or damaged ({' '.join(str(e).split())[:200]}): "
      "expected a whole checkpoint, so fetch the file again."
    ) from e
  except Forbidden as e:
    raise UserError(
      f"{path} asks for {str(e)[:80]!r} to be called while it is read: nothing "
      "was run, and the file is refused. Expected tensors alone: if you trust "
      "it, load it with the program that wrote it and save only the network's "
      "state_dict()."
    ) from e
  except MemoryError as e:
    raise UserError(
      f"{path} does not fit into the memory of this machine."
    ) from e
  if not tensors:
    raise UserError(f"{path} holds no tensors: expected a checkpoint.")
  return _unwrap(tensors), {"format": kind, **meta}


def sniff(path: pathlib.Path, start: bytes, size: int) -> str:
  """'torch-zip', 'torch-stream', 'safetensors' or 'keras-h5'.

  Raises:
    UserError: the first bytes are those of none of them.
  """
  if not size:
    raise UserError(f"{path} is empty: fetch the checkpoint again.")
  if start.startswith(b"PK\x03\x04"):
    return "torch-zip"
  if start.startswith(b"\x89HDF\r\n\x1a\n"):
    return "keras-h5"
  if size > 8 and start[5:9] == b"\0\0\0{":  # the length of its header
    return "safetensors"
  if start[:1] == b"\x80" and start[1:2] <= b"\x05":
    return "torch-stream"
  if start[257:262] == b"ustar":
    raise UserError(
      f"{path} was written by torch before 0.1.10: load it with torch and save "
      "it again."
    )
  raise UserError(
    f"{path} is no checkpoint (it begins with {start[:8]!r}), or only a scrap "
    f"of one: expected a file of kind {KINDS}."
  )


def _safetensors(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict]:
  out = {}
  try:
    with safetensors.safe_open(path, "np") as f:
      meta = f.metadata() or {}
      for name in f.keys():  # noqa: SIM118 (no mapping)
        out[name] = f.get_tensor(name)
  except (safetensors.SafetensorError, AttributeError, TypeError) as e:
    raise Malformed(str(e)) from e
  for name, array in out.items():
    if array.dtype.kind not in "fiub":  # bfloat16 and the like
      out[name] = array.astype(np.float32)
  return out, {"metadata": meta}


def _keras(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict]:
  """Both layouts of Keras.

  The older has a group per layer (names in the attribute 'layer_names') and
  in it the arrays by their own names, 'conv1/kernel:0': these names, less the
  ':0'. The newer (.weights.h5 of Keras 3) has arrays numbered within
  '.../vars': their whole paths.
  """
  try:
    import h5py
  except ImportError as e:
    raise UserError(
      f"{path} is an HDF5 file, and h5py is not installed: "
      "pip install 'jaxseg[weights]'."
    ) from e
  size = path.stat().st_size
  found: dict[str, np.ndarray] = {}
  try:
    with h5py.File(path, "r") as f:
      root = f.get("model_weights", f)
      layered = any(k.startswith("layer_names") for k in root.attrs)
      left = 8 * size + torch_files.SLACK

      def visit(name: str, item: Any) -> None:
        nonlocal left
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiu":
          return
        left -= item.nbytes
        if left < 0:
          raise Malformed("its arrays are far larger than the file")
        found[name] = np.asarray(item[()])

      root.visititems(visit)
  except Malformed:
    raise
  # h5py passes on what the C library finds: OSError, KeyError, RuntimeError ...
  except Exception as e:
    raise Malformed(str(e)) from e
  if layered:
    return _layered(found), {"layout": "layers"}
  return found, {"layout": "paths"}


def _layered(found: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
  """'conv1/conv1/kernel:0' -> 'conv1/kernel'; the layer's group goes.

  It stays where an array's own name has no slash (Keras 1), and everywhere
  when two arrays would have the same name.
  """
  own = {}
  for path, array in found.items():
    _, _, name = path.partition("/")
    own[(name if "/" in name else path).removesuffix(":0")] = array
  if len(own) < len(found):
    return {path.removesuffix(":0"): array for path, array in found.items()}
  return own


def _unwrap(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Takes off what DataParallel and torch.compile put before every name."""
  while True:
    for word in WRAPPERS:
      if all(name.startswith(word) and name != word for name in tensors):
        tensors = {k.removeprefix(word): v for k, v in tensors.items()}
        break
    else:
      return tensors


_READERS = {
  "torch-zip": torch_files.read_zip,
  "torch-stream": torch_files.read_stream,
  "safetensors": _safetensors,
  "keras-h5": _keras,
}
