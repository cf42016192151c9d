"""Stages of a network that are computed again in the backward pass.

Chen, Xu, Zhang, Guestrin, "Training Deep Nets with Sublinear Memory Cost"
(2016, arXiv:1604.06174): of a stage only what enters it is kept, and its
inside is computed a second time when its gradient is due. Memory for a third
more arithmetic.

A stage is a module of the network, found by its path: no network knows of it,
and parameters, running statistics and random numbers stay what they are. On
the CPU the program has to be compiled with `compiling.IN_ORDER`, or XLA
computes all stages again at once and saves nothing.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from flax import linen as nn

from jaxseg.types import UserError

BLOCKS = "blocks"
PARTS = ("encoder", "decoder")  # what is too large to be one stage
Path = tuple[str, ...]


def selector(stages: str) -> Callable[[Path], bool]:
  """Path of a module -> whether it is a stage, of `stages`' words.

  Args:
    stages: '' is none; 'blocks' each module that lies directly in the
      encoder, the decoder, or the network beside these; else a regular
      expression that a path such as 'encoder/layer1_0' contains. Of modules
      inside one another the outermost is the stage.

  Raises:
    UserError: the expression cannot be read.
  """
  if stages == BLOCKS:
    return lambda path: len(path) == 2 if path[0] in PARTS else len(path) == 1
  try:
    pattern = re.compile(stages)
  except re.error as e:
    raise UserError(
      f"config.remat = {stages!r} is no regular expression ({e}): use "
      f"'{BLOCKS}', or one of paths, such as '^encoder/layer[12]'."
    ) from e
  return lambda path: bool(stages) and bool(pattern.search("/".join(path)))


@contextlib.contextmanager
def rematerialized(stages: str) -> Iterator[list[str]]:
  """Within it, a network that is applied computes its stages again.

  Args:
    stages: see `selector`.

  Yields:
    the paths of the stages, as they are met.
  """
  chosen = selector(stages)
  met: list[str] = []
  inside = False

  def run(call, args, kwargs, context):
    nonlocal inside
    module = context.module
    whole = context.method_name == "__call__" and module.path
    if inside or not whole or not chosen(module.path):
      return call(*args, **kwargs)
    met.append("/".join(module.path))

    def stage(module, *args):  # the module, bound to what is kept
      nonlocal inside
      inside = True
      try:
        return module(*args, **kwargs)
      finally:
        inside = False

    return nn.remat(stage)(module, *args)

  if not stages:
    yield met
    return
  with nn.intercept_methods(run):
    yield met


def check(stages: str, run: Callable[[], Any]) -> None:
  """Raises UserError where `run`, which applies a network, meets no stage.

  Args:
    stages: see `selector`.
    run: to be traced, such as a jax.eval_shape.
  """
  if not stages:
    return
  with rematerialized(stages) as met:
    run()
  if not met:
    with rematerialized(BLOCKS) as blocks:
      run()
    raise UserError(
      f"config.remat = {stages!r} names no part of this network: use "
      f"'{BLOCKS}', or a regular expression of paths, such as "
      f"{', '.join(blocks[:4])}."
    )
