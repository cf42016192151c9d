"""One compiled program that serves images of any size, piece by piece.

An exported program has one shape, and photographs have many. Symbolic sizes
are no way out: the number of windows would depend on them, each new size would
be compiled anew, and a large image would hold its logits at once. So the
program here answers for one piece and hands on what the next pieces need, and
whoever serves it (`jaxseg.serving`) only cuts pixels and puts answers together:

  windows   (pixels, total, weight) -> (total, predictions): adds a window to
            the blend of those before it, and decides from the sum. At a pixel
            the answer of the last window over it counts.
  enlarge   (pixels, heads, fresh, true, corner, shown) -> (heads, predictions):
            runs the network at its own size where `fresh`, enlarges a block of
            what it said to an image of `true` size, and decides there.

Both decide as evaluation does: blended probabilities or enlarged logits, and
never labels, meet at a pixel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jaxseg import answer, native
from jaxseg.inference import InferenceOptions, build_forward
from jaxseg.types import Array, Task, UserError
from jaxseg.windows import Forward, Size, check_size, heads

BLOCK = (512, 512)  # of an enlarged answer


@dataclasses.dataclass(frozen=True)
class Program:
  """A program for one piece, and what serving it has to know.

  Attributes:
    run: (variables, *arguments) -> (state, predictions of `piece`).
    arguments: shapes and dtypes of the arguments; the second is the state.
    plan: 'how', and how pieces lie; JSON, for the description.
    piece: (h, w) of the predictions.
  """

  run: Callable[..., tuple[dict[str, Array], dict[str, Array]]]
  arguments: tuple[Any, ...]
  plan: dict[str, Any]
  piece: Size


def build(
  model: Any,
  task: Task,
  options: InferenceOptions,
  variables: Any,
  size: Size | None,
) -> Program:
  """The program that answers as evaluation does, for images of any size.

  Args:
    model: a Linen module.
    task: one that answers for every pixel.
    options: as evaluation has them.
    variables: of the model; for shapes.
    size: (h, w) that evaluation resizes images to; None where it does not.

  Raises:
    UserError: evaluation looks at whole images, in one of many ways.
  """
  advice = "or choose config.export.sizes = 'fixed'."
  if options.mode == "whole" and size is None:
    raise UserError(
      "config.export.sizes = 'any' serves pieces, and config.inference.mode = "
      "'whole' shows the network whole images at their own size: set "
      f"config.inference.mode = 'slide', {advice}"
    )
  plain = dataclasses.replace(options, mode="whole", views="image")
  if options.mode == "whole":
    forward = build_forward(model, task, plain)
    program = enlarge(variables, forward, task, size)
    return _checked(program, variables, task)
  if options.crf is not None:
    raise UserError(
      "config.export.sizes = 'any' serves windows one by one, and "
      f"config.inference.crf.iterations = {options.crf.iterations} looks at "
      f"the whole image: set it to 0, {advice}"
    )
  if options.several and options.views == "image":
    raise UserError(
      "config.export.sizes = 'any' sees one window at a time, and "
      "config.inference.scales and flip are of the whole image: set "
      f"config.inference.views = 'window', {advice}"
    )
  forward = build_forward(model, task, plain)
  program = windows(variables, forward, task, options)
  return _checked(program, variables, task)


def windows(
  variables: Any, forward: Forward, task: Task, options: InferenceOptions
) -> Program:
  """Windows that blend (mode 'slide'), or lie side by side (mode 'tile').

  Args:
    variables: of the network; for shapes.
    forward: of one window, views inside.
    task: names the heads, and decides.
    options: mode, window, overlap, margin, stride.
  """
  size, blends = tuple(options.window), options.mode == "slide"
  margin = 0 if blends else options.margin
  read = tuple(n + 2 * margin for n in size)

  def view(variables, pixels):
    out = forward(variables, pixels.astype(jnp.float32) / 255)
    return task.to_mean(heads(out, task)) if blends else dict(out)

  def run(variables, pixels, total, weight):
    out = view(variables, pixels)
    total = {
      key: old + out[key].astype(jnp.float32) * weight[:, :, None]
      for key, old in total.items()
    }
    pred = task.predict(task.from_mean(total) if blends else total)
    shown = pixels[:, margin : margin + size[0], margin : margin + size[1]]
    return total, _finish(task, pred, shown)

  pixels = jax.ShapeDtypeStruct((1, *read, 3), jnp.uint8)
  state = jax.eval_shape(view, variables, pixels)
  check_size(state, size, f"an input of {read} and a margin of {margin}")
  state = {
    k: jax.ShapeDtypeStruct(v.shape, "float32") for k, v in state.items()
  }
  plan = {"how": "windows", "blend": blends, "window": list(size)}
  if blends:
    plan["overlap"] = float(options.overlap)
  else:
    plan.update(margin=margin, stride=options.stride)
  weight = jax.ShapeDtypeStruct(size, jnp.float32)
  return Program(run, (pixels, state, weight), plan, size)


def enlarge(
  variables: Any, forward: Forward, task: Task, size: Size, block: Size = BLOCK
) -> Program:
  """The network at one size, and its answer at any; see `native.native`.

  Args:
    variables: of the network; for shapes.
    forward: of the whole image, views and field inside.
    task: names the heads, and decides.
    size: (h, w) that the network runs at.
    block: (h, w) of a piece of the answer.
  """

  def network(variables, pixels):
    out = forward(variables, pixels.astype(jnp.float32) / 255)
    return heads(out, task)

  def run(variables, pixels, old, fresh, true, corner, shown):
    state = lax.cond(fresh, lambda: network(variables, pixels), lambda: old)
    part = {}
    for key, value in state.items():
      for axis in (1, 2):
        at = corner[axis - 1] + jnp.arange(block[axis - 1])
        value = native.linear(value, axis, at, true[axis - 1])
      part[key] = value
    return state, _finish(task, task.predict(part), shown)

  pixels = jax.ShapeDtypeStruct((1, *size, 3), jnp.uint8)
  state = jax.eval_shape(network, variables, pixels)
  pair = jax.ShapeDtypeStruct((2,), jnp.int32)
  arguments = (
    pixels,
    state,
    jax.ShapeDtypeStruct((), jnp.bool_),
    pair,
    pair,
    jax.ShapeDtypeStruct((1, *block, 3), jnp.uint8),
  )
  plan = {"how": "enlarge", "size": list(size), "block": list(block)}
  return Program(run, arguments, plan, block)


def _checked(program: Program, variables: Any, task: Task) -> Program:
  """Raises UserError where an answer is not one per pixel."""
  _, pred = jax.eval_shape(program.run, variables, *program.arguments)
  for key, value in pred.items():
    if value.shape[1:3] != tuple(program.piece):
      raise UserError(
        f"config.export.sizes = 'any' puts the answers of pieces together, and "
        f"{key!r} of the task {task.name!r} has shape {value.shape}, not one "
        "value a pixel: choose config.export.sizes = 'fixed'."
      )
  return program


def _finish(
  task: Task, pred: Mapping[str, Array], shown: Array
) -> dict[str, Array]:
  pred = answer.compose(task, pred, shown.astype(jnp.float32) / 255)
  return native.narrow(pred, task)
