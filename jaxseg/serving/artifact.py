"""Reads what --mode=export wrote: a file and the description beside it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import jax.export

from jaxseg import compiling
from jaxseg.types import UserError

FORMATS = ("jaxseg-export-1", "jaxseg-export-2")  # of one size, of any


@dataclasses.dataclass(frozen=True)
class Artifact:
  """A program and its description.

  Attributes:
    call: the program; compiled at its first call.
    description: what lies beside the file, see `export`.
    path: of the file, for messages.
  """

  call: Callable[..., Any]
  description: dict[str, Any]
  path: pathlib.Path

  @property
  def plan(self) -> dict[str, Any] | None:
    """How pieces of an image of any size lie; None: images of one size."""
    return self.description.get("any_size")

  @property
  def size(self) -> tuple[int, int]:
    """(h, w) of the pixels that the program takes at a time."""
    return tuple(self.description["size"])


def load(path: str | os.PathLike) -> Artifact:
  """Reads an artifact.

  Raises:
    UserError: a file is missing or damaged, is something else, or was made for
      other platforms or by a jax that this one cannot read.
  """
  path = pathlib.Path(path)
  description = _description(path)
  try:
    data = path.read_bytes()
  except OSError as e:
    raise UserError(
      f"artifact {path} cannot be read ({e.strerror}): expected a file as "
      "--mode=export writes it; check the path."
    ) from None
  if hashlib.sha256(data).hexdigest() != description["sha256"]:
    have, want = len(data), description.get("bytes", len(data))
    size = (
      f"it has {have} of {want} bytes"
      if have != want
      else ("its checksum differs")
    )
    raise UserError(
      f"artifact {path} is damaged or not the one that {sidecar(path).name} "
      f"describes ({size}): copy both again or export again."
    )
  try:
    exported = jax.export.deserialize(bytearray(data))
  except ImportError as e:
    raise UserError(
      f"jax.export reads artifacts with a package that is missing ({e}): pip "
      "install flatbuffers."
    ) from e
  except Exception as e:  # whatever a newer format raises
    raise UserError(
      f"artifact {path} was written by jax {description.get('jax')} and jax "
      f"{jax.__version__} cannot read it ({e}): install that version or export "
      "again."
    ) from e
  here = jax.default_backend()
  here = "cuda" if here == "gpu" and "cuda" in exported.platforms else here
  if here not in exported.platforms:
    raise UserError(
      f"artifact {path} is for {', '.join(exported.platforms)}, and this "
      f"machine runs {here}: set JAX_PLATFORMS=cpu, or export again."
    )
  return Artifact(compiling.jit(exported.call), description, path)


def _description(path: pathlib.Path) -> dict[str, Any]:
  beside = sidecar(path)
  if path.suffix == ".json":
    raise UserError(
      f"{path} is a description, not an artifact: name the file beside it, "
      f"{path.with_suffix('')}."
    )
  if not path.is_file():
    raise UserError(
      f"artifact {path} is not a file: expected one as --mode=export writes "
      "it; check the path."
    )
  try:
    description = json.loads(beside.read_text())
  except (OSError, ValueError, RecursionError) as e:
    raise UserError(
      f"the description {beside} of the artifact cannot be read ({e}): "
      "--mode=export writes both files, copy both."
    ) from None
  wanted = {"sha256", "size", "batch"}
  if not isinstance(description, dict) or not wanted <= description.keys():
    raise UserError(
      f"{beside} does not describe an artifact: expected the file that "
      "--mode=export wrote beside it."
    )
  written = description.get("format", FORMATS[0])
  if written not in FORMATS:
    raise UserError(
      f"artifact {path} has the format {written!r}, and this program reads "
      f"{', '.join(FORMATS)}: update it, or export again."
    )
  return description


def sidecar(path: pathlib.Path) -> pathlib.Path:
  """Where the description of an artifact lies."""
  return path.with_name(path.name + ".json")
