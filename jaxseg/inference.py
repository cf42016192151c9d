"""From a network to predictions: whole, windows, tiles, scales, flips, CRF.

A `windows.Forward` is a network as a function of its variables and images.
Everything here takes a Forward and gives a Forward of larger reach, so the
pieces compose, and `build` composes them in the one order that evaluation,
prediction and export share.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxseg import answer
from jaxseg.classical.crf import dense
from jaxseg.ops import resize
from jaxseg.types import Array, Task, UserError
from jaxseg.windows import Forward, Size, heads, overlap_tile, sliding_window

Predict = Callable[..., dict[str, Array]]

MODES = ("whole", "slide", "tile")


@dataclasses.dataclass(frozen=True)
class InferenceOptions:
  """How an image meets the network.

  Attributes:
    mode: 'whole' runs on the whole image, 'slide' blends overlapping windows,
      'tile' puts the outputs of a network without padding side by side.
    window: (h, w) of a window; in mode 'tile' of a tile of the output.
    overlap: share of a window that the next one repeats, in [0, 1) ('slide').
    margin: pixels that the network eats at each border ('tile'); 92 for U-Net.
    stride: total stride of the network ('tile'); 16 for U-Net.
    scales: factors of the image size to average over.
    flip: also average over the mirrored image.
    views: scales and mirrors 'image': of the image, and windows of each, as
      PSPNet has it; 'window': of each window, which a program that sees one
      window at a time can do (jaxseg.anysize). Alike without windows.
    crf: a fully connected random field over what all this says; None: none.
  """

  mode: str = "whole"
  window: Size = (512, 512)
  overlap: float = 0.5
  margin: int = 0
  stride: int = 1
  scales: tuple[float, ...] = (1.0,)
  flip: bool = False
  views: str = "image"
  crf: dense.DenseOptions | None = None

  def __post_init__(self):
    if self.mode not in MODES:
      raise UserError(
        f"inference mode {self.mode!r} is not known: choose one of "
        f"{', '.join(MODES)}."
      )
    if len(self.window) != 2 or min(self.window) < 1:
      raise UserError(
        f"inference window {self.window} is not a size: expected (h, w) in "
        "pixels."
      )
    if not 0 <= self.overlap < 1:
      raise UserError(
        f"inference overlap {self.overlap} is out of range: expected a share "
        "of the window in [0, 1), such as 0.5."
      )
    if self.margin < 0 or self.stride < 1:
      raise UserError(
        f"inference margin {self.margin} or stride {self.stride} is out of "
        "range: expected margin >= 0 and stride >= 1."
      )
    numbers = all(isinstance(s, (int, float)) for s in self.scales)
    if not self.scales or not numbers or min(self.scales) <= 0:
      raise UserError(
        f"inference scales {self.scales} are out of range: expected at least "
        "one positive factor, such as (0.75, 1.0, 1.25)."
      )
    if self.views not in ("image", "window"):
      raise UserError(
        f"inference views {self.views!r} is not known: choose image or window."
      )
    if self.views == "window" and self.mode == "tile":
      raise UserError(
        "inference views 'window' enlarges what a window answers to what it "
        "reads, and tiles answer less than they read: choose views 'image'."
      )

  @property
  def several(self) -> bool:
    """Whether more than one view is averaged."""
    return tuple(self.scales) != (1.0,) or self.flip


def build(
  model: Any, task: Task, options: InferenceOptions | None = None
) -> Predict:
  """The one road from an image to predictions; see `build_forward`.

  Returns:
    predict(variables, image float32 (b, h, w, 3)) -> {name: array}; pure, to
    be jitted by the caller. A task that `reads` more is given more.
  """
  forward = build_forward(model, task, options)

  def predict(variables, image, *others):
    pred = task.predict(forward(variables, image, *others))
    return answer.compose(task, pred, image)

  return predict


def build_forward(
  model: Any, task: Task, options: InferenceOptions | None = None
) -> Forward:
  """The network with windows, scales and flips around it.

  Args:
    model: a Linen module, called with `task.inputs({'image': image})`.
    task: decides what the model reads and how views are averaged.
    options: how; None is the plain network.
  """
  options = options or InferenceOptions()
  if options.mode != "whole" and not getattr(task, "windows", True):
    raise UserError(
      f"config.inference.mode = {options.mode!r} puts windows together, and "
      f"config.task.method = {task.method!r} answers for a whole image: choose "
      "config.inference.mode = 'whole', or config.task.method = 'heatmap'."
    )

  keys = answer.reads(task)
  if len(keys) > 1 and (options.mode != "whole" or options.several):
    raise UserError(
      f"config.task.name = {task.name!r} reads {', '.join(keys)}, and windows, "
      "scales and flips are made of images alone: leave config.inference at "
      "mode = 'whole', scales = (1.0,), flip = False."
    )

  def forward(variables, *arrays):
    inputs = task.inputs(dict(zip(keys, arrays)))
    return model.apply(variables, *inputs, train=False)

  run: Forward = forward
  if options.several and options.views == "window":
    run = multi_scale(run, task, options.scales, options.flip)
  if options.mode == "slide":
    run = sliding_window(run, task, options.window, options.overlap)
  elif options.mode == "tile":
    run = overlap_tile(run, options.window, options.margin, options.stride)
  if options.several and options.views == "image":
    run = multi_scale(run, task, options.scales, options.flip)
  if options.crf is not None:
    run = with_crf(run, task, options.crf)
  return run


def with_crf(
  forward: Forward, task: Task, options: dense.DenseOptions
) -> Forward:
  """Lets what the network says of the classes follow the picture's edges.

  Args:
    forward: a network whose logits have the size of the image.
    task: one that tells classes of pixels apart, in one head of logits.
    options: of the random field.

  Raises:
    UserError: the task has other outputs.
  """
  if getattr(task, "name", "semantic") != "semantic":
    raise UserError(
      f"config.inference.crf.iterations = {options.iterations} refines "
      f"classes of pixels, and task {task.name!r} has none: set it to 0, or "
      "choose config.task.name = 'semantic'."
    )

  def run(variables, image):
    out = heads(forward(variables, image), task)
    mean = task.to_mean(out)["logits"]
    logs = jnp.log(jnp.maximum(mean, 1e-30))  # NaN stays NaN
    return task.from_mean({"logits": dense.refine(logs, image, options)})

  return run


def multi_scale(
  forward: Forward,
  task: Task,
  scales: tuple[float, ...] = (0.75, 1.0, 1.25),
  flip: bool = True,
) -> Forward:
  """Averages over resized and mirrored views of the image.

  Outputs return to the size of the image (bilinear) and are averaged where
  `task.to_mean` says; mirrored ones go through `task.flip` first.

  Args:
    forward: a network for any image size.
    task: names the heads that are kept; flip, to_mean, from_mean.
    scales: factors of the image size.
    flip: each scale also mirrored.
  """

  def run(variables, image):
    h, w = image.shape[1:3]
    total, count = None, 0
    for scale in scales:
      size = (max(1, round(h * scale)), max(1, round(w * scale)))
      scaled = resize.resize_bilinear(image, size)
      for mirrored in (False, True) if flip else (False,):
        x = scaled[:, :, ::-1] if mirrored else scaled
        out = heads(forward(variables, x), task)
        out = task.flip(out) if mirrored else out
        out = {
          k: resize.resize_bilinear(v.astype(jnp.float32), (h, w))
          for k, v in out.items()
        }
        mean = task.to_mean(out)
        total = mean if total is None else jax.tree.map(jnp.add, total, mean)
        count += 1
    return task.from_mean({k: v / count for k, v in total.items()})

  return run
