"""python -m jaxseg.predict ARTIFACT IMAGES... --out=DIR.

Serves what --mode=export wrote, on a machine that has jax and numpy: nothing
else of this project is imported, and Pillow only to decode pictures. An image
of any size goes through an artifact of config.export.sizes = 'any' in bounded
memory; one of 'fixed' takes its own size alone.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import sys
import time
from collections.abc import Iterator, Sequence

from jaxseg import keyboard
from jaxseg.types import UserError

_TEXT = """\
Predicts images with an artifact, the file NAME.stablehlo that
`python -m jaxseg.main ... --mode=export` wrote; NAME.stablehlo.json has to lie
beside it. Needs jax and numpy; Pillow to read JPEG, PNG and the like (without
it: .npy of uint8 (h, w, 3), and PPM)."""

_MORE = """\
results, for an image a/cat.jpg:
  DIR/a/cat.png           class ids as an indexed PNG, or the predicted picture
  DIR/a/cat_overlay.png   the image tinted by class
  DIR/a/cat_KEY.npy       other predictions, such as depth in metres

An artifact exported with --config.export.sizes=any takes images of any size,
also larger than memory (as .npy or PPM); others take one size. The exit status
is 2 where something has to be mended, and one sentence says what."""


def parser() -> argparse.ArgumentParser:
  """The command line."""
  found = argparse.ArgumentParser(
    "python -m jaxseg.predict",
    description=_TEXT,
    epilog=_MORE,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  found.add_argument("artifact", metavar="ARTIFACT")
  found.add_argument(
    "images",
    metavar="IMAGES",
    nargs="+",
    help="files, folders (searched to the bottom) and globs",
  )
  found.add_argument(
    "--out",
    metavar="DIR",
    default="predictions",
    help="folder of the results, made if missing (default: predictions)",
  )
  found.add_argument(
    "--npy",
    action="store_true",
    help="labels and pictures as arrays too: DIR/a/cat_label.npy",
  )
  found.add_argument(
    "--no-overlay",
    dest="overlay",
    action="store_false",
    help="leave the tinted images out",
  )
  found.add_argument(
    "--quiet", action="store_true", help="no lines about the progress"
  )
  return found


def run(options: argparse.Namespace) -> int:
  """Predicts; returns the number of images.

  Raises:
    UserError: what has to be mended; images that could not be read are named
      after all others are done.
  """
  # Heavy: after the command line is found good.
  from jaxseg import process
  from jaxseg.serving import artifact, paths, pieces, reading, results

  found = paths.find(options.images, reading.suffixes())
  targets = [
    pathlib.Path(options.out, name) for name in paths.result_names(found)
  ]
  paths.refuse_overwriting(found, targets)
  process.compilation_cache()
  loaded = artifact.load(options.artifact)
  tell = _Progress(len(found), options.quiet)
  failures: list[str] = []
  for path, target in zip(found, targets):
    try:
      source = reading.open_image(path)
      tell.start(path, source)
      strips = pieces.strips(loaded, source)
      results.write(
        loaded,
        source,
        tell.watch(strips),
        target,
        overlay=options.overlay,
        npy=options.npy,
      )
    except UserError as e:
      text = str(e)
      failures.append(text if str(path) in text else f"{path}: {text}")
      continue
    except OSError as e:
      raise UserError(
        f"the results of {path} cannot be written to {target}* "
        f"({e.strerror or e}): check the folder's permissions and the space on "
        "the disk."
      ) from e
    tell.done()
  paths.tell_failures(failures, len(found), options.out)
  return len(found)


class _Progress:
  """Lines on stderr: one an image, and its share while it lasts."""

  def __init__(self, total: int, quiet: bool):
    self._total, self._quiet = total, quiet
    self._live = sys.stderr.isatty()
    self._count = 0

  def start(self, path: pathlib.Path, source) -> None:
    self._count += 1
    self._begin = time.perf_counter()
    self._height = source.height
    size = f"{source.width} x {source.height}"
    self._line = f"{self._count}/{self._total}  {path}  {size}"

  def watch(self, strips) -> Iterator:
    for y, strip in strips:
      if self._live and not self._quiet:
        print(
          f"\r{self._line}  {y / self._height:.0%}", end="", file=sys.stderr
        )
      yield y, strip

  def done(self) -> None:
    if not self._quiet:
      seconds = time.perf_counter() - self._begin
      start = "\r" if self._live else ""
      print(f"{start}{self._line}  {seconds:.2f} s", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the program; returns the exit status."""
  options = parser().parse_args(argv)
  begin = time.perf_counter()
  try:
    with keyboard.heard():
      count = run(options)
  except UserError as e:
    print(f"error: {e}", file=sys.stderr)
    return 2
  except KeyboardInterrupt:
    return keyboard.STATUS
  if not options.quiet:
    seconds = time.perf_counter() - begin
    print(f"{count} prediction(s) in {options.out}, {seconds:.1f} s.")
  return 0


if __name__ == "__main__":
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
  sys.exit(main())
