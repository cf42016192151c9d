"""Pictures with an answer, and the configs of methods."""

import importlib.util
import pathlib

import numpy as np
from scipy import ndimage

from jaxseg import methods

ROOT = pathlib.Path(__file__).parents[2]
CONFIGS = {name: f"{name}_bsds" for name in methods.METHODS}
OF_TASK = {"boundaries": "unet_lite0_bsds", "superpixels": "ssn_bsds"}
CONFIGS |= {name: OF_TASK[task] for name, task in methods.OF_TASK.items()}


def module_of(stem):
  """A file of configs/ as a module."""
  path = ROOT / "configs" / f"{stem}.py"
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def config_of(name):
  """The config of a method."""
  return module_of(CONFIGS[name]).get_config()


def quarters(shape=(40, 56)):
  """Four flat quarters: the picture, its regions and its boundaries."""
  h, w = shape
  y, x = np.mgrid[:h, :w]
  regions = 2 * (y >= h // 2) + (x >= w // 2)
  colors = np.array([[20, 30, 200], [220, 60, 40], [40, 200, 60], [240] * 3])
  lines = np.zeros(shape, bool)
  lines[h // 2 - 1], lines[:, w // 2 - 1] = True, True
  return {
    "image": colors.astype(np.uint8)[regions],
    "regions": np.stack([regions, regions]).astype(np.uint8),
    "boundaries": np.stack([lines, lines]),
  }


def bands(shape=(40, 56)):
  """Three flat bands side by side, as `quarters`."""
  regions = np.zeros(shape, int)
  regions[:, 20:], regions[:, 39:] = 1, 2
  lines = np.zeros(shape, bool)
  lines[:, [19, 38]] = True
  colors = np.array([[20, 30, 200], [220, 60, 40], [40, 200, 60]])
  return {
    "image": colors.astype(np.uint8)[regions],
    "regions": np.stack([regions, regions]).astype(np.uint8),
    "boundaries": np.stack([lines, lines]),
  }


def soft_lines(image):
  """float32 (h, w): 0.8 where two colours meet, falling off to the sides."""
  grey = image.astype(np.float32).sum(-1)
  step = sum(
    np.abs(np.diff(grey, axis=a, append=grey.take([-1], a))) for a in (0, 1)
  )
  far = ndimage.distance_transform_edt(step == 0)
  return (0.8 * np.exp(-((far / 1.5) ** 2))).astype(np.float32)


def crumbs(image):
  """int32 (h, w): the flat bands of `bands` with a pixel of each in the next,
  which is a piece of its own."""
  grey = image.astype(np.int32).sum(-1)
  segments = np.unique(grey, return_inverse=True)[1].reshape(grey.shape)
  segments[5, 10], segments[9, 30] = segments[5, 30], segments[9, 10]
  return segments.astype(np.int32)
