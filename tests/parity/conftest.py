"""Random variables without compiling an initialiser, and torchvision.

Some torchvision wheels are CUDA builds whose compiled operators do not load
beside a CPU-only torch; what the parity tests read of torchvision is Python.
"""

import warnings

import jax
import numpy as np
import pytest


@pytest.fixture(scope="session")
def random_variables():
  """fn(model, image) -> variables: He-normal kernels, small biases."""

  def fill(model, image, seed=0):
    rng = np.random.default_rng(seed)

    def leaf(path, x):
      if path[-1].key == "var":
        return rng.uniform(0.5, 2, x.shape).astype(x.dtype)
      if x.ndim == 1:
        offset = 1.0 if path[-1].key == "scale" else 0.0
        return (offset + 0.1 * rng.normal(size=x.shape)).astype(x.dtype)
      fan_in = np.prod(x.shape[:-1])
      return (rng.normal(size=x.shape) * np.sqrt(2 / fan_in)).astype(x.dtype)

    shapes = jax.eval_shape(
      lambda x: model.init(jax.random.key(0), x, train=False), image
    )
    return jax.tree_util.tree_map_with_path(leaf, shapes)

  return fill


@pytest.fixture(scope="session")
def torchvision():
  """torchvision, importable without its compiled operators."""
  import torch

  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
      import torchvision
    except RuntimeError:
      # Declares the operators that it registers shape rules for.
      library = torch.library.Library("torchvision", "DEF")
      library.define(
        "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
      )
      library.define(
        "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
      )
      import sys

      for name in [n for n in sys.modules if n.startswith("torchvision")]:
        del sys.modules[name]
      import torchvision

      torchvision.jaxseg_library = library  # lives as long as the module
  return torchvision
