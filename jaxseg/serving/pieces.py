"""An image of any size through a program for pieces, strip by strip.

Only rows that are being worked on are in memory: those of one row of pieces,
and the sums of the windows that are not finished, (window, w, classes) floats.
What a strip of rows is predicted to be leaves as soon as it is final.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from jaxseg.ops import tiling
from jaxseg.serving.artifact import Artifact
from jaxseg.types import UserError

Strip = tuple[int, dict[str, np.ndarray]]  # first row, {name: (rows, w, ...)}


class Source(Protocol):
  """An image that is read by rows."""

  height: int
  width: int

  def rows(self, start: int, stop: int) -> np.ndarray:
    """uint8 (stop - start, width, 3)."""
    ...


class Pixels:
  """An array uint8 (h, w, 3) as a Source."""

  def __init__(self, image: np.ndarray):
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
      raise UserError(
        f"the artifact got an image of {image.dtype} {image.shape}: expected "
        "uint8 (h, w, 3)."
      )
    self._image = image
    self.height, self.width = image.shape[:2]

  def rows(self, start: int, stop: int) -> np.ndarray:
    """See Source."""
    return self._image[start:stop]


def whole(artifact: Artifact, source: Source) -> dict[str, np.ndarray]:
  """Predictions {name: (h, w, ...)} of a whole image, in memory."""
  found = [strip for _, strip in strips(artifact, source)]
  return {k: np.concatenate([one[k] for one in found]) for k in found[0]}


def strips(artifact: Artifact, source: Source) -> Iterator[Strip]:
  """Predictions from the top to the bottom, each row once.

  Raises:
    UserError: the artifact takes images of another size only.
  """
  plan = artifact.plan
  if plan is None:
    return _fixed(artifact, source)
  return {"windows": _windows, "enlarge": _enlarged}[plan["how"]](
    artifact, source
  )


def _fixed(artifact: Artifact, source: Source) -> Iterator[Strip]:
  h, w = artifact.size
  if (source.height, source.width) != (h, w):
    raise UserError(
      f"the image has {source.height} x {source.width} pixels (h x w), and the "
      f"artifact takes {h} x {w} alone: resize the image, or export again with "
      "--config.export.sizes=any."
    )
  pred = artifact.call(source.rows(0, h)[None])
  yield 0, {key: np.asarray(value)[0] for key, value in pred.items()}


def _windows(artifact: Artifact, source: Source) -> Iterator[Strip]:
  """Sums are kept for one row of windows and moved up for the next."""
  down, across = axes(artifact.plan, source.height, source.width)
  left = int(across.starts[0])
  width = int(across.starts[-1]) + across.window - left
  total = {
    key: np.zeros((1, down.window, width, channels), np.float32)
    for key, channels in artifact.plan["state"].items()
  }
  for i, top in enumerate(down.starts):
    lines = _lines(source, down.reads(i))
    begin, end = down.final(i)
    strip: dict[str, np.ndarray] = {}
    for j, start in enumerate(across.starts):
      pixels = np.ascontiguousarray(lines[None, :, across.reads(j)])
      at = slice(start - left, start - left + across.window)
      weight = np.outer(down.weights[i], across.weights[j])
      old = {key: value[:, :, at] for key, value in total.items()}
      new, pred = artifact.call(pixels, old, weight)
      for key, value in new.items():
        total[key][:, :, at] = value
      first, last = across.final(j)
      for key, value in pred.items():
        value = np.asarray(value)[0]
        part = value[begin - top : end - top, first - start : last - start]
        if key not in strip:
          shape = (end - begin, source.width, *part.shape[2:])
          strip[key] = np.empty(shape, part.dtype)
        strip[key][:, first:last] = part
    yield begin, strip
    if i + 1 < len(down.starts):
      step = int(down.starts[i + 1] - top)
      for value in total.values():
        value[:, :-step] = value[:, step:]
        value[:, -step:] = 0


def _enlarged(artifact: Artifact, source: Source) -> Iterator[Strip]:
  """The network runs once; its answer is enlarged block by block."""
  size, block = artifact.plan["size"], artifact.plan["block"]
  pixels = fit(source, tuple(size))[None]
  state = {
    key: np.zeros((1, *shape), np.float32)
    for key, shape in artifact.plan["state"].items()
  }
  fresh = True
  true = np.array([source.height, source.width], np.int32)
  for y in range(0, source.height, block[0]):
    lines = source.rows(y, min(y + block[0], source.height))
    parts: dict[str, list[np.ndarray]] = {}
    for x in range(0, source.width, block[1]):
      shown = lines[:, x : x + block[1]]
      h, w = shown.shape[:2]
      pads = ((0, block[0] - h), (0, block[1] - w), (0, 0))
      shown = np.pad(shown, pads, mode="edge")[None]
      corner = np.array([y, x], np.int32)
      state, pred = artifact.call(
        pixels, state, np.bool_(fresh), true, corner, shown
      )
      fresh = False
      for key, value in pred.items():
        parts.setdefault(key, []).append(np.asarray(value)[0, :h, :w])
    yield y, {key: np.concatenate(value, 1) for key, value in parts.items()}


def axes(plan: dict[str, Any], h: int, w: int) -> tuple[tiling.Axis, ...]:
  """Where windows lie in an image of h x w pixels: down and across."""
  if plan["blend"]:
    return tuple(
      tiling.blended(n, size, plan["overlap"])
      for n, size in zip((h, w), plan["window"])
    )
  return tuple(
    tiling.side_by_side(n, size, plan["margin"], plan["stride"])
    for n, size in zip((h, w), plan["window"])
  )


def _lines(source: Source, index: np.ndarray) -> np.ndarray:
  """Rows of an image by a list of them that is nearly in order."""
  first, last = int(index.min()), int(index.max()) + 1
  return source.rows(first, last)[index - first]


def fit(source: Source, size: tuple[int, int]) -> np.ndarray:
  """The image stretched to `size` as evaluation does: uint8 (*size, 3).

  Averages over the pixels' areas where both sides shrink, linear between
  centres where not; read by rows.
  """
  h, w = source.height, source.width
  if (h, w) == size:
    return source.rows(0, h)
  weights = _area if size[0] < h and size[1] < w else _linear
  down, across = weights(h, size[0]), weights(w, size[1])  # (m, n)
  out = np.zeros((*size, 3), np.float32)
  for y in range(0, h, 256):
    lines = source.rows(y, min(y + 256, h)).astype(np.float32)
    lines = np.matmul(across, lines)  # (rows, size[1], 3)
    used = np.flatnonzero(down[:, y : y + 256].any(1))
    part = down[used, y : y + 256]
    out[used] += np.tensordot(part, lines, 1)
  return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def _area(n: int, m: int) -> np.ndarray:
  """(m, n) weights: the share of each of n pixels in m larger ones."""
  edges = np.arange(m + 1) * (n / m)
  low, high = edges[:-1, None], edges[1:, None]
  at = np.arange(n)
  shared = np.minimum(high, at + 1) - np.maximum(low, at)
  return (np.maximum(shared, 0) * (m / n)).astype(np.float32)


def _linear(n: int, m: int) -> np.ndarray:
  """(m, n) weights between the centres of the two nearest of n pixels."""
  at = np.clip((np.arange(m) + 0.5) * (n / m) - 0.5, 0, n - 1)
  low = np.floor(at).astype(int)
  part = (at - low).astype(np.float32)
  out = np.zeros((m, n), np.float32)
  out[np.arange(m), low] = 1 - part
  out[np.arange(m), np.minimum(low + 1, n - 1)] += part
  return out
