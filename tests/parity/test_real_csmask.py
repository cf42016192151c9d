"""A U-Net on EfficientNet-B4 that somebody trained: clouds in satellite images.

`ukis-csmask` carries segmentation_models_pytorch networks of four and of six
bands as ONNX in half precision. The same numbers in our network give what
onnxruntime gives in single precision, and nearly what it gives in half.
"""

import importlib.util
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from jaxseg.encoders import ENCODERS
from jaxseg.models import KIT
from jaxseg.weights import rule
from jaxseg.weights.rules import RULES

pytestmark = pytest.mark.parity

ENCODER = "efficientnet_b4"


def onnx_file(name):
  spec = importlib.util.find_spec("ukis_csmask")
  if spec is None:
    pytest.skip("ukis-csmask is not installed")
  return pathlib.Path(spec.origin).parent / f"{name}.onnx"


def single(graph, onnx):
  """Turns all half precision of an ONNX graph to single, in place."""
  half, full = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT

  def widen(tensor):
    if tensor.data_type == half:
      values = onnx.numpy_helper.to_array(tensor).astype(np.float32)
      tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))

  for tensor in graph.initializer:
    widen(tensor)
  for node in graph.node:
    for attribute in node.attribute:
      if node.op_type == "Cast" and attribute.i == half:
        attribute.i = full
      if attribute.HasField("t"):
        widen(attribute.t)
  del graph.value_info[:]


def answers(model, image):
  """(b, h, w, bands) -> (b, h, w, 3), by onnxruntime."""
  import onnxruntime

  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3
  session = onnxruntime.InferenceSession(model.SerializeToString(), options)
  (out,) = session.run(None, {"input": image.transpose(0, 3, 1, 2)})
  return out.transpose(0, 2, 3, 1)


@pytest.mark.parametrize(
  ("name", "bands"), [("model_4b_l1c", 4), ("model_6b_l2a", 6)]
)
def test_unet_of_ukis_csmask(name, bands):
  import onnx

  file = onnx.load(onnx_file(name))
  tensors = {
    t.name.removeprefix("model."): onnx.numpy_helper.to_array(t)
    for t in file.graph.initializer
  }
  # What the trained network gets are standardized reflectances, of 256 x 256.
  image = np.random.default_rng(0).normal(size=(1, 32, 32, bands))
  image = jax.image.resize(image, (1, 256, 256, bands), "cubic")
  image = np.asarray(image, np.float32)
  halves = answers(file, image)
  single(file.graph, onnx)
  want = answers(file, image)

  # Padded as for images of 380 pixels, whatever their size is.
  encoder = ENCODERS[ENCODER](normalization="none", padding="static")
  model = KIT["unet"](outputs={"logits": 3}, encoder=encoder)
  rules = RULES["smp", "unet"](encoder=RULES["smp", ENCODER])
  tensors = {
    k: np.asarray(v, np.float32) for k, v in rule.rename(rules, tensors).items()
  }
  variables = traverse_util.unflatten_dict(tensors, sep="/")
  shapes = jax.eval_shape(
    lambda x: model.init(jax.random.key(0), x, train=False),
    jax.ShapeDtypeStruct(image.shape, jnp.float32),
  )
  assert jax.tree.map(jnp.shape, variables) == jax.tree.map(
    jnp.shape, dict(shapes)
  )
  got = jax.jit(lambda v, x: model.apply(v, x, train=False)["logits"])(
    variables, image
  )
  error = np.abs(got - want).max() / np.abs(want).max()
  rounding = np.abs(halves - want).max() / np.abs(want).max()
  agree = (np.argmax(got, -1) == np.argmax(halves, -1)).mean()
  print(
    f"{name}: {error:.1e} from float32, half precision itself {rounding:.1e}"
    f" of {np.abs(want).max():.1f}; {agree:.2%} of labels as in half"
  )
  assert want.std() > 0.1  # not a constant
  assert error <= 1e-4
  assert rounding < 0.05
  assert agree > 0.99
