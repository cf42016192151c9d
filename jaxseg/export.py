"""One file that predicts: uint8 pixels in, answers out, weights inside.

The artifact is StableHLO as `jax.export` serializes it: scaling, network and
decision in one program for CPU, CUDA and TPU. It needs jax and nothing of this
project. Beside it lies `NAME.json`, which says what goes in, what comes out
and what the class ids mean. Height and width are fixed, the batch is free.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

import jaxseg
from jaxseg import compiling, native
from jaxseg.types import Array, Task, UserError

PLATFORMS = ("cpu", "cuda", "tpu")
FORMAT = "jaxseg-export-1"

USE = (
  "import jax, jax.export; "
  "f = jax.export.deserialize(open(PATH, 'rb').read()).call; "
  "pred = f(images)  # uint8 (b, h, w, 3)"
)


def export_artifact(
  predict: Callable[[Any, Array], Mapping[str, Array]],
  variables: Any,
  size: tuple[int, int],
  path: str | os.PathLike,
  *,
  task: Task,
  meta: Mapping[str, Any] | None = None,
  console: Console | None = None,
) -> dict[str, Any]:
  """Writes an artifact and its description, reloads it and compares.

  Args:
    predict: (variables, image float32 (b, h, w, 3) in [0, 1]) -> {name:
      array}, from `inference.build`; the same that evaluation runs.
    variables: what to put inside.
    size: (h, w) of the images that the artifact will take.
    path: the file to write; `path`.json is its description.
    task: its name, classes and palette go into the description; 'label'
      leaves the artifact as uint8 where every class id fits.
    meta: more for the description.
    console: told where the artifact is and how large.

  Returns:
    The description as written; 'bytes' is the size of the artifact.

  Raises:
    UserError: the file cannot be written, or the reloaded artifact does not
      predict what the network here predicts.
  """
  path = pathlib.Path(path)
  h, w = size

  def run(image):  # uint8 (b, h, w, 3)
    pred = predict(variables, image.astype(jnp.float32) / 255)
    return native.narrow(pred, task)

  exported, batch = _export(jax.jit(run), h, w)
  data = bytes(exported.serialize())
  outputs = jax.tree.unflatten(exported.out_tree, exported.out_avals)
  description = {
    **(meta or {}),
    "format": FORMAT,
    "task": getattr(task, "name", type(task).__name__),
    "classes": list(getattr(task, "classes", ())),
    "palette": np.asarray(getattr(task, "palette", ())).tolist(),
    "keypoints": list(getattr(task, "names", ())),
    "size": [h, w],
    "batch": batch,
    "input": {
      "dtype": "uint8",
      "shape": [str(n) for n in exported.in_avals[0].shape],
      "axes": ["b", "h", "w", "c"],
      "meaning": "RGB in [0, 255]",
    },
    "outputs": {
      key: {"dtype": str(v.dtype), "shape": [str(n) for n in v.shape]}
      for key, v in outputs.items()
    },
    "platforms": list(exported.platforms),
    "jax": jax.__version__,
    "jaxseg": jaxseg.__version__,
    "bytes": len(data),
    "sha256": hashlib.sha256(data).hexdigest(),
    "use": USE,
  }
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    _sidecar(path).write_text(json.dumps(description, indent=2) + "\n")
  except OSError as e:
    raise UserError(
      f"{path} cannot be written ({e.strerror or e}): check the folder's "
      "permissions and the space on the disk."
    ) from e
  try:
    loaded, description = load_artifact(path)
    _compare(run, loaded, size, path)
  except UserError:
    path.unlink()
    _sidecar(path).unlink()
    raise
  if console:
    console.print(f"Exported {path} ({len(data):,} bytes), checked.")
  return description


def load_artifact(
  path: str | os.PathLike,
) -> tuple[Callable[[Any], dict[str, Array]], dict[str, Any]]:
  """Reads an artifact: (predict, description).

  Returns:
    predict(image uint8 (b, h, w, 3)) -> {name: array}, compiled at its first
    call; and the description that lies beside the file.

  Raises:
    UserError: a file is missing or damaged, or was made for other platforms;
      from predict: an image of another size or dtype.
  """
  path = pathlib.Path(path)
  try:
    data = path.read_bytes()
    description = json.loads(_sidecar(path).read_text())
  except (OSError, json.JSONDecodeError) as e:
    raise UserError(
      f"artifact {path} or its description {_sidecar(path).name} cannot be "
      f"read ({e}): expected both, as --mode=export writes them."
    ) from e
  if hashlib.sha256(data).hexdigest() != description.get("sha256"):
    raise UserError(
      f"artifact {path} is damaged or not the one that {_sidecar(path).name} "
      "describes (its checksum differs): copy both again or export again."
    )
  try:
    exported = jax.export.deserialize(bytearray(data))
  except Exception as e:  # whatever a newer format raises
    raise UserError(
      f"artifact {path} was written by jax {description.get('jax')} and jax "
      f"{jax.__version__} cannot read it ({e}): install that version or export "
      "again."
    ) from e
  call = compiling.jit(exported.call)
  h, w = description["size"]
  batch = description["batch"]

  def predict(image):
    fits = image.ndim == 4 and image.shape[1:] == (h, w, 3)
    if batch != "any":
      fits = fits and image.shape[0] == batch
    if not fits or image.dtype != np.uint8:
      raise UserError(
        f"the artifact got an image of {image.dtype} {image.shape}: expected "
        f"uint8 ({'b' if batch == 'any' else batch}, {h}, {w}, 3); resize it."
      )
    return call(image)

  return predict, description


def _export(run: Any, h: int, w: int) -> tuple[Any, Any]:
  """The exported program and its batch: 'any', or 1 where it must be known."""

  def export(b):
    shape = jax.ShapeDtypeStruct((b, h, w, 3), jnp.uint8)
    return jax.export.export(run, platforms=PLATFORMS)(shape)

  try:
    return export(jax.export.symbolic_shape("b")[0]), "any"
  except Exception:  # a network may compute with its batch size in many ways
    return export(1), 1


def _compare(run: Any, loaded: Any, size: tuple[int, int], path: Any) -> None:
  """Integers equal and floats within 1e-5 on noise and on blocks of colour."""
  rng = np.random.default_rng(0)
  h, w = size
  noise = rng.integers(0, 256, (h, w, 3), np.uint8)
  blocks = rng.integers(0, 256, (-(-h // 16), -(-w // 16), 3), np.uint8)
  blocks = blocks.repeat(16, 0).repeat(16, 1)[:h, :w]
  live = compiling.jit(run)
  for image in (noise, blocks):
    want, got = live(image[None]), loaded(image[None])
    for key, value in want.items():
      a, b = np.asarray(value), np.asarray(got[key])
      if np.issubdtype(a.dtype, np.inexact):
        scale = max(1.0, float(np.abs(a).max(initial=0)))
        same = np.allclose(a, b, rtol=1e-5, atol=1e-5 * scale, equal_nan=True)
      else:
        same = np.array_equal(a, b)
      if not same:
        share = float((a != b).mean()) if a.shape == b.shape else 1.0
        raise UserError(
          f"artifact {path} does not predict what the network predicts: "
          f"{key!r} differs in {share:.2%} of its values. It was removed; "
          "please report this with the config."
        )


def _sidecar(path: pathlib.Path) -> pathlib.Path:
  return path.with_name(path.name + ".json")
