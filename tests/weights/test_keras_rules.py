"""Names of keras.applications' arrays become ours, one for one.

The names and shapes are generated here from the published structures, the
numbers of arrays' elements are Keras' own counts of its networks.
"""

import math

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import encoders
from jaxseg.encoders import NORMALIZATIONS, normalization
from jaxseg.types import UserError
from jaxseg.weights import convert, families, merge, readers, rule, store
from jaxseg.weights.rules import RULES

NORM = ("gamma", "beta", "moving_mean", "moving_variance")


def conv(name, kernel, inputs, features, bias=False):
  out = {f"{name}/kernel": (kernel, kernel, inputs, features)}
  return out | ({f"{name}/bias": (features,)} if bias else {})


def depthwise(name, kernel, features):
  return {f"{name}/depthwise_kernel": (kernel, kernel, features, 1)}


def norm(name, features):
  return {f"{name}/{kind}": (features,) for kind in NORM}


def dense(name, inputs, features):
  return {f"{name}/kernel": (inputs, features), f"{name}/bias": (features,)}


def vgg(depths):
  out, last = {}, 3
  for block, (depth, width) in enumerate(
    zip(depths, (64, 128, 256, 512, 512)), 1
  ):
    for i in range(1, depth + 1):
      out |= conv(f"block{block}_conv{i}", 3, last, width, bias=True)
      last = width
  out |= dense("fc1", 7 * 7 * 512, 4096) | dense("fc2", 4096, 4096)
  return out | dense("predictions", 4096, 1000)


def resnet(depths):
  out = conv("conv1_conv", 7, 3, 64, bias=True) | norm("conv1_bn", 64)
  last = 64
  for stage, depth in enumerate(depths, 2):
    width = 64 * 2 ** (stage - 2)
    for block in range(1, depth + 1):
      at = f"conv{stage}_block{block}"
      rows = [
        (1, 1, last, width),
        (2, 3, width, width),
        (3, 1, width, 4 * width),
      ]
      if block == 1:
        rows.append((0, 1, last, 4 * width))
      for number, kernel, inputs, features in rows:
        out |= conv(f"{at}_{number}_conv", kernel, inputs, features, bias=True)
        out |= norm(f"{at}_{number}_bn", features)
      last = 4 * width
  return out | dense("predictions", 2048, 1000)


def mobilenet_v2():
  out = conv("Conv1", 3, 3, 32) | norm("bn_Conv1", 32)
  last, number = 32, 0
  for factor, width, count in (
    (1, 16, 1),
    (6, 24, 2),
    (6, 32, 3),
    (6, 64, 4),
    (6, 96, 3),
    (6, 160, 3),
    (6, 320, 1),
  ):
    for _ in range(count):
      at = f"block_{number}" if number else "expanded_conv"
      hidden = factor * last
      if number:
        out |= conv(f"{at}_expand", 1, last, hidden)
        out |= norm(f"{at}_expand_BN", hidden)
      out |= depthwise(f"{at}_depthwise", 3, hidden)
      out |= norm(f"{at}_depthwise_BN", hidden)
      out |= conv(f"{at}_project", 1, hidden, width)
      out |= norm(f"{at}_project_BN", width)
      last, number = width, number + 1
  out |= conv("Conv_1", 1, 320, 1280) | norm("Conv_1_bn", 1280)
  return out | dense("predictions", 1280, 1000)


def efficientnet(width, depth):
  def channels(n):
    """The nearest multiple of 8, at most a tenth below."""
    near = max(8, math.floor(n * width / 8 + 0.5) * 8)
    return near + 8 if near < 0.9 * n * width else near

  out = {f"normalization/{kind}": (3,) for kind in ("mean", "variance")}
  out["normalization/count"] = ()
  last = channels(32)
  out |= conv("stem_conv", 3, 3, last) | norm("stem_bn", last)
  for stage, (factor, kernel, features, count) in enumerate(
    (
      (1, 3, 16, 1),
      (6, 3, 24, 2),
      (6, 5, 40, 2),
      (6, 3, 80, 3),
      (6, 5, 112, 3),
      (6, 5, 192, 4),
      (6, 3, 320, 1),
    ),
    1,
  ):
    for letter in "abcdefghijklm"[: math.ceil(count * depth)]:
      at, hidden, squeeze = f"block{stage}{letter}", factor * last, last // 4
      if factor > 1:
        out |= conv(f"{at}_expand_conv", 1, last, hidden)
        out |= norm(f"{at}_expand_bn", hidden)
      out |= depthwise(f"{at}_dwconv", kernel, hidden)
      out |= norm(f"{at}_bn", hidden)
      out |= conv(f"{at}_se_reduce", 1, hidden, squeeze, bias=True)
      out |= conv(f"{at}_se_expand", 1, squeeze, hidden, bias=True)
      last = channels(features)
      out |= conv(f"{at}_project_conv", 1, hidden, last)
      out |= norm(f"{at}_project_bn", last)
  top = channels(1280)
  out |= conv("top_conv", 1, last, top) | norm("top_bn", top)
  return out | dense("predictions", top, 1000)


