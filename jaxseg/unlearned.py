"""One function per mode, for configs that name a method in config.method.

A method without parameters has its own few functions here instead of a network
and a task: `run` comes here when `config.method.name` is set.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from jaxseg import build, judge, writers
from jaxseg.data import several, sources
from jaxseg.methods import METHODS
from jaxseg.naming import construct, given, lookup
from jaxseg.types import UserError


def method_of(config: ConfigDict) -> Any:
  """The method of config.method.

  Raises:
    UserError: a name or an option that is not known.
  """
  factory = lookup(METHODS, config.method.name, "config.method.name")
  return construct(factory, given(config.method), {}, "method")


def run(
  mode: str, config: ConfigDict, workdir: str, *argv: Sequence[str]
) -> int:
  """A mode for a method; the exit status. `predict` takes a list of images.

  Raises:
    UserError: a mode that a method does not have, or a mistake of the user.
  """
  if mode not in MODES:
    raise UserError(
      f"config.method.name = {config.method.name!r} is a method without"
      f" parameters: there is nothing to {mode}; use --mode=eval or"
      " --mode=predict."
    )
  return MODES[mode](config, workdir, *argv)


def _evaluate(config: ConfigDict, workdir: str) -> int:
  console = writers.make_console()
  method = method_of(config)
  split = config.eval.split or "val"
  source = sources.open_source(
    build.dataset(config), split, config.data.data_dir, several.KEYS
  )
  count = min(config.eval.limit or len(source), len(source))
  writers.prepare_workdir(workdir)
  out = writers.Writers(workdir, tensorboard=config.tensorboard)

  def load(index):
    return several.decode(source[index], source.name_of(index))

  judge.evaluate(method, load, count, split, console, out)
  out.close()
  return 0


def _predict(config: ConfigDict, workdir: str, argv: Sequence[str] = ()) -> int:
  console = writers.make_console()
  patterns = [*config.predict.images, *argv]
  if not patterns or config.predict.split:
    raise UserError(
      "--mode=predict of a method needs images: name files, globs or folders "
      "after the flags (or in --config.predict.images); it does not take "
      "config.predict.split."
    )
  out = config.predict.out or os.path.join(workdir, "predictions")
  writers.prepare_workdir(out)
  done = judge.predict(method_of(config), patterns, out, console)
  console.print(
    f"{done} prediction(s) in {out}; look at {out}/contact_sheet.jpg first."
  )
  return 0


MODES = {"eval": _evaluate, "predict": _predict}
