"""One function per mode, for configs that name a method in config.method.

A method without parameters has its own few functions here instead of a network
and a task: `run` comes here when `config.method.name` is set. So has a method
that goes on from a trained network, which comes as an argument.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from ml_collections import ConfigDict
from rich.console import Console

from jaxseg import build, judge, writers
from jaxseg.data import several, sources
from jaxseg.methods import LEARNED, METHODS, OF_TASK, Network
from jaxseg.naming import construct, given, lookup
from jaxseg.types import UserError

# The trained network of the config, read when it is asked for.
Trained = Callable[[Console], Network]


def method_of(
  config: ConfigDict,
  trained: Trained | None = None,
  console: Console | None = None,
) -> tuple[Any, int]:
  """The method of config.method, and how many steps it was trained for.

  Args:
    config: all keys.
    trained: for methods of LEARNED.
    console: for what `trained` has to say.

  Raises:
    UserError: a name or an option that is not known, or a network of another
      task.
  """
  name = config.method.name
  factory = lookup({**METHODS, **LEARNED}, name, "config.method.name")
  fixed, step = {}, 0
  if name in LEARNED:
    task = OF_TASK[name]
    if config.task.name != task:
      raise UserError(
        f"config.method.name = {name!r} goes on from a network that tells "
        f"{task}, and config.task.name is {config.task.name!r}: take a "
        f"config of the task {task}, or leave config.method.name unset."
      )
    network = trained(console)
    fixed, step = {"network": network}, network.step
  return construct(factory, given(config.method), fixed, "method"), step


def run(
  mode: str,
  config: ConfigDict,
  workdir: str,
  trained: Trained,
  *argv: Sequence[str],
) -> int:
  """A mode for a method; the exit status. `predict` takes a list of images.

  Raises:
    UserError: a mode that a method does not have, or a mistake of the user.
  """
  if mode not in MODES:
    name = config.method.name
    raise UserError(
      f"config.method.name = {name!r} judges a network that is trained already:"
      f" leave it unset to {mode} one."
      if name in LEARNED
      else f"config.method.name = {name!r} is a method without"
      f" parameters: there is nothing to {mode}; use --mode=eval or"
      " --mode=predict."
    )
  return MODES[mode](config, workdir, trained, *argv)


def _evaluate(config: ConfigDict, workdir: str, trained: Trained) -> int:
  console = writers.make_console()
  method, step = method_of(config, trained, console)
  split = config.eval.split or "val"
  source = sources.open_source(
    build.dataset(config), split, config.data.data_dir, several.KEYS
  )
  count = min(config.eval.limit or len(source), len(source))
  writers.prepare_workdir(workdir)
  out = writers.Writers(workdir, tensorboard=config.tensorboard)

  def load(index):
    return several.decode(source[index], source.name_of(index))

  judge.evaluate(method, load, count, split, console, out, step)
  out.close()
  return 0


def _predict(
  config: ConfigDict, workdir: str, trained: Trained, argv: Sequence[str] = ()
) -> int:
  console = writers.make_console()
  patterns = [*config.predict.images, *argv]
  if not patterns or config.predict.split:
    raise UserError(
      "--mode=predict of a method needs images: name files, globs or folders "
      "after the flags (or in --config.predict.images); it does not take "
      "config.predict.split."
    )
  method, _ = method_of(config, trained, console)
  out = config.predict.out or os.path.join(workdir, "predictions")
  writers.prepare_workdir(out)
  done = judge.predict(method, patterns, out, console)
  console.print(
    f"{done} prediction(s) in {out}; look at {out}/contact_sheet.jpg first."
  )
  return 0


MODES = {"eval": _evaluate, "predict": _predict}
