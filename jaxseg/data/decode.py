"""From a raw record to the fields of an example, with its mistakes named.

Compressed images become uint8 RGB, masks become class ids by the one label
table of the data set, floats are checked. A message to the user names the
example; nothing here guesses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from jaxseg.data import images, several
from jaxseg.data.points import PointSpec
from jaxseg.types import IGNORE, UserError

# Depth maps on disk, uint16 (h, w) -> metres; 0 is not measured.
DEPTHS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
  "millimetres": lambda v: v / np.float32(1000),
  "256ths": lambda v: v / np.float32(256),
  # The bits of a float16: disparity, the depth is 512 / disparity.
  "float16 disparity": lambda v: _from_disparity(v.view(np.float16)),
}
UNKNOWN = 254  # sentinel of the label table: an id that the spec does not know


def _from_disparity(value: np.ndarray) -> np.ndarray:
  value = value.astype(np.float32)
  known = np.isfinite(value) & (value > 0)
  return np.where(known, 512 / np.where(known, value, 1), 0)


def label_lut(table: Mapping[int, int]) -> np.ndarray:
  """uint8 (65536,): id on disk -> class id, IGNORE or UNKNOWN."""
  lut = np.full(1 << 16, UNKNOWN, np.uint8)
  for raw, target in table.items():
    lut[raw] = target
  return lut


@dataclasses.dataclass(frozen=True)
class Decoder:
  """Decodes raw records of one data set; see `__call__`.

  Attributes:
    label_table: id on disk -> class id or IGNORE.
    colors: RGB on disk -> class id, if masks are colour-coded.
    points: what the keypoints are, where there are any.
    depth: how encoded depth maps are coded, a name of DEPTHS.
  """

  label_table: Mapping[int, int]
  colors: Mapping[tuple[int, int, int], int] | None = None
  points: PointSpec | None = None
  depth: str = ""

  def __post_init__(self):
    object.__setattr__(self, "_lut", label_lut(self.label_table))

  def __call__(
    self, raw: Mapping[str, Any], name: Callable[[], str]
  ) -> dict[str, np.ndarray]:
    """Decodes one record.

    Args:
      raw: batch key -> bytes or array, as a Source gives it.
      name: what to call the example in a message.

    Returns:
      image uint8 (h, w, 3); label uint8 (h, w); others as in BATCH_KEYS, of
      one example. Beside keypoints `flip_pairs` (p, 2), for the transforms.

    Raises:
      UserError: unreadable bytes, unknown ids, sizes that differ, NaN,
        another number of keypoints, keypoints outside the image.
    """
    out: dict[str, np.ndarray] = {}
    for key, value in raw.items():
      try:
        out[key] = self._field(key, value)
      except UserError as e:
        raise UserError(f"{name()}: {e}") from e
    size = out["image"].shape[:2]
    if "boundary" in out:
      out["boundary"] = several.share(out["boundary"], size, name())
    if "region" in out:
      out["region"] = several.finest(out["region"], size, name())
    for key in ("label", "instance", "depth", "normal"):
      if key in out and out[key].shape[:2] != size:
        raise UserError(
          f"{name()}: the image is {size[0]}x{size[1]} but its {key} is "
          f"{out[key].shape[0]}x{out[key].shape[1]} (height x width). They "
          "must be equal: make the pair again or remove it."
        )
    if "keypoints" in out and self.points is not None:
      try:
        check_points(out["keypoints"], self.points, size)
      except UserError as e:
        raise UserError(f"{name()}: {e}") from e
      pairs = np.array(self.points.flip_pairs, np.int64)
      out["flip_pairs"] = pairs.reshape(-1, 2)
    return out

  def frames(
    self, raw: Any, name: Callable[[], str]
  ) -> list[dict[str, np.ndarray]]:
    """The frames of an example, decoded: of a clip several, else one."""
    return [
      self(one, name) for one in (raw if isinstance(raw, list) else [raw])
    ]

  def _field(self, key: str, value: Any) -> np.ndarray:
    if key == "image":  # frames of clips are arrays already
      decoded = isinstance(value, np.ndarray)
      return value if decoded else images.read_image(value)
    if key == "label":
      return self.label(value)
    # Of several people, until the size is known.
    if key in ("boundary", "region"):
      return images.read_mask(value)
    if key == "instance":
      decoded = isinstance(value, np.ndarray)
      return (value if decoded else images.read_mask(value)).astype(np.int32)
    if key == "depth" and isinstance(value, bytes):
      value = DEPTHS[self.depth](images.read_mask(value))
    array = np.asarray(value, np.float32)
    if key == "depth" and array.ndim == 3:
      array = array[..., 0]
    if not np.isfinite(array).all():
      bad = int((~np.isfinite(array)).sum())
      raise UserError(
        f"{key} holds {bad} NaN or infinite values of {array.size}: expected "
        "numbers (0 marks a pixel without truth). Mend or remove the example."
      )
    return array

  def label(self, value: bytes | np.ndarray) -> np.ndarray:
    """Class ids uint8 (h, w) of a mask, encoded or not."""
    if self.colors:
      return images.read_mask(value, self.colors).astype(np.uint8)
    decoded = isinstance(value, np.ndarray)
    ids = value if decoded else images.read_mask(value)
    if ids.dtype == np.uint8:
      label = cv2.LUT(ids, self._lut[:256])  # ten times faster than indexing
    else:
      label = self._lut[ids]
    if (label == UNKNOWN).any():
      values, counts = np.unique(ids[label == UNKNOWN], return_counts=True)
      found = ", ".join(f"{v} ({c} pixels)" for v, c in zip(values, counts))
      known = sorted(self.label_table)
      shown = ", ".join(map(str, known[:40])) + (" ..." if known[40:] else "")
      raise UserError(
        f"the mask holds ids that the data set does not know: {found}. Known "
        f"ids: {shown}. Correct the mask, or add the ids to the data set (for "
        "a folder: config.data.ids or config.data.ignore_ids)."
      )
    return label


def check_points(
  points: np.ndarray, spec: PointSpec, size: tuple[int, int]
) -> None:
  """Refuses keypoints that cannot be those of an image of `size` (h, w)."""
  k = len(spec.names)
  if points.ndim != 3 or points.shape[1:] != (k, 3):
    found = points.shape[1] if points.ndim == 3 else points.shape
    raise UserError(
      f"keypoints of shape {points.shape} hold {found} points per person: "
      f"expected (people, {k}, 3), x, y and visibility of {k} points. Prepare "
      "the data again, or choose the data set that they belong to."
    )
  h, w = size
  x, y, seen = np.moveaxis(points, -1, 0)
  outside = (seen > 0) & ((x < 0) | (y < 0) | (x >= w) | (y >= h))
  if outside.any():
    n, i = np.argwhere(outside)[0]
    raise UserError(
      f"keypoint {i} ({spec.names[i]}) of person {n} is at x = {x[n, i]:g}, "
      f"y = {y[n, i]:g}, outside the image of {w}x{h} (width x height): "
      "correct it, or give it visibility 0."
    )


def decoder_of(spec: Any) -> Decoder:
  """The decoder of a DatasetSpec or FolderSpec."""
  return Decoder(
    {**spec.label_table},
    getattr(spec, "colors", None),
    getattr(spec, "points", None),
    getattr(spec, "depth", ""),
  )


def class_pixels(label: np.ndarray, num_classes: int) -> np.ndarray:
  """int64 (num_classes + 1,): pixels per class, ignored ones last."""
  counts = np.bincount(label.ravel(), minlength=256)
  return np.append(counts[:num_classes], counts[IGNORE])
