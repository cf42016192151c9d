"""torchvision, for the parity tests.

Some torchvision wheels are CUDA builds whose compiled operators do not load
beside a CPU-only torch; what the parity tests read of torchvision is Python.
"""

import warnings

import pytest


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
