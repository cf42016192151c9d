"""Our own file of weights: one .safetensors that says where it came from.

Arrays are named by their paths in the variables, 'params/stem/conv/kernel';
the metadata's one entry, 'jaxseg', is the `Record` as JSON. It holds a digest
of the arrays, so that a flipped bit is found when the file is read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import save_file

from jaxseg import __version__
from jaxseg.types import UserError

KEY = "jaxseg"
HINT = "python -m jaxseg.weights.convert --from=... --model=... CHECKPOINT OUT"


@dataclasses.dataclass(frozen=True)
class Record:
  """What is known of a file of weights.

  Attributes:
    network: name of the network or encoder, such as 'resnet50'.
    fields: of the network, where the weights ask for other than the defaults.
    source: who published them: 'torchvision', a package, an address.
    licence: of the weights; '' where it was not said.
    sha256: of the file that they were converted from.
    normalization: what the image has to go through: a name that encoders
      know, or {'mean': ..., 'std': ..., 'scale': ..., 'order': ...}.
    rules: fingerprint of the renaming rules.
    version: of jaxseg.
    digest: of the arrays; `write` fills it in.
  """

  network: str = ""
  fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  source: str = ""
  licence: str = ""
  sha256: str = ""
  normalization: str | Mapping[str, Any] = "imagenet"
  rules: str = ""
  version: str = __version__
  digest: str = ""


def digest(arrays: Mapping[str, np.ndarray]) -> str:
  """SHA-256 over names, dtypes, shapes and numbers, in the order of names."""
  out = hashlib.sha256()
  for name in sorted(arrays):
    array = np.ascontiguousarray(arrays[name])
    out.update(f"{name} {array.dtype} {arrays[name].shape}\n".encode())
    out.update(array.reshape(-1).view(np.uint8))
  return out.hexdigest()


def write(
  path: str | pathlib.Path, arrays: Mapping[str, np.ndarray], record: Record
) -> Record:
  """Writes a file, whole or not at all; returns the record with its digest.

  Args:
    path: ends in .safetensors; the folder is made where it is missing.
    arrays: path in the variables -> array.
    record: what to say of them.

  Raises:
    UserError: another ending, or the place cannot be written.
  """
  path = pathlib.Path(path)
  if path.suffix != ".safetensors":
    raise UserError(f"{path} cannot be written: its name ends in .safetensors.")
  # The library writes memory as it lies: views have to be straightened.
  arrays = {k: np.array(v, order="C") for k, v in arrays.items()}
  record = dataclasses.replace(record, digest=digest(arrays))
  text = json.dumps(dataclasses.asdict(record))
  with replacing(path) as temporary:
    try:
      save_file(arrays, temporary, {KEY: text})
    except safetensors.SafetensorError as e:
      raise OSError(str(e)) from e
  return record


@contextlib.contextmanager
def replacing(path: pathlib.Path):
  """A name to write to; what is there takes `path`'s place at the end.

  Raises:
    UserError: the place cannot be written.
  """
  temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    yield temporary
    temporary.replace(path)
  except OSError as e:
    raise UserError(
      f"{path} cannot be written ({e.strerror or e}): choose a place that you "
      "may write to, with room."
    ) from e
  finally:
    with contextlib.suppress(OSError):
      temporary.unlink(missing_ok=True)


def describe(path: str | pathlib.Path) -> Record:
  """The record alone, without reading the arrays.

  Raises:
    UserError: missing, cut off, or not of our format.
  """
  return _open(path)[1]


def read(path: str | pathlib.Path) -> tuple[dict[str, np.ndarray], Record]:
  """Path in the variables -> array, and the record; the digest is verified.

  Raises:
    UserError: missing, damaged, or not of our format.
  """
  arrays, record = _open(path, arrays=True)
  found = digest(arrays)
  if found != record.digest:
    raise UserError(
      f"{path} is damaged: its arrays have the digest {found}, its record says "
      f"{record.digest}. Convert the checkpoint again."
    )
  return arrays, record


def _open(
  path: str | pathlib.Path, arrays: bool = False
) -> tuple[dict[str, np.ndarray], Record]:
  if not pathlib.Path(path).is_file():
    raise UserError(f"the weights {path} are not there: expected a file.")
  try:
    with safetensors.safe_open(path, "np") as f:
      text = (f.metadata() or {}).get(KEY)
      names = f.keys() if arrays and text else ()
      out = {name: f.get_tensor(name) for name in names}
  except (
    safetensors.SafetensorError,
    AttributeError,  # a dtype that NumPy has not
    TypeError,
    OSError,
  ) as e:
    raise UserError(
      f"{path} cannot be read as weights of jaxseg ({str(e)[:200]}): a file "
      f"that is cut off has to be fetched again, and a checkpoint of another "
      f"framework converted: {HINT}."
    ) from e
  if not text:
    raise UserError(
      f"{path} holds no record of jaxseg: it is another program's file. "
      f"Convert it: {HINT}."
    )
  try:
    record = Record(**json.loads(text))
  except (ValueError, TypeError, RecursionError) as e:
    raise UserError(
      f"the record of {path} cannot be read ({e}): convert the checkpoint "
      "again with this version."
    ) from e
  return out, record
