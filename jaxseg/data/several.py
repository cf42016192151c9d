"""Examples with the regions and boundaries of several people.

Their maps are stored one below another; a map is as large as the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxseg.data import images
from jaxseg.types import UserError

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
  image = images.read_image(raw["image"], name)
  h, w = image.shape[:2]
  out = {"image": image}
  for key in KEYS[1:]:
    tall = images.read_mask(raw[key], name=f"{key} of {name}")
    if tall.shape[1] != w or tall.shape[0] % h:
      raise UserError(
        f"{name}: {key} of {tall.shape[1]}x{tall.shape[0]} (width x height) for"
        f" an image of {w}x{h}: expected whole maps of that size, one below"
        " another. Prepare the data set again."
      )
    out[key] = tall.reshape(-1, h, w)
  out["boundaries"] = out["boundaries"] > 0
  return out
