"""U-Net and VGG against torch modules that hold the same weights."""

import jax
import numpy as np
import pytest

from jaxseg import encoders
from jaxseg.models import unet

pytestmark = pytest.mark.parity


def tensor(x):
  import torch

  return torch.tensor(np.array(x))


def load_conv(layer, params):
  """HWIO -> OIHW."""
  layer.weight.data = tensor(params["kernel"]).permute(3, 2, 0, 1).contiguous()
  layer.bias.data = tensor(params["bias"])


def load_norm(layer, params, stats):
  layer.weight.data = tensor(params["scale"])
  layer.bias.data = tensor(params["bias"])
  layer.running_mean.data = tensor(stats["mean"])
  layer.running_var.data = tensor(stats["var"])


def run_unet(variables, image, *, depth, valid):
  """The net of the paper in torch.nn.functional, from our variables."""
  from torch.nn import functional as f

  params, stats = variables["params"], variables.get("batch_stats", {})

  def block(x, name):
    p = params[name]
    w = tensor(p["conv"]["kernel"]).permute(3, 2, 0, 1)
    bias = tensor(p["conv"]["bias"]) if "bias" in p["conv"] else None
    x = f.conv2d(x, w, bias, padding=0 if valid else 1)
    if "norm" in p:
      s = stats[name]["norm"]
      x = f.batch_norm(
        x,
        tensor(s["mean"]),
        tensor(s["var"]),
        tensor(p["norm"]["scale"]),
        tensor(p["norm"]["bias"]),
        eps=1e-5,
      )
    return f.relu(x)

  def double(x, name):
    return block(block(x, f"{name}_conv1"), f"{name}_conv2")

  import torch

  x = tensor(image).permute(0, 3, 1, 2)
  skips = []
  for level in range(depth):
    x = double(x, f"down{level}")
    skips.append(x)
    x = f.max_pool2d(x, 2)
  x = double(x, "bottom")
  for level in reversed(range(depth)):
    p = params[f"up{level}_up"]
    w = np.array(p["kernel"])[::-1, ::-1].transpose(2, 3, 0, 1).copy()
    size = 2 * x.shape[-2], 2 * x.shape[-1]
    x = f.conv_transpose2d(x, tensor(w), tensor(p["bias"]), stride=2)
    x = x[..., : size[0], : size[1]]  # SAME drops the last of 2 n + 1
    skip = skips[level]
    top = (skip.shape[-2] - size[0]) // 2
    left = (skip.shape[-1] - size[1]) // 2
    skip = skip[..., top : top + size[0], left : left + size[1]]
    x = double(torch.cat([x, skip], 1), f"up{level}")
  p = params["head_logits"]
  x = f.conv2d(x, tensor(p["kernel"]).permute(3, 2, 0, 1), tensor(p["bias"]))
  return x.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize(
  "options",
  [
    {},
    {"up": "tconv3"},
    {"norm": "batch"},
    {"norm": "batch", "conv_bias": True},
    {"padding": "valid", "mirror": False},
  ],
)
def test_unet(options, random_variables):
  model = unet.UNet({"logits": 5}, width=8, depth=3, **options)
  valid = "padding" in options
  shape = (2, 92, 100, 3) if valid else (2, 32, 48, 3)
  image = np.random.default_rng(0).random(shape, np.float32)
  variables = random_variables(model, image)
  got = jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, image)
  want = run_unet(variables, image, depth=3, valid=valid)
  assert np.abs(want).max() > 0.1
  np.testing.assert_allclose(got["logits"], want, atol=1e-4)


@pytest.mark.parametrize("name", ["vgg16", "vgg19_bn"])
def test_vgg(name, random_variables, torchvision):
  import torch

  theirs = getattr(torchvision.models, name)(weights=None).eval().features
  ours = encoders.ENCODERS[name]()
  image = np.random.default_rng(0).random((1, 64, 80, 3), np.float32)
  variables = random_variables(ours, image)
  params = variables["params"]
  convs = [m for m in theirs if isinstance(m, torch.nn.Conv2d)]
  norms = [m for m in theirs if isinstance(m, torch.nn.BatchNorm2d)]
  names = [n for n in params if n.startswith("conv")]
  names.sort(key=lambda n: tuple(map(int, n[4:].split("_"))))
  for layer, key in zip(convs, names, strict=True):
    load_conv(layer, params[key])
  for layer, key in zip(norms, names):
    key = key.replace("conv", "norm")
    load_norm(layer, params[key], variables["batch_stats"][key])
  mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
  x = tensor(((image - mean) / std).astype(np.float32)).permute(0, 3, 1, 2)
  wants = []
  with torch.no_grad():
    for layer in theirs:
      x = layer(x)
      if isinstance(layer, torch.nn.MaxPool2d):
        wants.append(x.permute(0, 2, 3, 1).numpy())
  got = jax.jit(lambda v, x: ours.apply(v, x, train=False))(variables, image)
  assert len(wants) == 5
  for k, want in enumerate(wants, 1):
    error = np.abs(got[f"p{k}"] - want).max() / np.abs(want).max()
    assert error < 1e-4
