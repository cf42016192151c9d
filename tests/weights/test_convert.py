"""The converter as a command and as a function."""

import hashlib
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from jaxseg.encoders import NORMALIZATIONS
from jaxseg.types import UserError
from jaxseg.weights import convert, families, published, store
from jaxseg.weights.rule import rename
from tests.weights import torch_bytes as tb

RNG = np.random.default_rng(0)


def norm(name, n=4):
  return {
    f"{name}.weight": RNG.normal(size=n).astype(np.float32),
    f"{name}.bias": RNG.normal(size=n).astype(np.float32),
    f"{name}.running_mean": RNG.normal(size=n).astype(np.float32),
    f"{name}.running_var": RNG.random(n).astype(np.float32),
    f"{name}.num_batches_tracked": np.array(5, np.int64),
  }


def resnet():
  """A few arrays by torchvision's names."""
  return {
    "conv1.weight": RNG.normal(size=(4, 3, 7, 7)).astype(np.float32),
    **norm("bn1"),
    "layer1.0.conv1.weight": RNG.normal(size=(4, 4, 3, 3)).astype(np.float32),
    **norm("layer1.0.bn1"),
    "fc.weight": RNG.normal(size=(10, 4)).astype(np.float32),
    "fc.bias": RNG.normal(size=10).astype(np.float32),
  }


def run(*args):
  return convert.main([str(a) for a in args])


@pytest.mark.parametrize("stream", [False, True])
def test_command(tmp_path, capsys, stream):
  arrays = resnet()
  path = tb.save(tmp_path / "a.pth", arrays, stream)
  out = tmp_path / "out" / "a.safetensors"
  options = ("--from=torchvision", "--model=resnet18", "--licence=BSD-3-Clause")
  assert run(*options, path, out) == 0
  got, record = store.read(out)
  np.testing.assert_array_equal(
    got["params/encoder/stem/conv/kernel"],
    np.einsum("oihw->hwio", arrays["conv1.weight"]),
  )
  np.testing.assert_array_equal(
    got["batch_stats/encoder/layer1_0/norm1/var"],
    arrays["layer1.0.bn1.running_var"],
  )
  np.testing.assert_array_equal(
    got["params/fc/kernel"][0, 0], arrays["fc.weight"].T
  )
  assert len(got) == 12  # all but the two counters
  assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
  assert record.source == "torchvision"
  assert record.network == "resnet18"
  assert record.licence == "BSD-3-Clause"
  assert record.normalization == "imagenet"
  numbers = sum(a.size for a in got.values())
  said = capsys.readouterr().out
  assert f"12 arrays, {numbers:,} numbers of resnet18" in said
  assert record.sha256 in said


