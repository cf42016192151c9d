"""Networks of segmentation_models_pytorch, weights copied by the rules."""

import jax
import numpy as np
import pytest

from benchmarks.peers import randomize
from jaxseg.encoders import ENCODERS
from jaxseg.models import KIT
from jaxseg.weights.rules import RULES
from tests.parity.transplant import (
  difference,
  picture,
  run_ours,
  run_theirs,
  transplant,
)

pytestmark = pytest.mark.parity

# decoder, their name, encoder, stride of the padding
CASES = {
  "unet, resnet34": ("unet", "Unet", "resnet34", 32),
  "unet, vgg16_bn": ("unet", "Unet", "vgg16_bn", 32),
  "linknet, resnet34": ("linknet", "Linknet", "resnet34", 32),
  "fpn, resnet50": ("fpn", "FPN", "resnet50", 32),
  "pspnet, resnet50": ("pspnet", "PSPNet", "resnet50", 8),
  "deeplabv3, resnet18": ("deeplabv3", "DeepLabV3", "resnet18", 8),
  "deeplabv3plus, resnet50": ("deeplabv3plus", "DeepLabV3Plus", "resnet50", 16),
  "deeplabv3plus, mobilenet_v2": (
    "deeplabv3plus",
    "DeepLabV3Plus",
    "mobilenet_v2",
    16,
  ),
}


def padded(image, stride):
  """The last row and column repeated, as our networks do inside."""
  h, w = image.shape[1:3]
  ends = ((0, 0), (0, -h % stride), (0, -w % stride), (0, 0))
  return np.pad(image, ends, mode="edge")


@pytest.mark.parametrize("case", sorted(CASES))
def test_network(case, torchvision):
  import segmentation_models_pytorch as smp

  decoder, theirs, encoder, stride = CASES[case]
  theirs = getattr(smp, theirs)(encoder, encoder_weights=None, classes=5)
  randomize(theirs)
  family = "resnet" if encoder.startswith("resnet") else encoder
  dilated = {"dilate_first": True} if decoder.startswith("deeplab") else {}
  ours = KIT[decoder](
    outputs={"logits": 5}, encoder=ENCODERS[encoder](**dilated)
  )
  rules = RULES["smp", decoder](encoder=RULES["torchvision", family])
  variables = transplant(theirs, rules, ours)
  for size in ((64, 96), (97, 129)):
    image = picture(*size)
    want = run_theirs(theirs, padded(image, stride))["out"]
    want = want[:, : size[0], : size[1]]
    got = run_ours(ours, variables, image)["logits"]
    error = difference(got, want)
    print(f"{case} {size}: {error:.1e}")
    assert error <= 3e-5


def test_plain_dilation_is_another_function(torchvision):
  """Without `dilate_first` the same weights give other logits than smp's."""
  ours = {
    first: KIT["deeplabv3plus"](
      outputs={"logits": 2},
      encoder=ENCODERS["resnet18"](width=4, dilate_first=first),
      width=8,
    )
    for first in (True, False)
  }
  image = picture(64, 64)
  variables = jax.jit(
    lambda: ours[True].init(jax.random.key(0), image, train=False)
  )()
  a, b = (run_ours(m, variables, image)["logits"] for m in ours.values())
  assert np.abs(a - b).max() > 1e-3