# Name: its arrays, Keras' count of their elements (with running statistics).
CASES = {
  "vgg16": (lambda: vgg((2, 2, 3, 3, 3)), 138_357_544),
  "vgg19": (lambda: vgg((2, 2, 4, 4, 4)), 143_667_240),
  "resnet50": (lambda: resnet((3, 4, 6, 3)), 25_636_712),
  "resnet152": (lambda: resnet((3, 8, 36, 3)), 60_419_944),
  "mobilenet_v2": (mobilenet_v2, 3_538_984),
  "efficientnet_b0": (lambda: efficientnet(1.0, 1.0), 5_330_571),
  "efficientnet_b7": (lambda: efficientnet(2.0, 3.1), 66_658_687),
}


def zeros(shapes):
  """Arrays of these shapes that take no memory."""
  return {k: np.broadcast_to(np.float32(0), v) for k, v in shapes.items()}


def classifier(name):
  encoder = encoders.ENCODERS[name](**families.find("keras", name).fields)
  if name.startswith("vgg"):
    return encoders.VGGClassifier(encoder)
  if name.startswith("efficientnet"):
    return encoders.EfficientNetClassifier(encoder)
  return encoders.Classifier(encoder)


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_array_finds_its_place(name):
  make, count = CASES[name]
  tensors = zeros(make())
  assert sum(x.size for x in tensors.values()) == count
  got = rule.rename(families.find("keras", name).rules, tensors)
  model = classifier(name)
  want = jax.eval_shape(
    lambda x: model.init(jax.random.key(0), x, train=False),
    jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32),
  )
  want = {k: v.shape for k, v in merge.flatten(want).items()}
  assert {k: v.shape for k, v in got.items()} == want


# Blocks of one stage have arrays of the same shapes.
@pytest.mark.parametrize(
  ("name", "source", "path"),
  [
    ("vgg19", "block4_conv3/kernel", "conv4_3/kernel"),
    # The number of the network in its process, as Keras 2.3 appended it.
    ("vgg16", "block4_conv3_16/bias", "conv4_3/bias"),
    # Keras 1.
    ("vgg16", "block5_conv2/block5_conv2_W_1", "conv5_2/kernel"),
    ("vgg16", "block5_conv2/block5_conv2_b_1:0", "conv5_2/bias"),
    ("resnet152", "conv4_block36_2_conv/bias", "layer3_35/conv2/bias"),
    ("resnet50", "conv5_block2_3_bn/gamma", "layer4_1/norm3/scale"),
    ("resnet50", "conv5_block1_0_bn/beta", "layer4_0/project/norm/bias"),
    ("resnet50", "conv5_block1_0_conv/kernel", "layer4_0/project/conv/kernel"),
    ("resnet50", "conv1_bn/conv1_bn/beta:0", "stem/norm/bias"),
    (
      "mobilenet_v2",
      "expanded_conv_project_BN/beta",
      "block1/project/norm/bias",
    ),
    ("mobilenet_v2", "block_12_expand/kernel", "block13/expand/conv/kernel"),
    (
      "mobilenet_v2",
      "block_2_depthwise/kernel",  # Keras 3
      "block3/depthwise/conv/kernel",
    ),
    ("mobilenet_v2", "Conv_1/kernel", "head/conv/kernel"),
    ("mobilenet_v2", "Conv1_1/kernel", "stem/conv/kernel"),
    ("efficientnet_b7", "block6m_se_reduce/bias", "block5_12/se/fc1/bias"),
    ("efficientnet_b0", "block2a_bn/gamma", "block1_0/depthwise/norm/scale"),
    (
      "efficientnet_b0",
      "block2b_project_bn/beta",
      "block1_1/project/norm/bias",
    ),
    (
      "efficientnet_b0",
      "block1a_dwconv/kernel",
      "block0_0/depthwise/conv/kernel",
    ),
  ],
)
def test_places(name, source, path):
  rules = families.find("keras", name).rules
  one = np.zeros((1, 1, 1, 1))
  assert list(rule.rename(rules, {source: one})) == [f"params/encoder/{path}"]


