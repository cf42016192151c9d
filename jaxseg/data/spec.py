"""A data set is a record: classes, palette, splits, encodings, provenance.

`datasets.DATASETS` is the registry. Everything that differs from one data set
to the next stands in its record, as data: which TFDS name holds it, which of
its features becomes which batch key, how ids on disk become class ids (one
explicit table, applied once), and what to tell a user who does not have it yet.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from jaxseg.data.points import PointSpec

Color = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
  """One data set.

  Attributes:
    name: the name in `config.data.name`.
    tfds_name: name (and config) of its TFDS builder.
    version: the version that the table below was written for.
    classes: class names; position = class id.
    palette: one RGB colour per class.
    splits: 'train', 'val', 'test' -> TFDS split expression.
    sizes: number of examples of those splits in the complete data set; {}
      where few have the whole of it.
    features: batch key -> name of the feature in the record.
    label_table: id on disk -> class id or IGNORE; an id that is not in it is
      an error that names the file.
    embedded: made on the spot, from nothing.
    points: what its keypoints are, if it has any.
    sequences: 'frames', 'clips': its records are frames in order, or clips;
      see `data.sequences`. '': single images.
    depth: how depth maps are coded on disk, see `data.decode.DEPTHS`; '':
      float metres.
    raw: what `--raw` has to point at, for builders that read a raw folder.
    host: the server that TFDS downloads it from, if it does.
    advice: where the data comes from and what to download.
  """

  name: str
  tfds_name: str
  version: str
  splits: Mapping[str, str]
  sizes: Mapping[str, int]
  features: Mapping[str, str]
  advice: str
  classes: tuple[str, ...] = ()
  palette: tuple[Color, ...] = ()
  label_table: Mapping[int, int] = dataclasses.field(default_factory=dict)
  raw: str = ""
  host: str = ""
  embedded: bool = False
  points: PointSpec | None = None
  sequences: str = ""
  depth: str = ""

  @property
  def num_classes(self) -> int:
    """Number of classes, ignore not counted."""
    return len(self.classes)
