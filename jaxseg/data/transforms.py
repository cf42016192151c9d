"""Transforms by name: one example on the host, written as text in a config.

An example is the fields of an image, or a list of them: the frames of a clip.

'random_scale(0.5, 2)|crop|flip|photometric' is a pipeline; each part is a name
of TRANSFORMS or a call with literals. What moves pixels is in geometry.
"""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

from jaxseg.data import geometry, people
from jaxseg.data.geometry import Fields, Size
from jaxseg.types import UserError

# Fields in, fields out; or lists of them.
Transform = Callable[[Any, np.random.Generator], Any]


def _resize(size: Size, height: int = 0, width: int = 0) -> Transform:
  """resize, resize(128), resize(128, 160): stretch to that size."""
  target = (height, width or height) if height else size
  return lambda fields, rng: geometry.resize(fields, target)


def _pad(size: Size) -> Transform:
  """pad: keep the scale; fill at the right and below up to the size."""

  def apply(fields: Fields, rng: np.random.Generator) -> Fields:
    h, w = geometry.size_of(fields)
    if h > size[0] or w > size[1]:
      raise UserError(
        f"transform pad: the image is {h}x{w}, larger than config.data.size = "
        f"{size[0]}x{size[1]}. Raise the size, or use 'resize'."
      )
    return geometry.crop(fields, 0, 0, size)

  return apply


def _crop(size: Size, height: int = 0, width: int = 0) -> Transform:
  """crop, crop(96, 96): a random window, padded with ignore."""
  target = (height, width or height) if height else size

  def apply(fields: Fields, rng: np.random.Generator) -> Fields:
    offsets = []
    for have, want in zip(geometry.size_of(fields), target):
      low, high = min(0, have - want), max(0, have - want)
      offsets.append(int(rng.integers(low, high + 1)))
    return geometry.crop(fields, offsets[0], offsets[1], target)

  return apply


def _person(
  size: Size, margin: float = 1.25, pick: str = "largest"
) -> Transform:
  """person, person(1.5, 'any'): the crop around one person, to the size.

  `margin` is of the box about its keypoints; `pick` is 'largest' or 'any'.
  """
  if margin < 1 or pick not in ("largest", "any"):
    raise UserError(
      f"person({margin}, {pick!r}): expected a margin of at least 1 and "
      "'largest' or 'any', such as person(1.25, 'any')."
    )

  def apply(fields: Fields, rng: np.random.Generator) -> Fields:
    if "keypoints" not in fields:
      raise UserError(
        "transform person needs keypoints, and this task reads none: leave it "
        "out of config.data.augment and config.data.eval."
      )
    chosen = people.choose(fields["keypoints"], rng if pick == "any" else None)
    return people.crop(fields, chosen, size, margin)

  return apply


def _random_scale(
  size: Size, low: float = 0.5, high: float = 2.0, stretch: float = 0.0
) -> Transform:
  """random_scale(0.5, 2): zoom by a factor, uniform in the logarithm.

  `stretch` 0.1 lets height and width differ by up to 10%.
  """
  if not 0 < low <= high:
    raise UserError(f"random_scale({low}, {high}): expected 0 < low <= high.")

  def apply(fields: Fields, rng: np.random.Generator) -> Fields:
    h, w = geometry.size_of(fields)
    scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    ratio = float(np.exp(rng.uniform(-stretch, stretch) / 2))
    target = (
      max(1, round(h * scale * ratio)),
      max(1, round(w * scale / ratio)),
    )
    # Augmentation, many times an epoch: bilinear unless it would alias.
    return geometry.resize(fields, target, smooth=scale <= 0.5)

  return apply


def _flip(size: Size, p: float = 0.5) -> Transform:
  """flip: mirror left to right with probability p."""
  return lambda fields, rng: (
    geometry.flip_lr(fields) if rng.random() < p else fields
  )


def _transpose(size: Size, p: float = 0.5) -> Transform:
  """transpose: exchange rows and columns with probability p."""
  if size[0] != size[1]:
    raise UserError(
      f"transform transpose makes columns of rows, and config.data.size = "
      f"{size[0]}x{size[1]}: give a square size, or leave it out."
    )
  return lambda fields, rng: (
    geometry.transpose(fields) if rng.random() < p else fields
  )


def _rotate(size: Size, max_deg: float = 10.0) -> Transform:
  """rotate(10): turn by an angle within +-10 degrees."""

  def apply(fields: Fields, rng: np.random.Generator) -> Fields:
    return geometry.rotate_by(fields, float(rng.uniform(-max_deg, max_deg)))

  return apply


