"""Receptive field, stride and padding: by arithmetic, and as measured.

Arithmetic: Araujo, Norris, Sim 2019, "Computing receptive fields of
convolutional neural networks" (doi:10.23915/distill.00021). A unit i of a map
sees the pixels -P + i j ... -P + i j + r - 1 along one axis, r the receptive
field, j the stride and P the effective padding. Networks that branch see the
union of their paths.

Measured: where the gradient of one unit is not zero. With positive weights no
two paths cancel and no ReLU is shut, and an image that rises (or falls) along
both axes makes every max-pooling hand on its last (or first) pixel, so that
two gradients show the borders of the field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


class Layer(NamedTuple):
  """A convolution or pooling along one axis.

  Fields: kernel, stride, padding before the first pixel, dilation.
  """

  kernel: int
  stride: int = 1
  padding: int = 0
  dilation: int = 1


class Field(NamedTuple):
  """What one unit sees, along one axis; the default is the image itself.

  Fields: size r, stride j and effective padding P, in pixels; aligned, whether
  all paths to the unit have one centre and one stride.
  """

  size: int = 1
  stride: int = 1
  padding: int = 0
  aligned: bool = True

  @property
  def center(self) -> float:
    """Position of the centre of unit 0, in pixels from pixel 0."""
    return -self.padding + (self.size - 1) / 2

  def span(self, unit: int) -> tuple[int, int]:
    """First and last pixel of a unit; may lie in the padding."""
    first = unit * self.stride - self.padding
    return first, first + self.size - 1


IMAGE = Field()


def through(layers: Iterable[Layer], field: Field = IMAGE) -> Field:
  """The field after further layers: r += (k - 1) d j, P += p j, j *= s."""
  size, stride, padding, aligned = field
  for layer in layers:
    size += (layer.kernel - 1) * layer.dilation * stride
    padding += layer.padding * stride
    stride *= layer.stride
  return Field(size, stride, padding, aligned)


def union(fields: Iterable[Field]) -> Field:
  """The field of a sum or concatenation of paths from one image.

  Raises:
    ValueError: the strides differ: such maps do not fit onto each other.
  """
  fields = list(fields)
  strides = {f.stride for f in fields}
  if len(strides) != 1:
    raise ValueError(f"paths of strides {sorted(strides)} cannot be joined.")
  padding = max(f.padding for f in fields)
  last = max(f.size - f.padding for f in fields)
  aligned = len({f.center for f in fields}) == 1
  aligned &= all(f.aligned for f in fields)
  return Field(padding + last, strides.pop(), padding, aligned)


def positive_variables(variables: Any) -> Any:
  """The same tree with kernels of 1 / fan-in, scales 1, biases and means 0."""

  def leaf(path, x):
    if x.ndim > 1:
      return np.full(x.shape, 1 / np.prod(x.shape[:-1]), x.dtype)
    one = str(path[-1].key) in ("scale", "var")
    return np.full(x.shape, float(one), x.dtype)

  return jax.tree_util.tree_map_with_path(leaf, variables)


def gradient_map(
  function: Callable[[Array], Array], image: Array, unit: tuple[int, int]
) -> Array:
  """|d sum over channels of one unit / d pixel|, summed over channels.

  Its shape is the effective receptive field (Luo et al. 2016,
  arXiv:1701.04128).

  Args:
    function: (1, h, w, c) -> (1, h', w', k), jittable.
    image: (1, h, w, c).
    unit: row and column of the output.

  Returns:
    (h, w) float32.
  """

  def at_unit(image):
    return jnp.sum(function(image)[0, unit[0], unit[1]])

  gradient = jax.jit(jax.grad(at_unit))(jnp.asarray(image))
  return jnp.sum(jnp.abs(gradient[0]), -1)


def measured(
  function: Callable[[Array], Array],
  shape: tuple[int, int, int],
  unit: tuple[int, int],
) -> tuple[tuple[int, int], tuple[int, int]]:
  """((first row, last row), (first column, last column)) that a unit sees.

  Args:
    function: (1, h, w, c) -> (1, h', w', k), with positive weights; see
      `positive_variables`.
    shape: (h, w, c) of the image; large enough to hold the field, for what
      lies in the padding is not seen.
    unit: row and column of the output, in the middle.
  """
  h, w, c = shape
  ramp = np.linspace(0, 1, h)[:, None] + np.linspace(0, 1, w)
  seen = np.zeros((h, w), bool)
  for image in (1 + ramp, 3 - ramp):
    image = np.repeat(image[None, :, :, None], c, -1).astype(np.float32)
    seen |= np.asarray(gradient_map(function, image, unit)) > 0
  rows, cols = (np.flatnonzero(seen.any(axis)) for axis in (1, 0))
  return (int(rows[0]), int(rows[-1])), (int(cols[0]), int(cols[-1]))
