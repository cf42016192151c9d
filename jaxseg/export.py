"""One file that predicts: uint8 pixels in, answers out, weights inside.

The artifact is StableHLO as `jax.export` serializes it: scaling, windows,
views, network and decision in one program for CPU, CUDA and TPU. It needs jax
and nothing of this project. Beside it lies `NAME.json`, which says what goes
in, what comes out and what the class ids mean. One kind takes any number of
images of one size; the other, of `anysize`, an image of any size by pieces.
`python -m jaxseg.predict` serves both.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

import jaxseg
from jaxseg import compiling, native
from jaxseg.anysize import Program
from jaxseg.serving import artifact as serving
from jaxseg.serving import pieces
from jaxseg.types import Array, Task, UserError

PLATFORMS = ("cpu", "cuda", "tpu")
FIXED, ANY = serving.FORMATS

USE = (
  "import jax, jax.export; "
  "f = jax.export.deserialize(open(PATH, 'rb').read()).call; "
  "pred = f(images)  # uint8 (b, h, w, 3)"
)
USE_ANY = (
  "python -m jaxseg.predict PATH IMAGES; it needs jax and numpy alone, and "
  "jaxseg/serving/pieces.py in it says what the program is called with"
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
  h, w = size

  def run(image):  # uint8 (b, h, w, 3)
    pred = predict(variables, image.astype(jnp.float32) / 255)
    return native.narrow(pred, task)

  exported, batch = _export(jax.jit(run), h, w)
  outputs = jax.tree.unflatten(exported.out_tree, exported.out_avals)
  facts = {
    "format": FIXED,
    "size": [h, w],
    "batch": batch,
    "outputs": _outputs(outputs),
    "use": USE,
  }
  path = pathlib.Path(path)
  description = _write(exported, path, {**(meta or {}), **facts}, task)
  with _removed_if_wrong(path):
    loaded, description = load_artifact(path)
    _compare(compiling.jit(run), loaded, _samples(h, w), path)
  if console:
    _tell(console, path, description)
  return description


def export_any(
  program: Program,
  variables: Any,
  path: str | os.PathLike,
  *,
  task: Task,
  meta: Mapping[str, Any] | None = None,
  console: Console | None = None,
) -> dict[str, Any]:
  """As `export_artifact`, for an image of any size, served by pieces.

  Args:
    program: from `anysize.build`.
    variables: what to put inside.
    path, task, meta, console: see `export_artifact`.
  """

  def run(*arguments):
    return program.run(variables, *arguments)

  exported = jax.export.export(jax.jit(run), platforms=PLATFORMS)(
    *program.arguments
  )
  pixels, state = program.arguments[:2]
  _, outputs = jax.tree.unflatten(exported.out_tree, exported.out_avals)
  blends = program.plan["how"] == "windows"
  facts = {
    "format": ANY,
    "size": list(pixels.shape[1:3]),
    "batch": 1,
    "outputs": _outputs(outputs),
    "any_size": {
      **program.plan,
      "state": {
        key: v.shape[3] if blends else list(v.shape[1:])
        for key, v in state.items()
      },
    },
    "use": USE_ANY,
  }
  path = pathlib.Path(path)
  description = _write(exported, path, {**(meta or {}), **facts}, task)
  live = serving.Artifact(compiling.jit(run), description, path)
  with _removed_if_wrong(path):
    loaded, description = load_artifact(path)
    _compare(
      lambda images: predict_each(live, images),
      loaded,
      _samples(pixels.shape[1] + 1, pixels.shape[2] - 1),
      path,
    )
  if console:
    _tell(console, path, description)
  return description


def load_artifact(
  path: str | os.PathLike,
) -> tuple[Callable[[Any], dict[str, Array]], dict[str, Any]]:
  """Reads an artifact: (predict, description).

  Returns:
    predict(image uint8 (b, h, w, 3)) -> {name: array}, compiled at its first
    call; and the description that lies beside the file. Of an artifact for any
    size the arrays are on the host.

  Raises:
    UserError: see `serving.artifact.load`; from predict: an image of another
      size or dtype.
  """
  loaded = serving.load(path)
  if loaded.plan:
    return lambda images: predict_each(loaded, images), loaded.description
  h, w = loaded.size
  batch = loaded.description["batch"]

  def predict(image):
    fits = image.ndim == 4 and image.shape[1:] == (h, w, 3)
    if batch != "any":
      fits = fits and image.shape[0] == batch
    if not fits or image.dtype != np.uint8:
      raise UserError(
        f"the artifact got an image of {image.dtype} {image.shape}: expected "
        f"uint8 ({'b' if batch == 'any' else batch}, {h}, {w}, 3); resize it."
      )
    return loaded.call(image)

  return predict, loaded.description


def predict_each(
  loaded: serving.Artifact, images: np.ndarray
) -> dict[str, np.ndarray]:
  """Images (b, h, w, 3) one by one through an artifact for any size."""
  found = [pieces.whole(loaded, pieces.Pixels(image)) for image in images]
  return {key: np.stack([one[key] for one in found]) for key in found[0]}


def _outputs(outputs: Mapping[str, Any]) -> dict[str, Any]:
  return {
    key: {"dtype": str(v.dtype), "shape": [str(n) for n in v.shape]}
    for key, v in outputs.items()
  }


def _write(
  exported: Any, path: pathlib.Path, facts: Mapping[str, Any], task: Task
) -> dict[str, Any]:
  """Writes the file and its description, and returns that."""
  data = bytes(exported.serialize())
  description = {
    **facts,
    "task": getattr(task, "name", type(task).__name__),
    "classes": list(getattr(task, "classes", ())),
    "palette": np.asarray(getattr(task, "palette", ())).tolist(),
    "keypoints": list(getattr(task, "names", ())),
    "input": {
      "dtype": "uint8",
      "shape": [str(n) for n in exported.in_avals[0].shape],
      "axes": ["b", "h", "w", "c"],
      "meaning": "RGB in [0, 255]",
    },
    "platforms": list(exported.platforms),
    "jax": jax.__version__,
    "jaxseg": jaxseg.__version__,
    "bytes": len(data),
    "sha256": hashlib.sha256(data).hexdigest(),
  }
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    serving.sidecar(path).write_text(json.dumps(description, indent=2) + "\n")
  except OSError as e:
    raise UserError(
      f"{path} cannot be written ({e.strerror or e}): check the folder's "
      "permissions and the space on the disk."
    ) from e
  return description


@contextlib.contextmanager
def _removed_if_wrong(path: pathlib.Path) -> Iterator[None]:
  try:
    yield
  except UserError:
    path.unlink()
    serving.sidecar(path).unlink()
    raise


def _tell(
  console: Console, path: pathlib.Path, description: Mapping[str, Any]
) -> None:
  console.print(f"Exported {path} ({description['bytes']:,} bytes), checked.")


def _export(run: Any, h: int, w: int) -> tuple[Any, Any]:
  """The exported program and its batch: 'any', or 1 where it must be known."""

  def export(b):
    shape = jax.ShapeDtypeStruct((b, h, w, 3), jnp.uint8)
    return jax.export.export(run, platforms=PLATFORMS)(shape)

  try:
    return export(jax.export.symbolic_shape("b")[0]), "any"
  except Exception:  # a network may compute with its batch size in many ways
    return export(1), 1


def _samples(h: int, w: int) -> Iterator[np.ndarray]:
  """Noise, and blocks of colour: uint8 (1, h, w, 3)."""
  rng = np.random.default_rng(0)
  h, w = max(h, 1), max(w, 1)
  yield rng.integers(0, 256, (1, h, w, 3), np.uint8)
  blocks = rng.integers(0, 256, (-(-h // 16), -(-w // 16), 3), np.uint8)
  yield blocks.repeat(16, 0).repeat(16, 1)[None, :h, :w]


def _compare(
  live: Any, loaded: Any, images: Iterable[np.ndarray], path: Any
) -> None:
  """Raises UserError unless integers are equal and floats within 1e-5."""
  for image in images:
    want, got = live(image), loaded(image)
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
