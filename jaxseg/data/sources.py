"""Where examples come from: random access to raw, undecoded records.

A source has `len()` and `source[i] -> {batch key: bytes or array}`; images and
masks stay compressed until a transform thread decodes them. Two kinds: TFDS
records on disk (array_record, read without TensorFlow), and two folders of
files. Nothing here touches the network.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import tensorflow_datasets as tfds

from jaxseg.data import folder as folder_lib
from jaxseg.data import sequences
from jaxseg.data.builders import bsds500 as bsds500_builder
from jaxseg.data.builders import camvid as camvid_builder
from jaxseg.data.builders import dubai_aerial as dubai_builder
from jaxseg.data.builders import faces as faces_builder
from jaxseg.data.builders import kitti_depth as kitti_builder
from jaxseg.data.builders import lsp as lsp_builder
from jaxseg.data.builders import midair as midair_builder
from jaxseg.data.builders import scenes as scenes_builder
from jaxseg.data.builders import semantic_drone as drone_builder
from jaxseg.data.builders import seven_scenes as seven_scenes_builder
from jaxseg.data.spec import DatasetSpec
from jaxseg.types import UserError

# Data sets that TFDS does not have, by TFDS name.
OWN_BUILDERS = {
  "jaxseg_scenes": scenes_builder.JaxsegScenes,
  "jaxseg_bsds500": bsds500_builder.JaxsegBsds500,
  "jaxseg_camvid": camvid_builder.JaxsegCamvid,
  "jaxseg_faces": faces_builder.JaxsegFaces,
  "jaxseg_lsp": lsp_builder.JaxsegLsp,
  "jaxseg_kitti_depth": kitti_builder.JaxsegKittiDepth,
  "jaxseg_midair": midair_builder.JaxsegMidair,
  "jaxseg_dubai_aerial": dubai_builder.JaxsegDubaiAerial,
  "jaxseg_semantic_drone": drone_builder.JaxsegSemanticDrone,
  "jaxseg_seven_scenes": seven_scenes_builder.JaxsegSevenScenes,
}
# Features that are compressed images in the records.
COMPRESSED = (
  "image",
  "label",
  "instance",
  "regions",
  "boundaries",
  "boundary",
  "region",
)


class Source(Protocol):
  """Random access to raw examples; a clip is a list of raw frames."""

  def __len__(self) -> int: ...

  def __getitem__(
    self, index: int
  ) -> dict[str, Any] | list[dict[str, Any]]: ...

  def name_of(self, index: int) -> str:
    """What to call example `index` in a message to a person."""
    ...


@dataclasses.dataclass(frozen=True)
class TfdsSource:
  """A split of a TFDS data set, its features renamed to batch keys."""

  records: Sequence[Mapping[str, Any]]
  features: Mapping[str, str]
  where: str
  files: str = ""  # that hold them, for messages

  def __len__(self) -> int:
    return len(self.records)

  def __getitem__(self, index: int) -> dict[str, Any]:
    try:
      record = self.records[index]
    except (RuntimeError, OSError, ValueError) as e:
      raise UserError(
        _damaged(f"{self.where}[{index}] in {self.files}", e)
      ) from e
    return {key: record[name] for key, name in self.features.items()}

  def name_of(self, index: int) -> str:
    """Split, position and, where the record has one, the file name."""
    try:
      name = self.records[index].get("file_name", b"")
    except (RuntimeError, OSError, ValueError):
      name = b""  # of a name the error will not be
    name = name.decode() if isinstance(name, bytes) else str(name)
    return f"{self.where}[{index}]" + (f" ({name})" if name else "")


@dataclasses.dataclass(frozen=True)
class FolderSource:
  """Pairs of image and mask files, read as bytes."""

  pairs: Sequence[tuple[str, str]]

  def __len__(self) -> int:
    return len(self.pairs)

  def __getitem__(self, index: int) -> dict[str, Any]:
    image, mask = self.pairs[index]
    return {"image": _bytes(image), "label": _bytes(mask)}

  def name_of(self, index: int) -> str:
    """The image's path."""
    return self.pairs[index][0]


