"""Files that torch itself wrote, read without it."""

import contextlib
import io
import os

import numpy as np
import pytest

from jaxseg.types import UserError
from jaxseg.weights import convert, families, merge, readers, rule, store

pytestmark = pytest.mark.parity
FORMATS = {"zip": True, "stream": False}


def save(value, path, kind):
  import torch

  torch.save(value, path, _use_new_zipfile_serialization=FORMATS[kind])
  return path


def check_same(got, want):
  """Every array, its dtype too; bfloat16 as float32."""
  import torch

  assert list(got) == list(want)
  for name, tensor in want.items():
    if tensor.dtype == torch.bfloat16:
      tensor = tensor.float()
    array = tensor.detach().numpy()
    assert got[name].dtype == array.dtype
    np.testing.assert_array_equal(got[name], array)


def resnet18(torchvision):
  """Random weights, statistics too."""
  import torch

  torch.manual_seed(0)
  model = torchvision.models.resnet18(weights=None)
  for module in model.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
      torch.nn.init.normal_(module.running_mean)
      torch.nn.init.uniform_(module.running_var, 0.5, 2)
  return model


@pytest.mark.parametrize("kind", FORMATS)
def test_a_network(tmp_path, torchvision, kind):
  want = resnet18(torchvision).state_dict()
  got, _ = readers.read(save(want, tmp_path / "a.pth", kind))
  check_same(got, want)


@pytest.mark.parametrize("kind", FORMATS)
def test_views_and_dtypes(tmp_path, kind):
  import torch

  base = torch.arange(24.0)
  want = {
    "whole": base.view(2, 3, 4),
    "transposed": base.view(4, 6).t(),
    "part": base[5:15:3],
    "expanded": base[3:4].expand(3, 2),
    "scalar": base[7],
    "empty": torch.zeros(0, 3),
    "channels_last": torch.rand(2, 3, 4, 5).to(
      memory_format=torch.channels_last
    ),
    "tied": torch.nn.Parameter(base.view(6, 4)),
    **{
      str(dtype): torch.arange(-2, 3).to(dtype)
      for dtype in (
        torch.float64,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.bool,
        torch.complex64,
      )
    },
  }
  if kind == "zip":
    want["uint16"] = torch.tensor([1, 65535], dtype=torch.uint16)
  got, _ = readers.read(save(want, tmp_path / "a.pth", kind))
  check_same(got, want)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_training_run(tmp_path, kind, protocol):
  """Optimizer, scheduler, Namespace, scalars beside DataParallel's weights."""
  import argparse

  import torch

  model = torch.nn.DataParallel(
    torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
  )
  optimizer = torch.optim.Adam(model.parameters())
  model(torch.rand(1, 3, 8, 8)).sum().backward()
  optimizer.step()
  value = {
    "epoch": 3,
    "best": np.float64(0.7),
    "args": argparse.Namespace(lr=0.1, devices={1, 2}),
    "optimizer": optimizer.state_dict(),
    "scheduler": torch.optim.lr_scheduler.MultiStepLR(
      optimizer, [1, 2]
    ).state_dict(),
    "state_dict": model.state_dict(),
  }
  path = tmp_path / "a.pth"
  torch.save(
    value,
    path,
    pickle_protocol=protocol,
    _use_new_zipfile_serialization=FORMATS[kind],
  )
  got, meta = readers.read(path)
  assert meta["entry"] == "state_dict"
  check_same(got, model.module.state_dict())


@pytest.mark.parametrize("kind", FORMATS)
def test_a_pickled_module_is_refused(tmp_path, torchvision, kind):
  """It names its classes; only a state_dict is data."""
  path = save(resnet18(torchvision), tmp_path / "a.pth", kind)
  with pytest.raises(UserError, match=r"'torch\S+' to be called"):
    readers.read(path)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_pickle_that_runs_code(tmp_path, kind):
  class Attack:
    def __reduce__(self):
      return os.mkdir, (str(tmp_path / "marker"),)

  path = save({"w": Attack()}, tmp_path / "a.pth", kind)
  with pytest.raises(UserError, match=r"mkdir' to be called"):
    readers.read(path)
  assert not (tmp_path / "marker").exists()


def test_torchscript_is_told_apart(tmp_path):
  import warnings

  import torch

  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    program = torch.jit.trace(torch.nn.Conv2d(1, 1, 1), torch.rand(1, 1, 2, 2))
    program.save(str(tmp_path / "a.pt"))
  with pytest.raises(UserError, match="TorchScript"):
    readers.read(tmp_path / "a.pt")


