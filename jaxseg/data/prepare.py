"""Prepares a data set once: python -m jaxseg.data.prepare --dataset=camvid ...

  --dataset=scenes                       made on the spot
  --dataset=pets                         downloaded by TFDS
  --dataset=camvid --raw=DIR             from the raw folder
  --dataset=bsds500 --raw=DIR            from the raw folder
  --dataset=faces --raw=DIR              from the raw folder
  --dataset=lsp --raw=DIR                from the raw folder
  --dataset=seven_scenes --raw=DIR       from the raw folder
  --dataset=midair --raw=DIR             from the raw folder
  --dataset=kitti_depth --raw=DIR        from the raw folder
  --dataset=dubai_aerial --raw=DIR       from the raw folder
  --dataset=semantic_drone --raw=DIR     from the raw folder
  --dataset=cityscapes --raw=DIR         from the folder with the zip files
  --data_dir=DIR                         where the records go (TFDS directory)
  --convert_from=DIR                     from a TFDS directory with tfrecord

Writes array_record files, which training reads at random without TensorFlow.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import pathlib
import socket
import sys
from typing import Any

import tensorflow_datasets as tfds
from rich.console import Console

from jaxseg.data import convert, sources
from jaxseg.data.datasets import DATASETS
from jaxseg.data.spec import DatasetSpec
from jaxseg.types import UserError

PROBE_SECONDS = 5.0


def place_of(spec: DatasetSpec, data_dir: str) -> pathlib.Path:
  """Where the records of a spec are."""
  name, _, config = spec.tfds_name.partition("/")
  return pathlib.Path(data_dir, name, config, spec.version)


def is_to_be_made(spec: Any, data_dir: str | None) -> bool:
  """Whether `embedded` has something to do."""
  folder = os.path.expanduser(data_dir or sources.default_data_dir())
  return spec.embedded and not place_of(spec, folder).is_dir()


def embedded(spec: Any, data_dir: str | None, console: Console) -> None:
  """Makes an embedded data set if it is not there yet; others: nothing."""
  if not is_to_be_made(spec, data_dir):
    return
  folder = os.path.expanduser(data_dir or sources.default_data_dir())
  console.print(f"Making the data set {spec.name!r} in {folder} (once).")
  prepare(spec, folder)


def prepare(spec: DatasetSpec, data_dir: str, raw: str = "") -> pathlib.Path:
  """Writes the records of a data set; returns where they are.

  Raises:
    UserError: raw files missing, no network, directory not writable.
  """
  data_dir = os.path.expanduser(data_dir)
  place = place_of(spec, data_dir)
  if place.is_dir():
    return place
  if spec.raw:
    if not raw:
      raise UserError(
        f"data set {spec.name!r} needs --raw=DIR: {spec.raw}. {spec.advice}"
      )
    if not os.path.isdir(raw):
      raise UserError(f"--raw={raw} is not a folder: expected {spec.raw}.")
  elif not spec.embedded:
    _check_network(spec)
  _check_tensorflow(spec)
  try:
    os.makedirs(data_dir, exist_ok=True)
    probe = pathlib.Path(data_dir, ".writable")
    probe.write_text("")
    probe.unlink()
  except OSError as e:
    raise UserError(
      f"--data_dir={data_dir} cannot be written ({e.strerror}): choose another."
    ) from e
  builder = sources.make_builder(spec, data_dir)
  options = tfds.download.DownloadConfig(
    manual_dir=os.path.abspath(raw) if raw else None,
    try_download_gcs=False,
  )
  try:
    builder.download_and_prepare(
      download_config=options, file_format="array_record"
    )
  except UserError:
    raise
  except AssertionError as e:  # TFDS: files of a manual download missing
    raise UserError(f"{' '.join(str(e).split())} {spec.advice}") from e
  return place


def _check_tensorflow(spec: DatasetSpec) -> None:
  """TFDS's own builders write with it: said before the download, not after."""
  own = spec.tfds_name.partition("/")[0] in sources.OWN_BUILDERS
  if not own and importlib.util.find_spec("tensorflow") is None:
    raise UserError(
      f"TFDS's own builder of {spec.name!r} needs TensorFlow to write the "
      "records (training does not): pip install -e '.[tensorflow]', and run "
      "this command again."
    )


def _check_network(spec: DatasetSpec) -> None:
  """Fails within seconds where TFDS would retry for minutes."""
  host = spec.host
  try:
    socket.create_connection((host, 443), PROBE_SECONDS).close()
  except OSError as e:
    raise UserError(
      f"data set {spec.name!r} has to be downloaded, and {host} cannot be "
      f"reached ({e}). {spec.advice} On a machine with a network, run this "
      "command there and copy its --data_dir here."
    ) from e


def main(argv: list[str]) -> int:
  """The command line; returns the exit status."""
  parser = argparse.ArgumentParser(
    prog="python -m jaxseg.data.prepare", description=__doc__.split("\n")[0]
  )
  parser.add_argument("--dataset", required=True)
  parser.add_argument("--data_dir", default=sources.default_data_dir())
  parser.add_argument("--raw", default="")
  parser.add_argument("--convert_from", default="")
  options = parser.parse_args(argv)
  try:
    if options.dataset not in DATASETS:
      raise UserError(
        f"--dataset={options.dataset} is not known: expected one of "
        f"{', '.join(DATASETS)}."
      )
    spec = DATASETS[options.dataset]
    if options.convert_from:
      place = place_of(spec, os.path.expanduser(options.data_dir))
      convert.to_array_record(place_of(spec, options.convert_from), place)
    else:
      place = prepare(spec, options.data_dir, options.raw)
  except UserError as e:
    print(f"error: {e}", file=sys.stderr)
    return 2
  print(f"{spec.name}: {place}")
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