def _bytes(path: str) -> bytes:
  try:
    return pathlib.Path(path).read_bytes()
  except OSError as e:
    raise UserError(
      f"{path} cannot be read any more ({e.strerror}): it was there when the "
      "folder was listed. Bring the data back (is its disk there?); the same "
      "command goes on from the last checkpoint."
    ) from e


def _damaged(what: str, error: Exception) -> str:
  """Of records that cannot be read; array_record hashes all its bytes."""
  return (
    f"{what} cannot be read ({' '.join(str(error).split())[:300]}): the "
    "records are damaged or were taken away. Bring the file back or copy it "
    "again, or delete its folder and prepare the data set again; a run goes "
    "on from its last checkpoint."
  )


def _files(builder: Any, expression: str) -> str:
  """The files of a split; of many the first, and how many there are."""
  try:
    names = sorted(map(str, builder.info.splits[expression].filenames))
  except (KeyError, ValueError):
    names = []
  if not names:
    return str(builder.data_path)
  more = f" (or one of {len(names)} beside it)" if len(names) > 1 else ""
  return os.path.join(builder.data_path, names[0]) + more


def default_data_dir() -> str:
  """TFDS's own default: $TFDS_DATA_DIR or ~/tensorflow_datasets."""
  return os.environ.get("TFDS_DATA_DIR") or os.path.expanduser(
    "~/tensorflow_datasets"
  )


def make_builder(spec: DatasetSpec, data_dir: str) -> Any:
  """The TFDS builder of a spec; reads and writes nothing by itself."""
  name, _, config = spec.tfds_name.partition("/")
  kwargs = {"config": config} if config else {}
  if name in OWN_BUILDERS:
    return OWN_BUILDERS[name](data_dir=data_dir, **kwargs)
  # try_gcs=False and an offline registry: no network, no 200 s of retries.
  return tfds.builder(name, data_dir=data_dir, try_gcs=False, **kwargs)


def _describe_missing(spec: DatasetSpec, data_dir: str, place: str) -> str:
  raw = f" --raw=DIR ({spec.raw})" if spec.raw else ""
  return (
    f"data set {spec.name!r} is not prepared: {place} does not exist. "
    f"{spec.advice} Prepare it once with `python -m jaxseg.data.prepare "
    f"--dataset={spec.name}{raw} --data_dir={data_dir}`, or point "
    f"--config.data.data_dir at a directory that holds "
    f"{spec.tfds_name}/{spec.version}."
  )


