"""Encoders against keras.applications: weights by way of an HDF5 file.

The file has the layout of Keras 2, which the published weights have; it is
read, renamed and run without Keras. Needs TensorFlow, and is skipped without.
"""

import os
import warnings

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import encoders
from jaxseg.weights import families, merge, readers, rule

pytestmark = pytest.mark.parity

SIZES = [(64, 96), (97, 129)]
CLASSES, FC_WIDTH = 10, 16

# Ours: class of keras.applications, how it wants an image in [0, 255], and
# which of its layers are our maps.
CASES = {
  "vgg16": (
    "VGG16",
    "vgg16",
    {f"c{k}": f"block{k + 1}_conv{n}" for k, n in enumerate((2, 2, 3, 3, 3))}
    | {"c5": "block5_pool"},
  ),
  "vgg19": (
    "VGG19",
    "vgg19",
    {f"c{k}": f"block{k + 1}_conv{n}" for k, n in enumerate((2, 2, 4, 4, 4))}
    | {"c5": "block5_pool"},
  ),
  "resnet50": (
    "ResNet50",
    "resnet",
    {"c1": "conv1_relu"}
    | {f"c{k}": f"conv{k}_block{n}_out" for k, n in zip("2345", "3463")},
  ),
  "mobilenet_v2": (
    "MobileNetV2",
    "mobilenet_v2",
    {
      "b0": "Conv1_relu",
      "c1": "expanded_conv_project_BN",
      "c2": "block_2_add",
      "c3": "block_5_add",
      "c4": "block_12_add",
      "c5": "out_relu",
    },
  ),
  "efficientnet_b0": (
    "EfficientNetB0",
    None,
    {
      "c1": "stem_activation",
      "c2": "block2b_add",
      "c3": "block3b_add",
      "c4": "block5c_add",
      "c5": "block7a_project_bn",
    },
  ),
}
# End of a layer's name -> fan_in * variance of its kernel (others: 2).
GAINS = {
  # Images in [0, 255] come in: biases would not be seen beside them.
  "conv1_conv": 2e-4,
  "block1_conv1": 2e-4,
  # A residual branch ends small, or the sum of all of them magnifies rounding
  # until maps differ by 1e-4; but squeezing has shrunk it.
  "_3_conv": 0.5,
  "_project": 0.5,
  "_project_conv": 1.5,
}


@pytest.fixture(scope="module")
def keras():
  """Keras on TensorFlow, on the CPU."""
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    tensorflow = pytest.importorskip(
      "tensorflow", reason="keras.applications is compared on TensorFlow"
    )
    tensorflow.config.set_visible_devices([], "GPU")
    keras = pytest.importorskip("keras", minversion="3")
  if keras.backend.backend() != "tensorflow":
    pytest.skip(f"KERAS_BACKEND is {keras.backend.backend()}")
  return keras


def build(keras, name, size):
  """The network, all of its arrays random; its logits come last."""
  theirs, _, layers = CASES[name]
  make = getattr(keras.applications, theirs)
  options = {"weights": None, "input_shape": (*size, 3)}
  if name.startswith("vgg"):
    # Its own head, of fewer channels than 4096.
    trunk = make(include_top=False, **options)
    x = trunk.output
    if size == (224, 224):
      x = keras.layers.Flatten()(x)
      for layer in ("fc1", "fc2"):
        x = keras.layers.Dense(FC_WIDTH, activation="relu", name=layer)(x)
      x = keras.layers.Dense(CLASSES, name="predictions")(x)
    model = keras.Model(trunk.input, x)
  else:
    model = make(classes=CLASSES, classifier_activation=None, **options)
  randomize(model)
  outputs = [model.get_layer(layer).output for layer in layers.values()]
  return model, keras.Model(model.input, [*outputs, model.output])


def randomize(model, seed=0):
  """Kernels that keep the scale, statistics away from 0 and 1."""
  rng = np.random.default_rng(seed)
  for variable in model.weights:
    layer, _, kind = variable.path.rpartition("/")
    shape = tuple(variable.shape)
    if layer.startswith("normalization"):  # (counted in the process)
      # Of the image, as the published weights have it together with what
      # Keras divides by besides: (x - mean) / std.
      value = {
        "mean": np.array([0.485, 0.456, 0.406]),
        "variance": np.array([0.229, 0.224, 0.225]) ** 2,
        "count": np.array(0),
      }[kind]
    elif kind == "kernel":
      depthwise = layer.endswith(("depthwise", "dwconv"))
      fan_in = np.prod(shape[:2] if depthwise else shape[:-1])
      gain = next((g for end, g in GAINS.items() if layer.endswith(end)), 2)
      value = rng.normal(size=shape) * np.sqrt(gain / fan_in)
    elif kind in ("gamma", "moving_variance"):
      value = rng.uniform(0.5, 1.5, shape)
    else:
      value = 0.1 * rng.normal(size=shape)
    variable.assign(value)
  for layer in model.layers:
    if hasattr(layer, "finalize_state"):  # copies what its variables hold
      layer.finalize_state()


