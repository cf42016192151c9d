"""Encoders against torchvision and timm: copied weights, the same maps.

The weights travel by the renaming rules, which are thereby tested too.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from jaxseg import encoders
from jaxseg.weights import rule
from jaxseg.weights.rules import RULES

pytestmark = pytest.mark.parity

# Encoder: family of the rules, side of the image, fields of the classifier.
# Fully connected layers on a map want 224 pixels.
CASES = {
  "alexnet": ("alexnet", (224, 224), None),
  "mobilenet_v2": ("mobilenet_v2", (65, 97), {}),
  "mobilenet_v3_large": ("mobilenet_v3", (65, 97), {"hidden": 1280}),
  "mobilenet_v3_small": ("mobilenet_v3", (65, 97), {"hidden": 1024}),
  "resnet18": ("resnet", (65, 97), {}),
  "resnet50": ("resnet", (65, 97), {}),
  "resnext50_32x4d": ("resnet", (65, 97), {}),
  "vgg16_bn": ("vgg16_bn", (224, 224), None),
}


def classifier(name, fields):
  """The classifier of an encoder; of a family's own without fields."""
  encoder = encoders.ENCODERS[name]()
  if fields is not None:
    return encoders.Classifier(encoder, **fields)
  if name == "alexnet":
    return encoders.AlexNetClassifier(encoder)
  return encoders.VGGClassifier(encoder)


def randomized(module):
  """Random affine and running statistics, else they would be 1 and 0; and
  kernels under which the image is still to be seen in the last map."""
  import torch

  torch.manual_seed(0)
  for m in module.modules():
    if isinstance(m, torch.nn.BatchNorm2d):
      torch.nn.init.uniform_(m.weight, 0.5, 1.5)
      torch.nn.init.normal_(m.bias, std=0.1)
      torch.nn.init.normal_(m.running_mean, std=0.1)
      torch.nn.init.uniform_(m.running_var, 0.5, 2.0)
    if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear)):
      torch.nn.init.normal_(m.weight, std=(2 / m.weight[0].numel()) ** 0.5)
  return module.eval()


def renamed(module, rules):
  """The state of a torch module as our variables."""
  state = {k: v.numpy() for k, v in module.state_dict().items()}
  return traverse_util.unflatten_dict(rule.rename(rules, state), sep="/")


def check_tree(ours, variables, shape):
  """Names and shapes of the model, not one more or less."""
  want = jax.eval_shape(
    lambda x: ours.init(jax.random.key(0), x, train=False),
    jax.ShapeDtypeStruct(shape, jnp.float32),
  )
  got = jax.tree.map(lambda x: x.shape, variables)
  assert got == jax.tree.map(lambda x: x.shape, dict(want))


