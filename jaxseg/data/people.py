"""One person of an example: the crop around it, as top-down methods see it."""

from __future__ import annotations

import numpy as np

from jaxseg.data import geometry
from jaxseg.data.geometry import Fields, Size


def seen_boxes(points: np.ndarray) -> np.ndarray:
  """(n, k, 3) -> (n, 4): y0, x0, y1, x1 about the seen points, NaN if none."""
  boxes = np.full((len(points), 4), np.nan, np.float32)
  for box, person in zip(boxes, points):
    xy = person[person[:, 2] > 0, :2]
    if len(xy):
      box[:2], box[2:] = xy.min(0)[::-1], xy.max(0)[::-1]
  return boxes


def choose(points: np.ndarray, rng: np.random.Generator | None) -> int | None:
  """A person of (n, k, 3) with a seen point: any, or the largest without rng.

  Largest by the longer side of the box. None where there is nobody.
  """
  boxes = seen_boxes(points)
  there = np.flatnonzero(~np.isnan(boxes[:, 0]))
  if not len(there):
    return None
  if rng is not None:
    return int(rng.choice(there))
  sides = (boxes[:, 2:] - boxes[:, :2]).max(1)
  return int(there[np.argmax(sides[there])])


def crop(
  fields: Fields, index: int | None, size: Size, margin: float
) -> Fields:
  """The example around one person, stretched to `size`.

  The window is the box about the person's seen points, its sides `margin`
  times as long, then made longer in one direction until it has the shape of
  `size`: the person keeps its proportions, to a pixel. What of it lies outside
  the image is grey.

  Args:
    fields: the example; of its keypoints (n, k, 3) that person's stay, as
      (1, k, 3). Points of others are gone.
    index: which; None: nobody, the whole image and points that are not seen.
    size: (h, w).
    margin: at least 1.
  """
  points = np.asarray(fields["keypoints"], np.float32)
  if index is None:
    none = np.zeros((1, *points.shape[1:]), np.float32)
    return geometry.resize({**fields, "keypoints": none}, size)
  one = points[index : index + 1]
  y0, x0, y1, x1 = seen_boxes(one)[0]
  shape = size[1] / size[0]
  height = margin * max(y1 - y0, (x1 - x0) / shape)
  height = max(height, 2.0, 2.0 / shape)  # a single point has no box
  window = (round(height), round(height * shape))
  y = round((y0 + y1 - window[0]) / 2)
  x = round((x0 + x1 - window[1]) / 2)
  out = geometry.crop({**fields, "keypoints": one}, y, x, window)
  return geometry.resize(out, size)
