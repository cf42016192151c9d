"""Decoded examples kept in memory, for data sets that are small enough.

Reading and decoding is most of the work on a batch. A data set whose decoded
examples fit into memory does it once; augmentation, which differs from epoch
to epoch, comes after. Batches are the same to the byte with and without: what
is kept is what the decoder gives, and nobody may write to it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxseg.data.decode import Decoder
from jaxseg.data.sources import Source
from jaxseg.types import UserError

MB = 1_000_000  # bytes
PROBES = 8  # examples that are decoded to tell how large all of them are

Fields = dict[str, np.ndarray]


def nbytes(example: Fields | list[Fields]) -> int:
  """Bytes of the arrays of an example, which is a clip if it is a list."""
  frames = example if isinstance(example, list) else [example]
  return sum(array.nbytes for frame in frames for array in frame.values())


class Examples:
  """The decoded examples of a source, kept up to a number of bytes.

  Filled as they are asked for, by any number of threads. What does not fit any
  more is decoded each time; nothing that is kept gives way.

  Args:
    source: random access to raw examples.
    decoder: raw record -> fields.
    limit_mb: megabytes (10^6 bytes) to keep at most; 0: nothing is kept.

  Raises:
    UserError: the limit is negative, or the examples do not fit, as far as
      some of them tell.
  """

  def __init__(self, source: Source, decoder: Decoder, limit_mb: float = 0):
    if limit_mb < 0:
      raise UserError(
        f"config.data.cache_mb = {limit_mb}: expected megabytes of decoded "
        "examples to keep in memory, or 0 for none."
      )
    self._source, self._decoder = source, decoder
    self._free = int(limit_mb * MB)
    self._kept: dict[int, Fields | list[Fields]] = {}
    self._lock = threading.Lock()
    if limit_mb:
      self._check_fit(limit_mb)

  def _check_fit(self, limit_mb: float) -> None:
    n = len(self._source)
    some = np.unique(np.linspace(0, n - 1, PROBES).astype(int)).tolist()
    total = sum(nbytes(self[i]) for i in some) * n / len(some) / MB
    if total > limit_mb:
      raise UserError(
        f"config.data.cache_mb = {limit_mb:g} is too little: the {n} decoded "
        f"examples take about {total:.1f} MB. Raise it to "
        f"{math.ceil(1.1 * total)} if the memory is there, or set it to 0 to "
        "decode in every epoch."
      )

  def __len__(self) -> int:
    return len(self._source)

  @property
  def kept(self) -> int:
    """How many examples are in memory."""
    return len(self._kept)

  def __getitem__(self, index: int) -> Fields | list[Fields]:
    """Example `index` as the decoder gives it; of a clip its frames.

    The dicts are the caller's, the arrays are not: those that are kept are
    read-only.
    """
    example = self._kept.get(index)
    if example is None:
      example = self._decode(index)
      if self._free > 0:
        self._keep(index, example)
    if isinstance(example, list):
      return [dict(frame) for frame in example]
    return dict(example)

  def _decode(self, index: int) -> Fields | list[Fields]:
    raw: list[Any] | Mapping[str, Any] = self._source[index]
    frames = self._decoder.frames(raw, lambda: self._source.name_of(index))
    return frames if isinstance(raw, list) else frames[0]

  def _keep(self, index: int, example: Fields | list[Fields]) -> None:
    size = nbytes(example)
    with self._lock:
      if index in self._kept or size > self._free:
        return
      self._free -= size
      for frame in example if isinstance(example, list) else [example]:
        for key, array in frame.items():
          # A view would keep alive, and leave writable, what it looks at.
          whole = array if array.base is None else array.copy()
          whole.setflags(write=False)
          frame[key] = whole
      self._kept[index] = example
