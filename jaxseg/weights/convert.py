"""Converts a published checkpoint into our own file of weights.

  python -m jaxseg.weights.convert --from=torchvision --model=resnet50 \\
    resnet50-0676ba61.pth resnet50.safetensors

  --from=torchvision|timm|smp|keras   whose names the checkpoint has
  --model=NAME                        as that source names it; smp's networks
                                      are DECODER-ENCODER, unet-resnet34
  --licence=TEXT                      of the weights, kept in the file
  --normalization=NAME                imagenet, caffe, caffe_vgg, inception or
                                      none, instead of the model's usual one

CHECKPOINT is .pth, .pt, .bin, .safetensors or .h5; nothing in it is run.
"""

from __future__ import annotations

import argparse
import hashlib
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from jaxseg.types import UserError
from jaxseg.weights import families, readers, rule, store

NORMALIZATIONS = ("imagenet", "caffe", "caffe_vgg", "inception", "none")


def convert(
  checkpoint: str | pathlib.Path,
  out: str | pathlib.Path,
  *,
  source: str,
  model: str,
  network: str = "",
  fields: Mapping[str, Any] | None = None,
  licence: str = "",
  normalization: str | Mapping[str, Any] | None = None,
  publisher: str = "",
) -> store.Record:
  """Reads, renames and writes; returns the record.

  Whether the arrays fit a network is settled where they are merged into one.

  Args:
    checkpoint: file of the source.
    out: .safetensors to write.
    source: whose names it has; one of families.SOURCES.
    model: as the source names it.
    network: our name of it (`model`).
    fields: of our network, beside those that the family is known to need.
    licence: of the weights.
    normalization: instead of the model's usual one.
    publisher: kept as the record's source (`source`).

  Raises:
    UserError: see `readers.read`, `rule.rename` and `families.find`.
  """
  found = families.find(source, model)
  tensors, meta = readers.read(checkpoint)
  if source == "keras" and meta.get("layout") == "paths":
    raise UserError(
      f"{checkpoint} has no names of layers, only numbers "
      f"({next(iter(tensors))}), as Keras 3 writes .weights.h5: expected a "
      "file with 'layer_names', so load it with Keras into the network and "
      "call model.save('NAME.h5')."
    )
  renamed = rule.rename(found.rules, tensors)
  if not renamed:
    raise UserError(
      f"{checkpoint} has nothing that {model} of {source} uses: name the "
      "network that it was trained for."
    )
  record = store.Record(
    network=network or model,
    fields={**found.fields, **(fields or {})},
    source=publisher or source,
    licence=licence,
    sha256=sha256(checkpoint),
    normalization=found.normalization
    if normalization is None
    else normalization,
    rules=families.fingerprint(found.rules),
  )
  return store.write(out, renamed, record)


def sha256(path: str | pathlib.Path) -> str:
  """Of a file's bytes, in hexadecimal digits."""
  with pathlib.Path(path).open("rb") as f:
    return hashlib.file_digest(f, "sha256").hexdigest()


class _Parser(argparse.ArgumentParser):
  """One sentence instead of a page of usage."""

  def error(self, message: str) -> NoReturn:
    raise UserError(f"{message}. See python -m jaxseg.weights.convert --help.")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
  parser = _Parser(
    prog="python -m jaxseg.weights.convert",
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  parser.add_argument("checkpoint", metavar="CHECKPOINT")
  parser.add_argument("out", metavar="OUT")
  parser.add_argument("--from", dest="source", required=True)
  parser.add_argument("--model", required=True)
  parser.add_argument("--licence", default="")
  parser.add_argument("--normalization", default=None)
  return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
  """The command line; returns the exit status."""
  try:
    options = _parse(argv)
    how = options.normalization
    if how is not None and how not in NORMALIZATIONS:
      raise UserError(
        f"--normalization={how} is not known: expected one of "
        f"{', '.join(NORMALIZATIONS)}."
      )
    record = convert(
      options.checkpoint,
      options.out,
      source=options.source,
      model=options.model,
      licence=options.licence,
      normalization=how,
    )
    arrays, _ = store.read(options.out)
  except UserError as e:
    print(f"error: {e}", file=sys.stderr)
    return 2
  numbers = sum(int(np.prod(a.shape)) for a in arrays.values())
  print(
    f"{options.out}: {len(arrays)} arrays, {numbers:,} numbers of "
    f"{record.network} from {record.source}; sha256 of the checkpoint "
    f"{record.sha256}"
  )
  return 0


if __name__ == "__main__":
  raise SystemExit(main())
