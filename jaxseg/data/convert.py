"""A TFDS copy in tfrecord format -> array_record, without TensorFlow.

The examples are the same serialized protocol buffers in both; only the frame
around them differs. A TFRecord frame is: length (uint64, little-endian), its
masked CRC-32C (4 bytes), the data, the data's masked CRC-32C (4 bytes). The
checksums are not verified.
"""

from __future__ import annotations

import json
import pathlib
import shutil
import struct
from collections.abc import Iterator

from array_record.python import array_record_module
from rich.progress import track

from jaxseg.types import UserError


def read_tfrecord(path: pathlib.Path) -> Iterator[bytes]:
  """The records of a file.

  Raises:
    UserError: the file ends within a record.
  """
  with path.open("rb") as f:
    while head := f.read(12):
      length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else -1
      data = f.read(length) if 0 <= length < 1 << 31 else b""
      if len(head) < 12 or len(data) < length or len(f.read(4)) < 4:
        raise UserError(
          f"{path} is damaged: it ends within a record. Prepare it again."
        )
      yield data


def to_array_record(source: pathlib.Path, target: pathlib.Path) -> None:
  """Converts a prepared data set; `target` appears when it is complete.

  Args:
    source: TFDS version directory with tfrecord files and dataset_info.json.
    target: TFDS version directory to write.

  Raises:
    UserError: source is not such a directory, or target exists.
  """
  info_path = source / "dataset_info.json"
  if not info_path.is_file():
    raise UserError(
      f"{source} is no prepared TFDS data set: it has no dataset_info.json."
    )
  if target.exists():
    raise UserError(f"{target} exists already: nothing was converted.")
  info = json.loads(info_path.read_text())
  if info.get("fileFormat", "tfrecord") != "tfrecord":
    raise UserError(f"{source} holds {info['fileFormat']}: nothing to convert.")
  work = target.with_name(target.name + ".incomplete")
  shutil.rmtree(work, ignore_errors=True)
  work.mkdir(parents=True)
  files = sorted(source.glob("*.tfrecord-*"))
  if not files:
    raise UserError(f"{source} has no *.tfrecord-* files.")
  for path in track(files, "converting"):
    name = path.name.replace(".tfrecord-", ".array_record-")
    # group_size:1 gives access to single records, as TFDS writes them.
    writer = array_record_module.ArrayRecordWriter(
      str(work / name), "group_size:1"
    )
    for record in read_tfrecord(path):
      writer.write(record)
    writer.close()
  for path in source.iterdir():
    if path.is_file() and ".tfrecord-" not in path.name:
      shutil.copy(path, work / path.name)
  info["fileFormat"] = "array_record"
  for split in info.get("splits", []):
    template = split.get("filepathTemplate", "")
    split["filepathTemplate"] = template.replace(".tfrecord", ".array_record")
  (work / "dataset_info.json").write_text(json.dumps(info, indent=2))
  work.rename(target)