def _photometric(
  size: Size,
  brightness: float = 0.125,
  contrast: float = 0.3,
  saturation: float = 0.3,
  hue: float = 0.05,
) -> Transform:
  """photometric: brightness, contrast, saturation and hue, each jittered.

  brightness is a shift in units of the full range; contrast and saturation
  are factors 1 +- that; hue is a share of the colour circle.
  """

  def apply(fields: Fields, rng: np.random.Generator) -> Fields:
    shift, gain, sat, turn = rng.uniform(-1, 1, 4)
    # Brightness and contrast are one table; saturation and hue need HSV.
    levels = np.arange(256, dtype=np.float32)
    levels = (levels - 128) * (1 + contrast * gain) + 128
    levels += 255 * brightness * shift
    table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    image = cv2.LUT(np.ascontiguousarray(fields["image"]), table)
    if saturation or hue:
      hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
      circle = np.arange(256, dtype=np.float32)
      hues = np.mod(circle + 256 * hue * turn, 256).astype(np.uint8)
      sats = np.clip(circle * (1 + saturation * sat), 0, 255).astype(np.uint8)
      table = np.stack([hues, sats, np.arange(256, dtype=np.uint8)], -1)
      hsv = cv2.LUT(hsv, table[None])
      image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL)
    return {**fields, "image": image}

  return apply


def _reverse(size: Size, p: float = 0.5) -> Transform:
  """reverse: a clip backwards in time with probability p."""

  def apply(fields: Any, rng: np.random.Generator) -> Any:
    if not isinstance(fields, list):
      raise UserError(
        "transform reverse needs a clip, and this task reads single images: "
        "leave it out of config.data.augment and config.data.eval."
      )
    return reversed_clip(fields) if rng.random() < p else fields

  return apply


def reversed_clip(frames: list[Fields]) -> list[Fields]:
  """The frames backwards; their motions are undone."""
  out = [dict(frame) for frame in frames[::-1]]
  # What now comes before frame i came after it: the way back from there.
  later = [frame["motion"] for frame in frames[:0:-1]]
  back = [np.eye(4), *(np.linalg.inv(m.astype(np.float64)) for m in later)]
  for frame, motion in zip(out, back):
    frame["motion"] = motion.astype(np.float32)
  return out


TRANSFORMS: Mapping[str, Callable[..., Transform]] = {
  "resize": _resize,
  "pad": _pad,
  "crop": _crop,
  "person": _person,
  "random_scale": _random_scale,
  "flip": _flip,
  "transpose": _transpose,
  "rotate": _rotate,
  "photometric": _photometric,
  "reverse": _reverse,
}
OF_CLIPS = {"reverse"}  # the others see the frames one by one


def _factory(name: str) -> Callable[..., Transform]:
  if name not in TRANSFORMS:
    near = difflib.get_close_matches(name, TRANSFORMS, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UserError(
      f"unknown transform {name!r}: expected one of {', '.join(TRANSFORMS)}."
      f"{hint}"
    )
  return TRANSFORMS[name]


def _per_frame(step: Transform) -> Transform:
  """The transform for clips too: every frame gets the same draws."""

  def apply(fields: Any, rng: np.random.Generator) -> Any:
    if not isinstance(fields, list):
      return step(fields, rng)
    start, out = rng.bit_generator.state, []
    for frame in fields:
      rng.bit_generator.state = start
      out.append(step(frame, rng))
    return out

  return apply


def parse(text: str, size: Size) -> Transform:
  """Builds a pipeline from its text form; see the module's docstring.

  Args:
    text: transforms joined by '|', each a name or a call with literals.
    size: (h, w) that the network works at; the default of resize and crop.

  Raises:
    UserError: unknown name, or arguments that it does not take.
  """
  steps: list[Transform] = []
  for part in filter(None, (p.strip() for p in text.split("|"))):
    try:
      node = ast.parse(part, mode="eval").body
      call = node if isinstance(node, ast.Call) else None
      func = call.func if call else node
      args = [ast.literal_eval(a) for a in call.args] if call else []
      kwargs = {
        k.arg: ast.literal_eval(k.value)
        for k in (call.keywords if call else [])
      }
      if not isinstance(func, ast.Name):
        raise ValueError
    except (SyntaxError, ValueError) as e:
      raise UserError(
        f"transform {part!r} cannot be read: write a name or a call with "
        "numbers, such as 'random_scale(0.5, 2)'."
      ) from e
    factory = _factory(func.id)
    try:
      inspect.signature(factory).bind(size, *args, **kwargs)
    except TypeError as e:
      raise UserError(f"transform {part!r}: {e}.") from e
    step = factory(size, *args, **kwargs)
    steps.append(step if func.id in OF_CLIPS else _per_frame(step))

  def apply(fields: Fields, rng: np.random.Generator) -> Fields:
    for step in steps:
      fields = step(fields, rng)
    return fields

  return apply