def test_no_framework_is_imported(tmp_path):
  """Of a process of its own: what it imports, says and returns."""
  tb.save(tmp_path / "a.pth", resnet())
  script = (
    "import sys; from jaxseg.weights import convert;"
    "options = ['--from=torchvision', '--model=resnet18', 'a.pth'];"
    "assert convert.main([*options, 'a.safetensors']) == 0;"
    "assert not {'torch', 'flax', 'h5py'} & set(sys.modules);"
    "sys.exit(convert.main([*options, 'a.npz']))"
  )
  root = pathlib.Path(__file__).parents[2]
  done = subprocess.run(
    [sys.executable, "-c", script],
    cwd=tmp_path,
    env={**os.environ, "PYTHONPATH": str(root)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 2, done.stderr
  (line,) = done.stderr.splitlines()
  assert line.startswith("error: a.npz cannot be written")


@pytest.mark.parametrize(
  ("args", "match"),
  [
    (["--from=torchvision"], "the following arguments are required"),
    (["--from=caffe", "--model=vgg16"], "--from=caffe is not known"),
    (["--from=torchvision", "--model=resnet51"], "did you mean .*resnet50"),
    (["--from=torchvision", "--model=zzz"], "known are .*resnet50"),
    (["--from=timm", "--model=resnet50", "--licens=x"], "unrecognized"),
    (
      ["--from=timm", "--model=resnet50", "--normalization=grey"],
      "--normalization=grey is not known: expected one of imagenet",
    ),
    (
      ["--from=torchvision", "--model=resnet18", "none.pth", "b.safetensors"],
      "none.pth cannot be read",
    ),
    (
      ["--from=torchvision", "--model=mobilenet_v2"],
      "12 of 14|names of the checkpoint are not known",
    ),
  ],
)
def test_mistakes(tmp_path, capsys, args, match):
  path = tb.save(tmp_path / "a.pth", resnet())
  if not any(a.endswith(".pth") for a in args):
    args = [*args, path, tmp_path / "b.safetensors"]
  assert run(*args) == 2
  text = capsys.readouterr().err
  assert len(text.splitlines()) == 1
  with pytest.raises(UserError, match=match):
    raise UserError(text)
  assert not (tmp_path / "b.safetensors").exists()


def test_nothing_to_use(tmp_path):
  path = tb.save(tmp_path / "a.pth", norm("bn1", 1))
  kept = {"bn1.num_batches_tracked": np.array(1, np.int64)}
  path = tb.save(tmp_path / "b.pth", kept)
  with pytest.raises(UserError, match="nothing that resnet18"):
    convert.convert(
      path, tmp_path / "b.safetensors", source="torchvision", model="resnet18"
    )


@pytest.mark.parametrize(
  ("source", "model", "want"),
  [
    ("torchvision", "resnet50", "imagenet"),
    ("timm", "resnet50.a1_in1k", "imagenet"),
    ("timm", "tf_efficientnet_lite0", "inception"),
    ("timm", "efficientnet_lite0.ra_in1k", "imagenet"),
    ("timm", "tf_efficientnet_b0.in1k", "imagenet"),
    ("timm", "tf_efficientnet_b0.ap_in1k", "inception"),
    ("smp", "efficientnet_lite1", "inception"),
    ("smp", "unet-efficientnet-b4", "imagenet"),
    ("keras", "xception", "inception"),
    ("keras", "mobilenet_v2", "inception"),
    ("keras", "resnet50", "caffe_vgg"),
    ("keras", "vgg16", "caffe_vgg"),
    ("keras", "efficientnet_b3", "imagenet"),
  ],
)
def test_normalization_of_the_models(source, model, want):
  """As timm's own records of its weights have it."""
  assert families.find(source, model).normalization == want


def test_normalizations_are_those_of_encoders():
  assert set(convert.NORMALIZATIONS) <= set(NORMALIZATIONS)


def test_normalization_by_option(tmp_path):
  path = tb.save(tmp_path / "a.pth", resnet())
  options = ["--from=timm", "--model=resnet18", "--normalization=inception"]
  assert run(*options, path, tmp_path / "a.safetensors") == 0
  record = store.describe(tmp_path / "a.safetensors")
  assert record.normalization == "inception"


@pytest.mark.parametrize(
  ("source", "model", "name", "path"),
  [
    # smp's encoders are torchvision's and timm's by name.
    ("smp", "unet-resnet34", "encoder.bn1.bias", "stem/norm/bias"),
    ("smp", "fpn-efficientnet-b4", "encoder._bn0.bias", "stem/norm/bias"),
    ("smp", "pspnet-vgg16", "encoder.features.0.bias", "conv1_1/bias"),
    (
      "smp",
      "linknet-timm-efficientnet-lite2",
      "encoder.bn1.bias",
      "stem/norm/bias",
    ),
    ("torchvision", "fcn_resnet50", "backbone.bn1.bias", "stem/norm/bias"),
    (
      "torchvision",
      "deeplabv3_mobilenet_v3_large",
      "backbone.0.1.bias",
      "stem/norm/bias",
    ),
    # Encoders alone keep their classifier beside them.
    ("timm", "tf_efficientnet_lite0.in1k", "bn1.bias", "stem/norm/bias"),
    ("smp", "efficientnet_lite0", "_bn0.bias", "stem/norm/bias"),
  ],
)
def test_rules_of_networks_and_encoders(source, model, name, path):
  rules = families.find(source, model).rules
  renamed = rename(rules, {name: np.zeros(2)})
  assert list(renamed) == [f"params/encoder/{path}"]
  assert model.partition(".")[0] in families.models(source) or "-" in model


def test_the_head_of_a_network():
  rules = families.find("smp", "unet-resnet34").rules
  got = rename(rules, {"segmentation_head.0.bias": np.zeros(2)})
  assert list(got) == ["params/head_logits/bias"]


@pytest.mark.parametrize(
  ("source", "model", "match"),
  [
    ("smp", "unet-resnet33", "did you mean unet-resnet34"),
    ("smp", "zzz", "resnet34.* DECODER-ENCODER with unet, linknet"),
    ("torchvision", "tf_efficientnet_lite0", "has no renaming rules"),
    ("torchvision", "resnet", "did you mean resnet"),
    ("keras", "vgg11", "did you mean vgg19 or vgg16"),
  ],
)
def test_models_without_rules(source, model, match):
  with pytest.raises(UserError, match=match) as e:
    families.find(source, model)
  assert len(str(e.value)) < 800


def test_the_fingerprint_is_of_all_rules():
  rules = families.find("torchvision", "resnet18").rules
  marks = {
    families.fingerprint(rules),
    families.fingerprint(rules[1:]),
    families.fingerprint((rules[0]._replace(target="x"), *rules[1:])),
  }
  assert len(marks) == 3
  again = families.find("torchvision", "resnet18").rules
  assert families.fingerprint(again) in marks


@pytest.mark.parametrize("name", sorted(published.PUBLISHED))
def test_published_weights_have_rules(name):
  for origin in published.PUBLISHED[name]:
    assert families.find(origin.source, origin.model).rules
    assert set(origin.sha256) <= set("0123456789abcdef")
    assert len(origin.sha256) in (8, 64)
    assert bool(origin.url) != bool(origin.package)
