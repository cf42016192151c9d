"""Pictures and poses of miniature videos, and how they are read again."""

import cv2
import numpy as np

from jaxseg.data import decode, sources

RNG = np.random.default_rng(0)
KEYS = ("image", "depth", "camera", "motion")


def write(path, array):
  path.parent.mkdir(parents=True, exist_ok=True)
  assert cv2.imwrite(str(path), array)


def picture(size=(12, 16)):
  return RNG.integers(0, 256, (*size, 3), np.uint8)


def pose(t):
  """Turns about y and walks along z."""
  out = np.eye(4)
  c, s = np.cos(0.1 * t), np.sin(0.1 * t)
  out[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
  out[:3, 3] = [0.1 * t, -0.02 * t, 0.5 * t]
  return out


def decoded(spec, place, split, options, index=0):
  source = sources.open_source(spec, split, str(place), KEYS, options)
  frames = decode.decoder_of(spec).frames(
    source[index], lambda: source.name_of(index)
  )
  return source, frames
