"""A classifier's fully connected layers as convolutions, weights unchanged.

A dense layer on a flattened h x w x c map is one h x w convolution without
padding at its only position; a dense layer on a vector is a 1x1 convolution.
As convolutions they take any larger map and classify every window of it
(Sermanet et al. 2013, arXiv:1312.6229; Long et al. 2015, arXiv:1411.4038).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxseg.types import UserError

ORDERS = ("hwc", "chw")


def dense_to_conv(
  kernel: np.ndarray, size: tuple[int, int] = (1, 1), order: str = "hwc"
) -> np.ndarray:
  """(h * w * c, out) of a flattened map -> (h, w, c, out).

  Args:
    kernel: of the dense layer.
    size: (h, w) of the map; (1, 1) for a vector.
    order: how it was flattened: 'hwc' (Flax, Keras) or 'chw' (torch, Caffe).

  Raises:
    UserError: the kernel does not fit the map.
  """
  if order not in ORDERS:
    raise UserError(
      f"flattening order {order!r} is unknown; expected 'hwc' or 'chw'."
    )
  kernel = np.asarray(kernel)
  h, w = size
  if kernel.ndim != 2 or kernel.shape[0] % (h * w):
    raise UserError(
      f"a dense kernel of shape {kernel.shape} cannot read a map of {h} x {w};"
      " expected (h * w * c, out): name the size of the last map."
    )
  c, out = kernel.shape[0] // (h * w), kernel.shape[1]
  if order == "hwc":
    return kernel.reshape(h, w, c, out)
  return kernel.reshape(c, h, w, out).transpose(1, 2, 0, 3)


def convolutionalize(
  params: Mapping[str, Any],
  sizes: Mapping[str, tuple[int, int]],
  order: str = "hwc",
) -> dict[str, Any]:
  """Classifier parameters -> parameters of the dense network.

  Args:
    params: nested dict of arrays; every 2-D 'kernel' (in, out) is a dense
      layer, all other arrays are kept.
    sizes: path of each dense layer that reads a flattened map, such as 'fc6'
      or 'classifier/fc6', -> (h, w) of that map; other dense layers read
      vectors.
    order: see `dense_to_conv`.

  Raises:
    UserError: `sizes` names a layer that is not there or is not dense.
  """
  found = set()

  def convert(tree: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    out = {}
    for name, value in tree.items():
      if isinstance(value, Mapping):
        out[name] = convert(value, (*path, name))
      elif name == "kernel" and np.ndim(value) == 2:
        layer = "/".join(path)
        found.add(layer)
        out[name] = dense_to_conv(value, sizes.get(layer, (1, 1)), order)
      else:
        out[name] = value
    return out

  out = convert(params, ())
  missing = sorted(set(sizes) - found)
  if missing:
    raise UserError(
      f"no dense layer {missing[0]!r} among {sorted(found)}: name the layers"
      " that read a flattened map by their path."
    )
  return out