def planes(image):
  """(b, h, w, 3) in [0, 1] -> normalised (b, 3, h, w) for torch."""
  import torch

  x = (image - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
  return torch.tensor(x.astype(np.float32)).permute(0, 3, 1, 2)


def check_same(got, want):
  """To 1e-4 of the largest value, where the two images give two results."""
  scale = np.abs(want).max()
  assert got.shape == want.shape
  assert np.abs(want[0] - want[1]).max() > 1e-2 * scale
  assert np.abs(got - want).max() < 1e-4 * scale


def picture(*size):
  """Noise, and darker noise: (2, *size, 3)."""
  image = np.random.default_rng(0).random((2, *size, 3), np.float32)
  return image * np.array([1, 0.3], np.float32)[:, None, None, None]


def check_maps(ours, variables, image, wants):
  """Maps of ours against {name: torch's}, to 1e-4 of the largest value."""
  check_tree(ours, variables, image.shape)
  got = jax.jit(lambda v, x: ours.apply(v, x, train=False))(variables, image)
  for name, want in wants.items():
    check_same(got[name], want.permute(0, 2, 3, 1).numpy())


@pytest.mark.parametrize("name", sorted(CASES))
def test_logits(name, torchvision):
  import torch

  family, size, fields = CASES[name]
  theirs = randomized(getattr(torchvision.models, name)(weights=None))
  rules = RULES["torchvision", family](target="encoder/", classifier=True)
  variables = renamed(theirs, rules)
  ours = classifier(name, fields)
  image = picture(*size)
  check_tree(ours, variables, image.shape)
  with torch.no_grad():
    want = theirs(planes(image)).numpy()
  got = jax.jit(lambda v, x: ours.apply(v, x, train=False))(variables, image)
  check_same(got, want)


@pytest.mark.parametrize(
  "name", ["vgg16", "vgg19", "vgg19_bn", "resnet34", "resnet101"]
)
def test_rules_of_the_trunk_fit(name, torchvision):
  """Arrays and names; the head is dropped, a prefix is looked through."""
  theirs = getattr(torchvision.models, name)(weights=None)
  family = name if name[:3] == "vgg" else "resnet"
  rules = RULES["torchvision", family](r"net\.", "encoder/")
  state = {f"net.{k}": v.numpy() for k, v in theirs.state_dict().items()}
  paths = rule.rename(rules, state)
  tree = traverse_util.unflatten_dict(paths, sep="/")
  assert all(v.keys() == {"encoder"} for v in tree.values())
  ours = encoders.ENCODERS[name]()
  variables = {k: v["encoder"] for k, v in tree.items()}
  check_tree(ours, variables, (1, 64, 64, 3))


@pytest.mark.parametrize("output_stride", [16, 8])
def test_dilated_resnet(output_stride, torchvision):
  """The trunk below torchvision's segmentation networks, every stage."""
  import torch
  from torchvision.models import _utils

  theirs = torchvision.models.resnet50(
    weights=None,
    replace_stride_with_dilation=[False, output_stride == 8, True],
  )
  stages = {"relu": "c1"} | {f"layer{k}": f"c{k + 1}" for k in range(1, 5)}
  theirs = _utils.IntermediateLayerGetter(randomized(theirs), stages)
  variables = renamed(theirs, RULES["torchvision", "resnet"]())
  ours = encoders.ENCODERS["resnet50"](output_stride=output_stride)
  image = picture(65, 97)
  with torch.no_grad():
    wants = theirs(planes(image))
  check_maps(ours, variables, image, wants)


def test_dilated_mobilenet_v3(torchvision):
  """The trunk below torchvision's LR-ASPP: its low map is block 4's."""
  import torch
  from torchvision.models import _utils

  theirs = torchvision.models.mobilenet_v3_large(weights=None, dilated=True)
  theirs = _utils.IntermediateLayerGetter(
    randomized(theirs).features, {"4": "b4", "16": "c5"}
  )
  variables = renamed(theirs, RULES["torchvision", "mobilenet_v3"]())
  ours = encoders.ENCODERS["mobilenet_v3_large"](
    output_stride=16, dilate_first=True
  )
  image = picture(65, 97)
  with torch.no_grad():
    wants = theirs(planes(image))
  check_maps(ours, variables, image, wants)


@pytest.mark.parametrize("output_stride", [32, 16, 8])
@pytest.mark.parametrize("name", ["resnet34", "mobilenet_v2"])
def test_smp(name, output_stride, torchvision):
  """segmentation_models_pytorch: five maps, first blocks dilated too."""
  import torch
  from segmentation_models_pytorch import encoders as smp

  theirs = smp.get_encoder(name, weights=None, output_stride=output_stride)
  theirs = randomized(theirs)
  family = "mobilenet_v2" if name == "mobilenet_v2" else "resnet"
  variables = renamed(theirs, RULES["torchvision", family]())
  ours = encoders.ENCODERS[name](output_stride=output_stride, dilate_first=True)
  image = picture(64, 96)
  with torch.no_grad():
    wants = theirs(planes(image))
  wants = {f"c{k}": want for k, want in enumerate(wants) if k}
  assert len(wants) == 5
  check_maps(ours, variables, image, wants)


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d"])
def test_timm(name, torchvision):
  """timm dilates as torchvision does, basic blocks too (strides in conv1)."""
  import timm
  import torch

  theirs = timm.create_model(name, features_only=True, output_stride=8)
  theirs = randomized(theirs)
  rules = RULES["timm", "resnet"]()
  variables = renamed(theirs, rules)
  ours = encoders.ENCODERS[name](output_stride=8)
  image = picture(65, 97)
  with torch.no_grad():
    wants = theirs(planes(image))
  check_maps(
    ours, variables, image, {f"c{k}": x for k, x in enumerate(wants, 1)}
  )
