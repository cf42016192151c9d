"""What the builders of video with depth and poses share: a record per frame.

Records are in the order of the sequences; the lengths of these go into the
metadata of the data set, so that clips can be cut without reading a record.
Images and depth maps go into the records as they are, bit for bit.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow_datasets as tfds

from jaxseg.ops import camera as cam
from jaxseg.ops import motion as rigid
from jaxseg.types import UserError


@dataclasses.dataclass(frozen=True)
class Frame:
  """One frame of the raw data.

  Attributes:
    image: its file.
    depth: the file of its depth map, 16-bit PNG.
    camera: (4,) fx, fy, cx, cy in pixels.
    pose: (4, 4) world from camera, metres.
  """

  image: pathlib.Path
  depth: pathlib.Path
  camera: np.ndarray
  pose: np.ndarray


Sequences = Sequence[Sequence[Frame]]


def info(builder: tfds.core.DatasetBuilder, description: str, homepage: str):
  """The DatasetInfo of a builder of frames."""
  f = tfds.features
  return tfds.core.DatasetInfo(
    builder=builder,
    description=description,
    features=f.FeaturesDict(
      {
        "image": f.Image(shape=(None, None, 3)),
        "depth": f.Image(
          shape=(None, None, 1), dtype=np.uint16, encoding_format="png"
        ),
        "camera": f.Tensor(shape=(4,), dtype=np.float32),
        "pose": f.Tensor(shape=(4, 4), dtype=np.float64),
        "file_name": f.Text(),
      }
    ),
    homepage=homepage,
    disable_shuffling=True,  # records stay in order
    metadata=tfds.core.MetadataDict(),
  )


def splits(
  builder: tfds.core.DatasetBuilder,
  parts: Mapping[str, Sequences],
) -> dict[str, Iterator]:
  """Split generators of sequences by split, and their lengths as metadata."""
  builder.info.metadata["sequences"] = {
    split: [len(one) for one in found] for split, found in parts.items()
  }
  return {s: builder._generate_examples(found) for s, found in parts.items()}


def records(found: Sequences) -> Iterator[tuple[int, dict]]:
  """(key, record) of all frames; files and poses are checked.

  Raises:
    UserError: a file is missing, or a pose is no rotation and shift.
  """
  for key, frame in enumerate(one for sequence in found for one in sequence):
    for path in (frame.image, frame.depth):
      if not path.is_file():
        raise UserError(
          f"{path} is not there, and the poses name its frame: copy it, or "
          "remove the line."
        )
    rigid.validate_motion(frame.pose, f"pose of {frame.image}")
    yield (
      key,
      {
        "image": os.fspath(frame.image),
        "depth": os.fspath(frame.depth),
        "camera": cam.validate_camera(frame.camera, str(frame.image)),
        "pose": np.asarray(frame.pose, np.float64),
        "file_name": "/".join(frame.image.parts[-3:]),
      },
    )