@pytest.mark.parametrize("kind", FORMATS)
def test_the_converter(tmp_path, torchvision, kind):
  """The command on a ResNet-18; every number against the state_dict.

  The axes of each array are told from its own shape: OIHW -> HWIO, and the
  dense layer as a 1x1 convolution.
  """
  want = resnet18(torchvision).state_dict()
  path = save(want, tmp_path / "a.pth", kind)
  out = tmp_path / "a.safetensors"
  said = io.StringIO()
  options = ["--from=torchvision", "--model=resnet18", str(path), str(out)]
  with contextlib.redirect_stdout(said):
    assert convert.main(options) == 0
  arrays, record = store.read(out)
  parameters = 11_689_512  # torchvision's own count
  assert sum(v.size for k, v in arrays.items() if k[0] == "p") == parameters
  assert f"{sum(v.size for v in arrays.values()):,} numbers" in said.getvalue()
  assert record.sha256 == convert.sha256(path)

  rules = families.find("torchvision", "resnet18").rules
  counters = [k for k in want if k.endswith("num_batches_tracked")]
  assert len(arrays) == len(want) - len(counters)
  for name, tensor in want.items():
    if name in counters:
      continue
    array = tensor.numpy()
    (ours,) = rule.rename(rules, {name: array})
    if array.ndim == 4:
      array = np.einsum("oihw->hwio", array)
    elif array.ndim == 2:
      array = array.T[None, None]
    np.testing.assert_array_equal(arrays[ours], array)


def test_the_converted_network_answers_as_torch(tmp_path, torchvision):
  """Checkpoint -> convert -> strict merge -> logits."""
  import jax
  import torch

  from jaxseg import encoders

  theirs = resnet18(torchvision).eval()
  path = save(theirs.state_dict(), tmp_path / "a.pth", "zip")
  record = convert.convert(
    path, tmp_path / "a.safetensors", source="torchvision", model="resnet18"
  )
  model = encoders.Classifier(
    encoders.ENCODERS["resnet18"](normalization=record.normalization)
  )
  image = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
  shapes = jax.eval_shape(
    lambda: model.init(jax.random.key(0), image, train=False)
  )
  arrays, _ = store.read(tmp_path / "a.safetensors")
  variables, report = merge.merge(shapes, arrays)
  assert len(report.loaded) == len(arrays)
  got = jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, image)
  mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
  x = torch.tensor(((image - mean) / std).astype(np.float32))
  with torch.no_grad():
    want = theirs(x.permute(0, 3, 1, 2)).numpy()
  assert np.abs(want).max() > 0.1
  np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())


@pytest.mark.parametrize(
  ("source", "model"),
  [
    ("torchvision", "fcn_resnet50"),
    ("torchvision", "deeplabv3_mobilenet_v3_large"),
    ("torchvision", "lraspp_mobilenet_v3_large"),
    ("smp", "unet-resnet34"),
    ("smp", "fpn-efficientnet-b0"),
    ("smp", "deeplabv3plus-mobilenet_v2"),
  ],
)
def test_every_name_of_a_network_is_known(torchvision, source, model):
  """`find` puts a network's rules and its encoder's together."""
  if source == "smp":
    import segmentation_models_pytorch as smp

    decoder, _, encoder = model.partition("-")
    theirs = smp.create_model(decoder, encoder, encoder_weights=None)
  else:
    make = getattr(torchvision.models.segmentation, model)
    theirs = make(weights=None, weights_backbone=None)
  state = {k: v.numpy() for k, v in theirs.state_dict().items()}
  renamed = rule.rename(families.find(source, model).rules, state)
  trunk = [k for k in renamed if k.startswith("params/encoder/")]
  assert trunk
  assert len(trunk) < sum(k.startswith("params/") for k in renamed)
  # Nothing is dropped but counters and what smp's encoders have for ImageNet.
  counters = sum(k.endswith("num_batches_tracked") for k in state)
  heads = sum("_conv_head" in k or "encoder._bn1" in k for k in state)
  heads -= sum("encoder._bn1.num" in k for k in state)
  assert len(renamed) == len(state) - counters - heads


def test_normalizations_are_those_of_timm(torchvision):
  import timm

  from jaxseg.encoders import NORMALIZATIONS

  known = families.models("timm")
  names = [n for n in timm.list_pretrained() if n.partition(".")[0] in known]
  assert len(names) > 50
  for name in names:
    want = timm.get_pretrained_cfg(name)
    ours = NORMALIZATIONS[families.find("timm", name).normalization]
    assert (ours.mean, ours.std) == (want.mean, want.std), name