@pytest.mark.parametrize("head", ["predictions", "probs", "Logits"])
def test_names_of_the_head(head):
  tensors = zeros(dense(head, 3, 2))
  got = rule.rename(families.find("keras", "resnet50").rules, tensors)
  assert {k: v.shape for k, v in got.items()} == {
    "params/fc/kernel": (1, 1, 3, 2),
    "params/fc/bias": (2,),
  }


@pytest.mark.parametrize(
  "name", ["vgg16", "resnet50", "mobilenet_v2", "efficientnet_b0"]
)
def test_the_trunk_alone(name):
  """Prefix and target; the head goes, EfficientNet's last 1x1 with it."""
  tensors = {f"net/{k}": v for k, v in zeros(CASES[name][0]()).items()}
  got = rule.rename(RULES["keras", name]("net/", "fcn/"), tensors)
  encoder = classifier(name).encoder
  want = jax.eval_shape(
    lambda x: encoder.init(jax.random.key(0), x, train=False),
    jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32),
  )
  want = {
    path.replace("/", "/fcn/", 1): x.shape
    for path, x in merge.flatten(want).items()
  }
  assert {k: v.shape for k, v in got.items()} == want


def test_the_dense_layer_of_a_flattened_map():
  """As a convolution over the whole map it gives the same numbers."""
  rng = np.random.default_rng(0)
  x, kernel = rng.normal(size=(7, 7, 2)), rng.normal(size=(98, 3))
  got = rule.OPS["keras_dense_7x7"](kernel)
  want = x.reshape(-1) @ kernel
  np.testing.assert_allclose(np.einsum("hwc,hwco->o", x, got), want)


def test_other_layers_are_named():
  rules = families.find("keras", "mobilenet_v2").rules
  with pytest.raises(UserError, match="such as dense/kernel"):
    rule.rename(rules, zeros(dense("dense", 1280, 2)))


def write(path, arrays, layers=True):
  with h5py.File(path, "w") as f:
    if layers:
      f.attrs["layer_names"] = [b"all"]
    for name, array in arrays.items():
      f[name] = array
  return path


def run(capsys, *argv):
  status = convert.main([str(arg) for arg in argv])
  return status, capsys.readouterr()


def test_a_file_says_what_it_needs(tmp_path, capsys):
  """Stride, epsilon, mean: the weights fit a network without them too."""
  kernel = np.arange(7 * 7 * 3 * 2, dtype=np.float32).reshape(7, 7, 3, 2)
  path = write(tmp_path / "a.h5", {"conv1_conv/conv1_conv/kernel:0": kernel})
  out = tmp_path / "a.safetensors"
  args = "--from=keras", "--model=resnet50", path, out
  assert run(capsys, *args)[0] == 0
  arrays, record = store.read(out)
  np.testing.assert_array_equal(
    arrays["params/encoder/stem/conv/kernel"], kernel
  )
  assert record.normalization == "caffe_vgg"
  assert record.fields == {
    "stride_at": "1x1",
    "use_bias": True,
    "epsilon": 1.001e-5,
  }


def test_numbers_instead_of_names(tmp_path, capsys):
  """The .weights.h5 of Keras 3."""
  one = {"layers/conv2d/vars/0": np.ones((3, 3, 3, 64), np.float32)}
  path = write(tmp_path / "a.weights.h5", one, layers=False)
  assert readers.read(path)[1]["layout"] == "paths"
  out = tmp_path / "a.safetensors"
  args = "--from=keras", "--model=vgg16", path, out
  status, said = run(capsys, *args)
  assert status == 2
  assert "layers/conv2d/vars/0" in said.err
  assert "model.save('NAME.h5')" in said.err
  assert not out.exists()


def test_normalization_of_vggs_authors():
  """BGR in [0, 255] less the mean that keras.applications takes off."""
  image = jnp.asarray([[[[123.68, 116.779, 103.939]]]]) / 255
  got = normalization.normalize(image, "caffe_vgg")
  np.testing.assert_allclose(got, np.zeros((1, 1, 1, 3)), atol=1e-4)
  image = jnp.asarray([[[[1.0, 0, 0]]]])  # red comes last
  got = normalization.normalize(image, NORMALIZATIONS["caffe_vgg"])
  np.testing.assert_allclose(
    got[0, 0, 0], [-103.939, -116.779, 255 - 123.68], rtol=1e-6
  )
