"""What a config says of clips: how sequences are cut, what a stream needs."""

from __future__ import annotations

from ml_collections import ConfigDict

from jaxseg.data import sequences
from jaxseg.types import UserError


def options(
  config: ConfigDict, keys: tuple[str, ...], *, training: bool
) -> sequences.ClipOptions | None:
  """How sequences are cut; None for single images, all of them."""
  data = config.data
  moving = "motion" in keys
  if data.frames is None and not moving:
    if data.step != 1 or data.eval_frames:
      raise UserError(
        "config.data.step and eval_frames are of clips, and neither does the "
        "task read clips nor is config.data.frames set: set it, or leave them."
      )
    return None
  if training and not moving:
    return None  # every frame is an example
  frames = data.frames or 4
  if not training:
    frames = data.eval_frames or frames
  return sequences.ClipOptions(frames, data.step, overlap=training)
