"""EfficientNet and Xception against timm and smp: copied weights, same maps.

The weights travel by the renaming rules, which are thereby tested too.
"""

import numpy as np
import pytest

from benchmarks.peers import randomize
from jaxseg import encoders
from jaxseg.weights.rules import RULES
from tests.parity.transplant import picture, run_ours, transplant

pytestmark = pytest.mark.parity

MEANS = {
  "imagenet": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
  "inception": ([0.5] * 3, [0.5] * 3),
}
TIMM = {
  "tf_efficientnet_lite0": ("efficientnet", "efficientnet_lite0"),
  "tf_efficientnet_b0": ("efficientnet", "efficientnet_b0"),
  "xception41": ("aligned_xception", "xception41"),
  "legacy_xception": ("xception", "xception"),
}
# timm's copy of Chollet's weights came by way of torch.
FIELDS = {"legacy_xception": {"valid_stem": True, "epsilon": 1e-5}}


def awake(module):
  """Random weights that let the image through to the last map.

  The references start depthwise kernels so small that it would not get there.
  """
  import torch

  randomize(module)
  for m in module.modules():
    if isinstance(m, torch.nn.Conv2d):
      torch.nn.init.kaiming_normal_(m.weight, mode="fan_in")
  return module


def pictures(*size):
  """Two images, one of them of low contrast."""
  return picture(*size) * np.float32([1, 0.2])[:, None, None, None]


def run(module, image, normalization):
  """(b, h, w, 3) in [0, 1] -> what torch gives, maps with channels last."""
  import torch

  mean, std = MEANS[normalization]
  x = torch.tensor(((image - mean) / std).astype(np.float32))
  with torch.no_grad():
    out = module(x.permute(0, 3, 1, 2))
  if isinstance(out, list):
    return [v.permute(0, 2, 3, 1).numpy() for v in out]
  return out.numpy()


def relative(got, want):
  assert got.shape == want.shape
  # Far from constant, so that a shift or a mixed channel would be seen.
  assert want.std() > 0.05 * np.abs(want).max()
  return np.abs(np.asarray(got) - want).max() / np.abs(want).max()


@pytest.mark.parametrize("name", sorted(TIMM))
def test_logits(name, torchvision):
  import timm

  family, ours = TIMM[name]
  theirs = awake(timm.create_model(name))
  encoder = encoders.ENCODERS[ours](**FIELDS.get(name, {}))
  head = encoders.Classifier
  if family == "efficientnet":
    head = encoders.EfficientNetClassifier
  model = head(encoder)
  rules = RULES["timm", family](target="encoder/", classifier=True)
  variables = transplant(theirs, rules, model)
  image = pictures(65, 97)
  want = run(theirs, image, encoder.normalization)
  got = run_ours(model, variables, image)
  # The images of a batch differ, or nothing but the biases was compared.
  assert np.abs(want[0] - want[1]).max() > 1e-3 * np.abs(want).max()
  error = relative(got, want)
  print(f"{name}: {error:.1e}")
  assert error <= 1e-4


@pytest.mark.parametrize("output_stride", [32, 16, 8])
@pytest.mark.parametrize(
  "name", ["tf_efficientnet_lite0", "tf_efficientnet_b0", "xception41"]
)
def test_maps(name, output_stride, torchvision):
  import timm

  family, ours = TIMM[name]
  theirs = awake(timm.create_model(name, output_stride=output_stride))
  fields = {"c1": "last"} if family == "efficientnet" else {}
  encoder = encoders.ENCODERS[ours](output_stride=output_stride, **fields)
  rules = RULES["timm", family]()
  variables = transplant(theirs, rules, encoder)
  image = pictures(96, 66)
  wants = run(
    lambda x: theirs.forward_intermediates(x, intermediates_only=True),
    image,
    encoder.normalization,
  )
  got = run_ours(encoder, variables, image)
  assert sorted(got) == [f"c{k}" for k in range(1, 6)]
  for k, want in enumerate(wants, 1):
    x = got[f"c{k}"]
    # timm taps aligned Xception behind the ReLU, DeepLab before it.
    x = np.maximum(x, 0) if family == "aligned_xception" else x
    error = relative(x, want)
    print(f"{name} {output_stride} c{k}: {error:.1e}")
    assert error <= 1e-4


@pytest.mark.parametrize(
  ("name", "output_stride"),
  # B0 is left out: smp takes its c4 from a block before the last of 112.
  # B1 is meant for 240 pixels, one of its strides for 15: an odd size.
  [("efficientnet-b1", 32), ("efficientnet-b1", 8), ("xception", 32)],
)
def test_smp(name, output_stride, torchvision):
  from segmentation_models_pytorch import encoders as smp

  theirs = smp.get_encoder(name, weights=None, output_stride=output_stride)
  ours = name.replace("-", "_")
  fields = {"padding": "static", "dilate_first": True}
  if name == "xception":
    fields = {"epsilon": 1e-5}
  encoder = encoders.ENCODERS[ours](output_stride=output_stride, **fields)
  rules = RULES["smp", ours]()
  variables = transplant(awake(theirs), rules, encoder)
  image = pictures(64, 96)
  _, *wants = run(theirs, image, encoder.normalization)
  got = run_ours(encoder, variables, image)
  assert len(wants) == len(got) == 5
  for k, want in enumerate(wants, 1):
    if (name, k) == ("xception", 5):
      want = np.maximum(want, 0)  # smp leaves the last ReLU out
    error = relative(got[f"c{k}"], want)
    print(f"smp {name} {output_stride} c{k}: {error:.1e}")
    assert error <= 1e-4


def test_torch_padding(torchvision):
  """timm's efficientnet_b0: torch's padding and epsilon."""
  import timm

  theirs = awake(timm.create_model("efficientnet_b0"))
  encoder = encoders.ENCODERS["efficientnet_b0"](padding="torch", epsilon=1e-5)
  model = encoders.EfficientNetClassifier(encoder)
  rules = RULES["timm", "efficientnet"](target="encoder/", classifier=True)
  variables = transplant(theirs, rules, model)
  image = pictures(64, 96)
  error = relative(
    run_ours(model, variables, image), run(theirs, image, "imagenet")
  )
  assert error <= 1e-4
