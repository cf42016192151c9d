"""What the methods that run without a network take for a picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from jaxseg import types


def check(images: np.ndarray, *, rgb: bool = False) -> tuple[np.ndarray, bool]:
  """Pictures as float32 (b, h, w, c), and whether only one was given.

  Args:
    images: float (b, h, w, c) or (h, w, c), finite.
    rgb: three channels are wanted.

  Raises:
    UserError: another shape, no floats, or values that are not finite.
  """
  images = np.asarray(images)
  channels = "3" if rgb else "channels"
  if (
    images.ndim not in (3, 4)
    or not images.size
    or (rgb and images.shape[-1] != 3)
  ):
    raise types.UserError(
      f"pictures of shape {images.shape} were given; expected (batch, height,"
      f" width, {channels}) or (height, width, {channels}), values in [0, 1]."
    )
  if images.dtype.kind != "f" or not np.isfinite(images).all():
    raise types.UserError(
      f"pictures of {images.dtype} were given that are not finite floats;"
      " expected values in [0, 1]: divide bytes by 255, fill in what is"
      " missing."
    )
  single = images.ndim == 3
  return (images[None] if single else images).astype(np.float32), single


def each(
  function: Callable[[np.ndarray], np.ndarray],
  images: np.ndarray,
  *,
  rgb: bool = False,
) -> np.ndarray:
  """int32 (b, h, w) or (h, w): a function of one picture (h, w, c) for all.

  Raises:
    UserError: as `check`.
  """
  batch, single = check(images, rgb=rgb)
  labels = np.stack([function(image) for image in batch])
  return labels[0] if single else labels


def at_least(least: float = 0.0, **settings: float) -> None:
  """Refuses settings that are below `least` or not finite.

  Raises:
    UserError: names the first.
  """
  for name, value in settings.items():
    if not (np.isfinite(value) and value >= least):
      raise types.UserError(
        f"{name} = {value}; expected a finite number of at least {least:g}."
      )


def above(**settings: float) -> None:
  """Refuses settings that are not above 0, or not finite.

  Raises:
    UserError: names the first.
  """
  for name, value in settings.items():
    if not (np.isfinite(value) and value > 0):
      raise types.UserError(
        f"{name} = {value}; expected a finite number above 0."
      )
