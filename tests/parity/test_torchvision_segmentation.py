"""Segmentation networks of torchvision, weights copied by the rules."""

import jax
import numpy as np
import pytest
from flax import traverse_util

from benchmarks.peers import randomize
from jaxseg.models import MODELS, backbone
from jaxseg.models.decoders.fpn import FeaturePyramid
from jaxseg.weights import rule
from jaxseg.weights.rules import RULES
from tests.parity.transplant import (
  difference,
  picture,
  run_ours,
  run_theirs,
  transplant,
)

pytestmark = pytest.mark.parity

NETWORKS = {
  "fcn_resnet50": "fcn_resnet",
  "deeplabv3_resnet50": "deeplabv3",
  "deeplabv3_mobilenet_v3_large": "deeplabv3_mobilenet_v3",
  "lraspp_mobilenet_v3_large": "lraspp",
}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_network(name, torchvision):
  make = getattr(torchvision.models.segmentation, name)
  options = {} if name.startswith("lraspp") else {"aux_loss": True}
  theirs = make(weights=None, weights_backbone=None, num_classes=5, **options)
  randomize(theirs)
  ours = MODELS[name](outputs={"logits": 5})
  rules = RULES["torchvision", NETWORKS[name]]()
  variables = transplant(theirs, rules, ours)
  for size in ((65, 97), (97, 129)):
    image = picture(*size)
    want = run_theirs(theirs, image)
    got = run_ours(ours, variables, image)
    assert set(got) == {"logits"}  # the auxiliary head is for training
    error = difference(got["logits"], want["out"])
    print(f"{name} {size}: {error:.1e}")
    assert error <= 3e-5
  if options:
    got = run_auxiliary(ours, variables, image)
    assert difference(got, want["aux"]) <= 3e-5


def run_auxiliary(model, variables, image):
  """The auxiliary head in evaluation, on the map that the network gives it."""

  @jax.jit
  def run(variables):
    def part(name):
      return {k: v[name] for k, v in variables.items()}

    maps = model.encoder.apply(part("encoder"), image, train=False)
    at = maps[getattr(model, "aux_at", "c4")]
    head = backbone.FCNHead(model.outputs)
    out = head.apply(part("aux"), at, train=False)
    return backbone.grown(out, image.shape[1:3])["logits"]

  return run(variables)


def test_feature_pyramid(torchvision):
  """Sizes rounded up: torch's nearest is repetition, cropped."""
  import torch

  channels = (4, 6, 8, 10)
  theirs = torchvision.ops.FeaturePyramidNetwork(
    channels,
    12,
    extra_blocks=torchvision.ops.feature_pyramid_network.LastLevelMaxPool(),
  )
  for p in theirs.parameters():
    torch.nn.init.normal_(p, std=0.3)
  rules = RULES["torchvision", "feature_pyramid"]()
  state = {k: v.numpy() for k, v in theirs.state_dict().items()}
  variables = traverse_util.unflatten_dict(rule.rename(rules, state), sep="/")
  rng = np.random.default_rng(0)
  ours = FeaturePyramid(12, extra=True)
  for h, w in ((32, 48), (25, 33)):
    maps = {}
    for k, c in enumerate(channels, 2):
      maps[f"c{k}"] = rng.normal(size=(2, h, w, c)).astype(np.float32)
      h, w = -(-h // 2), -(-w // 2)
    planes = {k: torch.tensor(x).permute(0, 3, 1, 2) for k, x in maps.items()}
    with torch.no_grad():
      wants = list(theirs(planes).values())
    got = jax.jit(ours.apply)(variables, maps)
    assert list(sorted(got)) == ["p2", "p3", "p4", "p5", "p6"]
    for key, want in zip(sorted(got), wants, strict=True):
      want = want.permute(0, 2, 3, 1).numpy()
      assert difference(got[key], want) <= 1e-5
