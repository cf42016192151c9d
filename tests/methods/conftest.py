"""gPb without its cues, records without a data set."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from jaxseg import methods, unlearned
from tests.methods.pictures import bands


@pytest.fixture
def easy(monkeypatch):
  """gPb of a picture's own steps: its cues take a minute to compile."""

  def gpb(image, *, shrink, solve=None):
    del shrink, solve
    grey = methods.contours.pipeline.check(image)
    sides = []
    for axis in (0, 1):
      step = np.diff(grey, axis=axis, append=grey.take([-1], axis))
      step = np.abs(step).max(-1)
      # Two pixels wide, the first a little stronger.
      sides.append(np.maximum(step, 0.9 * np.roll(step, 1, axis)))
    dy, dx = sides
    angle = np.pi * np.arange(8) / 8
    out = dy[..., None] * np.cos(angle) ** 2
    out = np.maximum(out, dx[..., None] * np.sin(angle) ** 2)
    rough = np.random.default_rng(0).random(image.shape[:2])
    return out + 1e-4 * ndimage.gaussian_filter(rough, 1)[..., None]

  monkeypatch.setattr(methods.contours.pipeline, "gpb", gpb)


@pytest.fixture
def records(monkeypatch):
  """Three pictures as records hold them; `records.example` says which."""

  class Source:
    example = bands()

    def __len__(self):
      return 3

    def __getitem__(self, index):
      def png(array):
        return cv2.imencode(".png", np.ascontiguousarray(array))[1].tobytes()

      return {
        "image": png(self.example["image"][..., ::-1]),
        "regions": png(self.example["regions"].reshape(-1, 56)),
        "boundaries": png(
          self.example["boundaries"].reshape(-1, 56).astype(np.uint8)
        ),
      }

    def name_of(self, index):
      return f"example {index}"

  monkeypatch.setattr(unlearned.sources, "open_source", lambda *rest: Source())
  return Source
