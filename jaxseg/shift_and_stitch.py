"""Shift and stitch: dense outputs of a network that has a stride.

Long, Shelhamer, Darrell 2015 (arXiv:1411.4038), section 3.2.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxseg import windows
from jaxseg.ops import resize


def shift_and_stitch(forward: windows.Forward, stride: int) -> windows.Forward:
  """Dense outputs of a network of stride s from s * s shifted images.

  Shift (i, j) drops the first i rows and j columns, its outputs land at rows
  i, i + s ...; together they are what the same weights give with stride 1 and
  everything after dilated. What a shift lacks at the end is mirrored, so that
  all see one size.

  Args:
    forward: outputs of (b, ceil(n / s) or fewer, ..., c) for n pixels, such as
      the scores of a network before any upsampling.
    stride: its total stride s; the result costs s * s runs.

  Returns:
    Forward with outputs (b, h', w', c), s times as large as before and at most
    the size of the image. Without padding in the network, output (y, x) has
    seen the pixels from (y, x) on, and the last s - 1 may have seen mirrored
    ones.
  """
  s = stride

  def run(variables, image):
    size = image.shape[1:3]
    image = resize.pad_mirror(image, (0, s - 1), (0, s - 1))

    def step(total, index):
      i, j = index
      for key, value in forward(
        variables, windows.cut(image, i, j, size)
      ).items():
        value = value.astype(jnp.float32)[:, :, None, :, None]
        total[key] = lax.dynamic_update_slice(
          total[key], value, (0, 0, i, 0, j, 0)
        )  # (b, h', s, w', s, c)
      return total, None

    shapes = jax.eval_shape(
      lambda x: dict(forward(variables, x)), windows.cut(image, 0, 0, size)
    )
    total = {
      key: jnp.zeros((b, h, s, w, s, c), jnp.float32)
      for key, (b, h, w, c) in ((k, v.shape) for k, v in shapes.items())
    }
    grid = np.indices((s, s)).reshape(2, -1)
    total, _ = lax.scan(step, total, tuple(jnp.asarray(grid)))
    out = {}
    for key, value in total.items():
      b, h, _, w, _, c = value.shape
      value = value.reshape(b, h * s, w * s, c)
      full = (min(n, m) for n, m in zip(size, value.shape[1:3]))
      out[key] = resize.crop(value, *full)
    return out

  return run