def open_tfds(
  spec: DatasetSpec,
  split: str,
  data_dir: str | None = None,
  keys: Sequence[str] = ("image", "label"),
) -> TfdsSource:
  """Opens a prepared split for random access.

  Args:
    spec: the data set.
    split: 'train', 'val', 'test', or any TFDS split expression.
    data_dir: TFDS directory; None is TFDS's default.
    keys: the batch keys that the caller reads.

  Raises:
    UserError: not prepared, no such split or key, or another file format.
  """
  data_dir = os.path.expanduser(data_dir or default_data_dir())
  for key in keys:
    if key not in spec.features:
      raise UserError(
        f"data set {spec.name!r} has no {key!r}: it has "
        f"{', '.join(spec.features)}. Choose a task that reads one of these."
      )
  name, _, config = spec.tfds_name.partition("/")
  place = os.path.join(data_dir, name, config, spec.version)
  if not os.path.isdir(place):
    raise UserError(_describe_missing(spec, data_dir, place))
  try:
    builder = make_builder(spec, data_dir)
    file_format = builder.info.file_format
  except UserError:
    raise
  except Exception as e:  # whatever TFDS finds in damaged descriptions
    raise UserError(_damaged(f"the description in {place}", e)) from e
  if file_format is not None and file_format.value != "array_record":
    raise UserError(
      f"{place} holds {file_format.value} records; random access needs "
      "array_record. Convert it once (no download) with `python -m "
      f"jaxseg.data.prepare --dataset={spec.name} --convert_from={data_dir} "
      "--data_dir=NEW`, and point --config.data.data_dir at NEW."
    )
  if split in ("train", "val", "test") and split not in spec.splits:
    raise UserError(
      f"data set {spec.name!r} has no {split!r} split: it has "
      f"{', '.join(spec.splits)}."
    )
  expression = spec.splits.get(split, split)
  names = {key: spec.features[key] for key in keys}
  # Clips hold arrays: TFDS cannot leave a sequence of images as it is.
  whole = spec.sequences == "clips"
  packed = () if whole else (*COMPRESSED, *(("depth",) if spec.depth else ()))
  skip = {
    feature: tfds.decode.SkipDecoding()
    for key, feature in names.items()
    if key in packed
  }
  try:
    records = builder.as_data_source(expression, decoders=skip)
    length = len(records)
  except (RuntimeError, OSError) as e:
    raise UserError(_damaged(_files(builder, expression), e)) from e
  except (ValueError, KeyError) as e:
    available = ", ".join(builder.info.splits) or "none"
    raise UserError(
      f"split {expression!r} of {place} cannot be read ({e}); it holds: "
      f"{available}. Prepare it again, or choose another split."
    ) from e
  if not length:
    raise UserError(f"split {expression!r} of {place} is empty.")
  files = _files(builder, expression)
  return TfdsSource(records, names, f"{name} {expression}", files)


def open_source(
  spec: DatasetSpec,
  split: str,
  data_dir: str | None = None,
  keys: Sequence[str] = ("image", "label"),
  clips: sequences.ClipOptions | None = None,
) -> Source:
  """Opens a split of any kind of data set; see `open_tfds`.

  Args:
    spec, split, data_dir: see there.
    keys: what the caller reads; with 'motion' an example is a clip.
    clips: how sequences are cut. Without 'motion' an example is a frame, and
      these are those of the clips but for the first of each; None is all.

  Raises:
    UserError: as there, or no sequences, or none that is long enough.
  """
  moving = "motion" in keys
  if (moving or clips) and not getattr(spec, "sequences", ""):
    raise UserError(
      f"data set {spec.name!r} has single images and no motion between them: "
      "for config.data.frames, and for tasks that read motion, set "
      "config.data.name to scenes_clips, seven_scenes, midair or kitti_depth."
    )
  if isinstance(spec, folder_lib.FolderSpec):
    for key in keys:
      if key not in ("image", "label"):
        raise UserError(f"a folder data set has no {key!r}: image, label.")
    return FolderSource(spec.pairs(split))
  if not getattr(spec, "sequences", ""):
    return open_tfds(spec, split, data_dir, keys)
  reads = [key for key in keys if key != "motion"] + ["pose"] * moving
  frames, lengths = _frames(spec, split, data_dir, reads)
  if not moving and clips is None:
    return frames
  found = sequences.windows(lengths, clips or sequences.ClipOptions())
  if moving:
    return sequences.ClipSource(frames, found)
  return sequences.SomeFrames(frames, sequences.later(found))


def _frames(
  spec: DatasetSpec, split: str, data_dir: str | None, keys: Sequence[str]
) -> tuple[Source, list[int]]:
  """All frames of a split, and the lengths of its sequences."""
  source = open_tfds(spec, split, data_dir, keys)
  if spec.sequences == "clips":
    length = len(source[0][keys[0]])
    return sequences.FramesOfClips(source, length), [length] * len(source)
  data_dir = os.path.expanduser(data_dir or default_data_dir())
  known = make_builder(spec, data_dir).info.metadata["sequences"]
  expression = spec.splits.get(split, split)
  if expression not in known:
    raise UserError(
      f"split {expression!r} of {spec.name!r} would cut sequences apart: it "
      f"has sequences in {', '.join(known)}; choose one of these."
    )
  return source, [int(n) for n in known[expression]]
