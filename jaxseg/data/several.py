"""Examples with the regions and boundaries of several people.

Their maps are stored one below another; a map is as large as the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxseg.data import images
from jaxseg.types import IGNORE, UserError

KEYS = ("image", "regions", "boundaries")


def decode(raw: Mapping[str, Any], name: str) -> dict[str, np.ndarray]:
  """Raw bytes of KEYS -> 'image' uint8 (h, w, 3), 'regions' uint8 and
  'boundaries' bool (a, h, w).

  Args:
    raw: a source's example.
    name: what to call it in a message.

  Raises:
    UserError: it cannot be read, or maps do not have the picture's size.
  """
  out = {"image": images.read_image(raw["image"], name)}
  size = out["image"].shape[:2]
  for key in KEYS[1:]:
    tall = images.read_mask(raw[key], name=f"{key} of {name}")
    out[key] = apart(tall, size, key, name)
  out["boundaries"] = out["boundaries"] > 0
  return out


def apart(
  tall: np.ndarray, size: tuple[int, int], key: str, name: str
) -> np.ndarray:
  """Maps one below another, (a h, w) -> (a, h, w).

  Args:
    tall: integer.
    size: of the picture, (h, w).
    key, name: of the maps and of the example, in a message.

  Raises:
    UserError: these are no whole maps of that size, or nobody's.
  """
  h, w = size
  if tall.shape[1] != w or tall.shape[0] % h:
    raise UserError(
      f"{name}: {key} of {tall.shape[1]}x{tall.shape[0]} (width x height) for"
      f" an image of {w}x{h}: expected whole maps of that size, one below"
      " another. Prepare the data set again."
    )
  if not len(tall):
    raise UserError(
      f"{name}: {key} of no person: expected the map of one at least; remove"
      " the example, or prepare the data set again."
    )
  return tall.reshape(-1, h, w)


def share(tall: np.ndarray, size: tuple[int, int], name: str) -> np.ndarray:
  """uint8 (h, w): the percent of people who drew a boundary, 0 to 100.

  Whole numbers, so that it travels as a byte: 3 of 7 people are 43.

  Args:
    tall: integer (a h, w), not 0 where a person drew one.
    size, name: see `apart`.
  """
  drawn = apart(tall, size, "boundaries", name) > 0
  return np.rint(100 * drawn.mean(0)).astype(np.uint8)


def finest(tall: np.ndarray, size: tuple[int, int], name: str) -> np.ndarray:
  """uint8 (h, w): the regions of the person who has most, numbered from 0.

  Of equals the first. Regions beyond 255 become IGNORE: a byte holds no more,
  and nobody has drawn so many in BSDS500.

  Args:
    tall: integer (a h, w), region ids.
    size, name: see `apart`.
  """
  maps = apart(tall, size, "regions", name)
  best = max(maps, key=lambda one: len(np.unique(one)))
  ids = np.unique(best, return_inverse=True)[1].reshape(best.shape)
  return np.minimum(ids, IGNORE).astype(np.uint8)
