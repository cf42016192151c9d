"""Frames in order: windows into sequences, and the motion between frames.

A data set keeps its sequences in one of two ways (`DatasetSpec.sequences`):
'frames', a record per frame, in order, with the lengths of the sequences in
the builder's metadata; 'clips', a record per clip, every feature with a
leading time axis. Either way it is a source of frames here, and an example of
a task that reads `motion` is a list of them, taken `step` frames apart.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxseg.ops import motion as rigid
from jaxseg.types import UserError

Window = tuple[int, ...]  # positions of frames in their source


@dataclasses.dataclass(frozen=True)
class ClipOptions:
  """How sequences are cut into clips.

  Attributes:
    frames: of a clip, at least 2.
    step: 1 takes neighbours, 2 every other frame ...
    overlap: a clip starts at every frame, for training; else no frame is in
      two clips, and what is left at the end of a sequence is not used.
  """

  frames: int = 4
  step: int = 1
  overlap: bool = True

  def __post_init__(self):
    if self.frames < 2 or self.step < 1:
      raise UserError(
        f"clips of config.data.frames = {self.frames}, config.data.step = "
        f"{self.step}: expected at least 2 frames, and a step of at least 1."
      )


def windows(lengths: Sequence[int], options: ClipOptions) -> list[Window]:
  """The clips of sequences that follow one another in a source of frames.

  Without overlap and with a step of k a sequence becomes k interleaved ones,
  each of which is cut into clips: no frame is lost to the step.

  Raises:
    UserError: no sequence is long enough.
  """
  n, k = options.frames, options.step
  reach = (n - 1) * k + 1
  out: list[Window] = []
  first = 0
  for length in lengths:
    if options.overlap:
      starts = list(range(length - reach + 1))
    else:
      starts = [
        phase + at * k
        for phase in range(min(k, length))
        for at in range(0, len(range(phase, length, k)) - n + 1, n)
      ]
    out += [
      tuple(range(first + s, first + s + reach, k)) for s in sorted(starts)
    ]
    first += length
  if not out:
    raise UserError(
      f"clips of {n} frames, {k} apart, need sequences of at least {reach} "
      f"frames, and the longest has {max(lengths, default=0)}: lower "
      "config.data.frames, config.data.eval_frames or config.data.step."
    )
  return out


def later(clips: Sequence[Window]) -> list[int]:
  """The frames of clips but for the first of each, in order.

  What temporal depth is evaluated on, for those who see single images.
  """
  return sorted({frame for clip in clips for frame in clip[1:]})


def motions(poses: np.ndarray, where: str = "pose") -> np.ndarray:
  """World from camera (t, 4, 4) -> previous camera from this one, float32.

  The first is the identity.

  Raises:
    UserError: a pose that is no rotation and shift.
  """
  rigid.validate_motion(poses, where)
  poses = np.asarray(poses, np.float64)
  out = np.tile(np.eye(4), (len(poses), 1, 1))
  out[1:] = np.linalg.inv(poses[:-1]) @ poses[1:]
  return out.astype(np.float32)


@dataclasses.dataclass(frozen=True)
class FramesOfClips:
  """A source of clip records as a source of their frames.

  Attributes:
    clips: records whose arrays have a leading time axis.
    length: frames of a record.
  """

  clips: Any
  length: int

  def __post_init__(self):
    # The frames of a clip are asked for one after another.
    cached = functools.lru_cache(maxsize=8)(self.clips.__getitem__)
    object.__setattr__(self, "_record", cached)

  def __len__(self) -> int:
    return len(self.clips) * self.length

  def __getitem__(self, index: int) -> dict[str, Any]:
    record, frame = divmod(index, self.length)
    return {key: value[frame] for key, value in self._record(record).items()}

  def name_of(self, index: int) -> str:
    """The clip's name and the number of the frame."""
    record, frame = divmod(index, self.length)
    return f"{self.clips.name_of(record)} frame {frame}"


@dataclasses.dataclass(frozen=True)
class SomeFrames:
  """Some frames of a source, as single examples."""

  frames: Any
  chosen: Sequence[int]

  def __len__(self) -> int:
    return len(self.chosen)

  def __getitem__(self, index: int) -> dict[str, Any]:
    return self.frames[self.chosen[index]]

  def name_of(self, index: int) -> str:
    """The frame's own name."""
    return self.frames.name_of(self.chosen[index])


@dataclasses.dataclass(frozen=True)
class ClipSource:
  """Clips: source[i] is a list of raw frames, `motion` in place of `pose`."""

  frames: Any
  clips: Sequence[Window]

  def __len__(self) -> int:
    return len(self.clips)

  def __getitem__(self, index: int) -> list[dict[str, Any]]:
    raw = [dict(self.frames[at]) for at in self.clips[index]]
    poses = np.stack([np.asarray(frame.pop("pose")) for frame in raw])
    moved = motions(poses, f"pose of {self.name_of(index)}")
    return [{**frame, "motion": m} for frame, m in zip(raw, moved)]

  def name_of(self, index: int) -> str:
    """The name of the first frame, and how many there are."""
    clip = self.clips[index]
    return f"{self.frames.name_of(clip[0])} and {len(clip) - 1} more"
