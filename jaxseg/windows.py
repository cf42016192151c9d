"""A network over an image of any size, piece by piece: windows and tiles.

A `Forward` maps (variables, image float32 (b, h, w, 3) in [0, 1]) to the dict
that the model returns; where a task reads more than the image, (variables,
image, others ...). Shapes are static, the number of windows is not compiled
in: the work is a scan, and memory does not grow with the number of windows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxseg.ops import resize
from jaxseg.ops.tiling import window_plan
from jaxseg.types import Array, Outputs, Task, UserError

Size = tuple[int, int]
Forward = Callable[..., Outputs]


def sliding_window(
  forward: Forward, task: Task, window: Size, overlap: float = 0.5
) -> Forward:
  """Runs windows of one size over the image and blends what they say.

  Windows lie (1 - overlap) of their size apart, the last one is shifted back
  to fit, and an image smaller than a window is mirrored around. Weights fall
  linearly from the centre of a window to its border, never to zero, and sum
  to one at every pixel; the average is taken where `task.to_mean` says.

  Args:
    forward: a network whose outputs have the size of its input.
    task: names the heads that are kept, and the domain of the average.
    window: (h, w).
    overlap: in [0, 1).
  """
  wh, ww = window

  def run(variables, image):
    b, h, w, _ = image.shape
    rows, cols = _centred(h, wh), _centred(w, ww)
    image = resize.pad_mirror(image, rows, cols)
    y_at, y_weight = window_plan(image.shape[1], wh, overlap)
    x_at, x_weight = window_plan(image.shape[2], ww, overlap)

    def view(tile):  # (b, wh, ww, 3) -> {head: (b, wh, ww, c)}
      return task.to_mean(heads(forward(variables, tile), task))

    def step(total, index):
      i, j = index
      y, x = jnp.asarray(y_at)[i], jnp.asarray(x_at)[j]
      weight = jnp.outer(jnp.asarray(y_weight)[i], jnp.asarray(x_weight)[j])
      out = view(cut(image, y, x, window))
      for key, value in out.items():
        old = cut(total[key], y, x, window)
        new = old + value.astype(jnp.float32) * weight[:, :, None]
        total[key] = lax.dynamic_update_slice(total[key], new, (0, y, x, 0))
      return total, None

    shapes = jax.eval_shape(view, cut(image, 0, 0, window))
    check_size(shapes, window, "a sliding window")
    total = {
      key: jnp.zeros((b, *image.shape[1:3], s.shape[3]), jnp.float32)
      for key, s in shapes.items()
    }
    grid = np.indices((len(y_at), len(x_at))).reshape(2, -1)
    total, _ = lax.scan(step, total, tuple(jnp.asarray(grid)))
    return task.from_mean(
      {k: resize.crop(v, h, w, rows[0], cols[0]) for k, v in total.items()}
    )

  return run


def overlap_tile(
  forward: Forward, tile: Size, margin: int, stride: int = 1
) -> Forward:
  """Seamless tiles of a network without padding, any image size.

  Ronneberger, Fischer, Brox, "U-Net" (2015, arXiv:1505.04597), figure 2: the
  image is mirrored by the margin that the network eats, and each tile of the
  output is computed from its own larger piece of the input.

  Differs from the paper in the distance between tiles, which is the tile
  rounded down to a multiple of `stride`: a network with pooling commutes with
  such shifts only, so just these tiles equal one pass over the mirrored image.
  (388 is no multiple of 16; tiles of 388 lie 384 apart.) What the last tiles
  lack is mirrored too.

  Args:
    forward: maps an input of tile + 2 margin pixels to outputs of `tile`.
    tile: (h, w) of the output of one tile.
    margin: pixels lost at each border, (input - output) / 2.
    stride: total stride of the network.
  """
  steps = tuple(t // stride * stride for t in tile)
  if min(steps) < 1:
    raise UserError(
      f"tiles of {tile} are smaller than the stride {stride} of the network: "
      "choose a larger window."
    )
  read = (tile[0] + 2 * margin, tile[1] + 2 * margin)

  def run(variables, image):
    b, *size, _ = image.shape
    counts = [-(-max(n - t, 0) // s) + 1 for n, t, s in zip(size, tile, steps)]
    full = [(k - 1) * s + t for k, t, s in zip(counts, tile, steps)]
    rows, cols = ((margin, margin + f - n) for f, n in zip(full, size))
    image = resize.pad_mirror(image, rows, cols)

    def view(piece):
      return dict(forward(variables, piece))

    def step(total, index):
      y, x = index[0] * steps[0], index[1] * steps[1]
      for key, value in view(cut(image, y, x, read)).items():
        value = value.astype(jnp.float32)
        total[key] = lax.dynamic_update_slice(total[key], value, (0, y, x, 0))
      return total, None

    shapes = jax.eval_shape(view, cut(image, 0, 0, read))
    check_size(shapes, tile, f"an input of {read} and a margin of {margin}")
    total = {
      k: jnp.zeros((b, *full, s.shape[3]), jnp.float32)
      for k, s in shapes.items()
    }
    grid = np.indices(counts).reshape(2, -1)
    total, _ = lax.scan(step, total, tuple(jnp.asarray(grid)))
    return {k: resize.crop(v, *size) for k, v in total.items()}

  return run


def heads(out: Outputs, task: Task) -> dict[str, Array]:
  """The heads that the task asked for; auxiliary ones are left behind."""
  return {k: out[k] for k in task.outputs if k in out}


def cut(x: Array, y: Any, x_at: Any, size: Size) -> Array:
  """(b, h, w, c) -> (b, *size, c) from row y and column x_at on."""
  x = lax.dynamic_slice_in_dim(x, y, size[0], axis=1)
  return lax.dynamic_slice_in_dim(x, x_at, size[1], axis=2)


def _centred(n: int, window: int) -> tuple[int, int]:
  """Pixels to add before and after so that n reaches the window."""
  lack = max(window - n, 0)
  return lack // 2, lack - lack // 2


def check_size(shapes: Mapping[str, Any], size: Size, why: str) -> None:
  """Raises UserError where an output has not the size that windows need."""
  for key, s in shapes.items():
    if s.ndim != 4 or s.shape[1:3] != tuple(size):
      raise UserError(
        f"output {key!r} has shape {s.shape}, and {why} needs (b, {size[0]}, "
        f"{size[1]}, c): choose another inference mode for this network."
      )
