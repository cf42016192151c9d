"""Predictions at an image's own size, without a compilation per size.

Photographs come in any number of sizes, and a compiled program has one. Here
the shapes are rounded up to buckets, and the true size is a value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxseg import answer, compiling
from jaxseg.inference import Forward, Size, heads
from jaxseg.types import Array, Task


def native(
  forward: Forward,
  task: Task,
  size: Size | None = None,
  fit: Callable[[np.ndarray, Size], np.ndarray] | None = None,
  *,
  bucket: int = 128,
  rows: int | None = 64,
) -> Callable[[Any, np.ndarray], dict[str, np.ndarray]]:
  """Predictions at an image's own size, without a compilation per size.

  With `size` the image is stretched to it, the network runs there, and its
  outputs are resized (bilinear) to the image's size before `task.predict`
  decides: on the device, in strips of rows, so that no (h, w, classes) array
  exists at full resolution. Without `size` the network runs on the image
  itself, mirrored up to the bucket. `task.compose`, if there is one, sees the
  image at its own size. Shapes are rounded up to multiples of `bucket`; the
  true size is a value, not a shape.

  Args:
    forward: see `build_forward`.
    task: names the heads that are resized, and predicts.
    size: (h, w) that the network runs at; None for the image's own.
    fit: resizes uint8 (h, w, 3) to `size` as evaluation does; needed with it.
    bucket: multiple that shapes are rounded up to.
    rows: height of a strip, made a divisor of `bucket`; None decides on the
      whole image, for a task whose decision about a pixel looks at others.

  Returns:
    predict(variables, image uint8 (h, w, 3)) -> {name: array (h, w, ...)} on
    the host; labels are uint8 where they fit.
  """
  if (size is None) != (fit is None):
    raise ValueError("native: `size` and `fit` come together or not at all.")
  rows = rows and math.gcd(rows, bucket)
  composes = hasattr(task, "compose")

  @compiling.jit
  def network(variables, pixels):  # uint8 (1, h, w, 3)
    out = forward(variables, pixels.astype(jnp.float32) / 255)
    return heads(out, task)

  def decide(out):
    return narrow(task.predict(out), task)

  def enlarge(out, shape, true):
    """(1, n, m, c) -> predictions (1, *shape, ...) of a `true` size."""

    def strip(start, height):
      at = start + jnp.arange(height)
      part = {k: linear(v, 1, at, true[0]) for k, v in out.items()}
      at = jnp.arange(shape[1])
      return decide({k: linear(v, 2, at, true[1]) for k, v in part.items()})

    if rows is not None:
      shapes = jax.eval_shape(lambda: strip(0, rows)).values()
      if all(s.shape[1:3] == (rows, shape[1]) for s in shapes):
        strips = lax.map(lambda y: strip(y, rows), np.arange(0, shape[0], rows))
        return {k: v.reshape(1, -1, *v.shape[3:]) for k, v in strips.items()}
    return strip(0, shape[0])

  enlarge = compiling.jit(enlarge, static_argnums=1)
  decide_all = compiling.jit(decide)
  finish = compiling.jit(
    lambda pred, pixels: answer.compose(
      task, pred, pixels.astype(jnp.float32) / 255
    )
  )

  def predict(variables, image):
    if image.dtype != np.uint8 or image.ndim != 3:
      raise ValueError(
        f"native: image of {image.dtype} {image.shape}, not uint8 (h, w, 3)."
      )
    h, w = image.shape[:2]
    shape = (-(-h // bucket) * bucket, -(-w // bucket) * bucket)
    if size is None or composes:
      pads = ((0, shape[0] - h), (0, shape[1] - w), (0, 0))
      pixels = np.pad(image, pads, mode="reflect")[None]
    if size is None:
      pred = decide_all(network(variables, pixels))
    else:
      out = network(variables, fit(image, size)[None])
      pred = enlarge(out, shape, np.array([h, w], np.int32))
    if composes:
      pred = finish(pred, pixels)
    pred = {k: v[0] for k, v in jax.device_get(pred).items()}
    return {
      k: v[:h, :w] if v.shape[:2] == shape else v for k, v in pred.items()
    }

  return predict


def points(
  forward: Forward,
  task: Task,
  size: Size | None = None,
  fit: Callable[[np.ndarray, Size], np.ndarray] | None = None,
) -> Callable[[Any, np.ndarray], dict[str, np.ndarray]]:
  """As `native`, for a task whose answer is a list of points.

  The network's outputs are read at the size that it ran at, and the points
  then moved to the image's own size: no map is enlarged, and none is padded,
  where a peak could be found outside the image. Without `size` there is a
  compilation per size of image.

  Args:
    forward, task, size, fit: see `native`.

  Returns:
    predict(variables, image uint8 (h, w, 3)) -> {'keypoints': (1, k, 3), ...},
    x and y in pixels of the image as it was given.
  """
  if (size is None) != (fit is None):
    raise ValueError("points: `size` and `fit` come together or not at all.")

  @compiling.jit
  def run(variables, pixels):  # uint8 (1, h, w, 3)
    return task.predict(forward(variables, pixels.astype(jnp.float32) / 255))

  def predict(variables, image):
    pixels = image if size is None else fit(image, size)
    pred = jax.device_get(run(variables, pixels[None]))
    pred = {k: v[0] for k, v in pred.items()}
    (h, w), (own_h, own_w) = pixels.shape[:2], image.shape[:2]
    scale = np.array([own_w / w, own_h / h, 1], np.float32)
    return {**pred, "keypoints": pred["keypoints"] * scale}

  return predict


def narrow(pred: Mapping[str, Array], task: Task) -> dict[str, Array]:
  """Predictions with 'label' as uint8 where every class id fits."""
  fits = max(task.outputs.values()) <= 256
  return {
    k: v.astype(jnp.uint8) if k == "label" and fits else v
    for k, v in pred.items()
  }


def linear(x: Array, axis: int, at: Array, true: Array) -> Array:
  """Half-pixel linear interpolation along an axis of (1, h, w, c).

  Output pixel `at` of `true` pixels in all; positions are exact fractions of
  integers, for float32 would miss them by 3e-5 near pixel 1000. Pixels beyond
  the true size repeat the last one.
  """
  n = x.shape[axis]
  at = jnp.minimum(at, true - 1)
  position = jnp.clip((2 * at + 1) * n - true, 0, 2 * true * (n - 1))
  low, rest = position // (2 * true), position % (2 * true)
  part = rest.astype(jnp.float32) / (2 * true).astype(jnp.float32)
  part = part.reshape([-1 if i == axis else 1 for i in range(4)])
  below = jnp.take(x, low, axis=axis).astype(jnp.float32)
  above = jnp.take(x, jnp.minimum(low + 1, n - 1), axis=axis)
  return below + (above.astype(jnp.float32) - below) * part
