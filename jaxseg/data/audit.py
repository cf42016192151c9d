"""What labels and depth maps hold, before anything is trained on them."""

from __future__ import annotations

import concurrent.futures
import dataclasses

import numpy as np

from jaxseg.data.decode import Decoder, class_pixels
from jaxseg.data.sources import Source
from jaxseg.types import UserError

LIMIT = 500  # masks that are read; more are sampled evenly
DEPTH_LIMIT = 50  # depth maps: a wrong unit shows in every one of them


@dataclasses.dataclass(frozen=True)
class Audit:
  """Class histogram of a split.

  Attributes:
    classes: class names.
    pixels: int64, per class.
    images: int64, images that hold the class.
    ignored: ignored pixels.
    read: masks that were read.
    examples: masks that there are.
  """

  classes: tuple[str, ...]
  pixels: np.ndarray
  images: np.ndarray
  ignored: int
  read: int
  examples: int

  @property
  def shares(self) -> np.ndarray:
    """Share of each class in the pixels that count."""
    return self.pixels / max(1, self.pixels.sum())


def audit_labels(
  source: Source,
  decoder: Decoder,
  classes: tuple[str, ...],
  *,
  limit: int = LIMIT,
  threads: int = 2,
) -> Audit:
  """Reads up to `limit` masks, evenly spread, and counts.

  Raises:
    UserError: a mask with unknown ids, or no pixel that counts at all.
  """
  n = len(source)
  chosen = np.unique(np.linspace(0, n - 1, min(n, limit)).astype(int))

  def one(index: int) -> np.ndarray:
    try:
      label = decoder.label(source[index]["label"])
    except UserError as e:
      raise UserError(f"{source.name_of(index)}: {e}") from e
    return class_pixels(label, len(classes))

  with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    counts = np.stack(list(pool.map(one, chosen.tolist())))
  total = counts.sum(0)
  if not total[:-1].sum():
    raise UserError(
      f"all pixels of the {len(chosen)} masks read are ignored: nothing to "
      "train on. Check config.data.ids and config.data.ignore_ids."
    )
  return Audit(
    classes=tuple(classes),
    pixels=total[:-1],
    images=(counts[:, :-1] > 0).sum(0),
    ignored=int(total[-1]),
    read=len(chosen),
    examples=n,
  )


def audit_depth(
  source: Source,
  decoder: Decoder,
  low: float,
  high: float,
  *,
  limit: int = DEPTH_LIMIT,
) -> None:
  """Reads up to `limit` depth maps, evenly spread: is there one to train on?

  Raises:
    UserError: not one pixel was measured, or none between `low` and `high`
      metres.
  """
  n = len(source)
  least, most = np.inf, 0.0
  for index in np.unique(np.linspace(0, n - 1, min(n, limit)).astype(int)):
    frames = decoder.frames(source[index], lambda at=index: source.name_of(at))
    depth = np.stack([fields["depth"] for fields in frames])
    if ((depth >= low) & (depth <= high)).any():
      return
    measured = depth[depth > 0]
    if measured.size:
      least, most = min(least, measured.min()), max(most, measured.max())
  what = (
    f"what was measured spans {least:.4g} to {most:.4g}"
    if most
    else "all of them are 0, not measured"
  )
  raise UserError(
    f"no pixel of the {min(n, limit)} depth maps read lies between "
    f"config.task.min_m = {low:g} and max_m = {high:g} metres: {what}. Depth "
    "is in metres; set the range to that of the data."
  )