def write_h5(path, model):
  """As `save_weights` of Keras 2 does: names in attributes, ':0' in them."""
  with h5py.File(path, "w") as f:
    f.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
    f.attrs["backend"], f.attrs["keras_version"] = b"tensorflow", b"2.4.0"
    for layer in model.layers:
      group = f.create_group(layer.name)
      names = []
      for variable in layer.weights:
        kind = variable.name
        if type(layer).__name__ == "DepthwiseConv2D" and kind == "kernel":
          kind = "depthwise_kernel"  # its name in Keras 2
        names.append(f"{layer.name}/{kind}:0")
        group[names[-1]] = variable.numpy()
      group.attrs["weight_names"] = [n.encode() for n in names]


def convert(path, name):
  """Our variables, and the encoder that they want."""
  found = families.find("keras", name)
  tensors, meta = readers.read(path)
  assert meta["layout"] == "layers"
  variables = merge.unflatten(rule.rename(found.rules, tensors))
  encoder = encoders.ENCODERS[name](
    normalization=found.normalization, **found.fields
  )
  return variables, encoder


def classifier(encoder):
  if isinstance(encoder, encoders.VGG):
    return encoders.VGGClassifier(
      encoder, classes=CLASSES, fc_width=FC_WIDTH, dropout=0
    )
  if isinstance(encoder, encoders.EfficientNet):
    return encoders.EfficientNetClassifier(encoder, classes=CLASSES)
  return encoders.Classifier(encoder, classes=CLASSES)


def check_tree(model, variables, shape):
  """Names and shapes of the model, not one more or less."""
  want = jax.eval_shape(
    lambda x: model.init(jax.random.key(0), x, train=False),
    jax.ShapeDtypeStruct(shape, jnp.float32),
  )
  got = jax.tree.map(lambda x: x.shape, variables)
  assert got == jax.tree.map(lambda x: x.shape, dict(want))


def picture(*size):
  """Noise, and darker noise: (2, *size, 3)."""
  image = np.random.default_rng(1).random((2, *size, 3), np.float32)
  return image * np.array([1, 0.3], np.float32)[:, None, None, None]


def run_theirs(keras, name, outputs, image):
  """What the Keras network gives for an image in [0, 1], by our names."""
  _, module, layers = CASES[name]
  x = 255 * image
  if module:
    x = getattr(keras.applications, module).preprocess_input(x.copy())
  got = [np.asarray(y) for y in outputs(x, training=False)]
  return dict(zip((*layers, "logits"), got, strict=True))


def check_same(got, want, name):
  """To 1e-4 of the largest value, where two images give two results."""
  scale = np.abs(want).max()
  assert got.shape == want.shape, name
  assert np.abs(want[0] - want[1]).max() > 1e-2 * scale, name
  assert np.abs(got - want).max() < 1e-4 * scale, name


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", sorted(CASES))
def test_maps_and_logits(name, size, keras, tmp_path):
  model, outputs = build(keras, name, size)
  write_h5(tmp_path / "a.h5", model)
  image = picture(*size)
  wants = run_theirs(keras, name, outputs, image)
  variables, encoder = convert(tmp_path / "a.h5", name)
  inner = {k: v["encoder"] for k, v in variables.items()}
  whole = None if name.startswith("vgg") else classifier(encoder)
  if whole is None:  # (no head at this size)
    check_tree(encoder, inner, image.shape)
    del wants["logits"]
  else:
    check_tree(whole, variables, image.shape)

  @jax.jit
  def run(variables, image):
    inner = {k: v["encoder"] for k, v in variables.items()}
    maps = encoder.apply(inner, image, train=False)
    if whole is not None:
      maps["logits"] = whole.apply(variables, image, train=False)
    return maps

  got = run(variables, image)
  for key, want in wants.items():
    check_same(np.asarray(got[key]), want, key)


def test_head_of_vgg(keras, tmp_path):
  """The first dense layer is a convolution of the map that Keras flattens."""
  model, outputs = build(keras, "vgg16", (224, 224))
  write_h5(tmp_path / "a.h5", model)
  image = picture(224, 224)
  want = run_theirs(keras, "vgg16", outputs, image)["logits"]
  variables, encoder = convert(tmp_path / "a.h5", "vgg16")
  ours = classifier(encoder)
  check_tree(ours, variables, image.shape)
  got = jax.jit(lambda v, x: ours.apply(v, x, train=False))(variables, image)
  check_same(np.asarray(got), want, "logits")


def test_h5_of_keras_3(keras, tmp_path):
  """Its own writer of the old layout: no ':0', depthwise kernels 'kernel'."""
  model, _ = build(keras, "mobilenet_v2", (64, 96))
  write_h5(tmp_path / "a.h5", model)
  with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    model.save(tmp_path / "b.h5")
  a, b = (
    merge.flatten(convert(tmp_path / f"{file}.h5", "mobilenet_v2")[0])
    for file in "ab"
  )
  assert a.keys() == b.keys()
  for path in a:
    np.testing.assert_array_equal(a[path], b[path])
