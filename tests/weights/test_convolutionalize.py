"""A classifier on every window equals the dense network with its weights."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxseg import encoders, types
from jaxseg.ops import pooling
from jaxseg.weights import convolutionalize as conv
from tests import quick


def normal(rng, *shape):
  scale = np.sqrt(2 / np.prod(shape[:-1]))
  return (scale * rng.normal(size=shape)).astype(np.float32)


def dense(rng, n, out):
  return {"kernel": normal(rng, n, out), "bias": 0.1 * normal(rng, out)}


def test_counts_of_vgg():
  """fc6, fc7 and a score of 21 classes, as dense layers and as convolutions."""
  params = {
    "fc6": {"kernel": (7 * 7 * 512, 4096), "bias": (4096,)},
    "fc7": {"kernel": (4096, 4096), "bias": (4096,)},
    "score": {"kernel": (4096, 21), "bias": (21,)},
  }
  params = jax.tree.map(
    lambda s: np.broadcast_to(np.float32(0), s),
    params,
    is_leaf=lambda x: isinstance(x, tuple),
  )
  got = conv.convolutionalize(params, {"fc6": (7, 7)})
  sizes = {
    name: sum(x.size for x in jax.tree.leaves(layer))
    for name, layer in got.items()
  }
  assert sizes == {"fc6": 102_764_544, "fc7": 16_781_312, "score": 86_037}
  assert got["fc6"]["kernel"].shape == (7, 7, 512, 4096)
  assert got["fc7"]["kernel"].shape == (1, 1, 4096, 4096)
  assert got["score"]["bias"].shape == (21,)


def features(kernels, x):
  """Five stages of a 3x3 convolution without padding, ReLU, pooling.

  224 -> 111 -> 54 -> 26 -> 12 -> 5; 256 -> 6; 288 -> 7.
  """
  for kernel in kernels:
    x = lax.conv_general_dilated(
      x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    x = pooling.max_pool(jax.nn.relu(x))
  return x


@pytest.mark.parametrize("order", conv.ORDERS)
def test_grid_of_a_larger_image_is_the_classifier_on_its_crops(order):
  rng = np.random.default_rng(0)
  widths = (3, 4, 4, 6, 6, 8)
  kernels = [normal(rng, 3, 3, i, o) for i, o in itertools.pairwise(widths)]
  params = {"top": {"fc6": dense(rng, 5 * 5 * 8, 12), "fc7": dense(rng, 12, 7)}}

  @quick.jit
  def classify(x):
    x = features(kernels, x)
    x = x if order == "hwc" else x.transpose(0, 3, 1, 2)
    x = x.reshape(x.shape[0], -1)
    fc6, fc7 = params["top"]["fc6"], params["top"]["fc7"]
    x = jax.nn.relu(x @ fc6["kernel"] + fc6["bias"])
    return x @ fc7["kernel"] + fc7["bias"]

  dense_params = conv.convolutionalize(params, {"top/fc6": (5, 5)}, order)

  @quick.jit
  def run(x):
    x = features(kernels, x)
    for name in ("fc6", "fc7"):
      layer = dense_params["top"][name]
      x = jax.nn.relu(x) if name == "fc7" else x
      x = layer["bias"] + lax.conv_general_dilated(
        x,
        layer["kernel"],
        (1, 1),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
      )
    return x

  image = rng.random((1, 256, 288, 3), np.float32)
  grid = np.asarray(run(image))
  assert grid.shape == (1, 2, 3, 7)
  crops = [
    image[0, 32 * i : 32 * i + 224, 32 * j : 32 * j + 224]
    for i in range(2)
    for j in range(3)
  ]
  want = np.asarray(classify(np.stack(crops))).reshape(2, 3, 7)
  assert want.std() > 0.05
  np.testing.assert_allclose(grid[0], want, atol=1e-5)


def test_vgg_classifier_takes_the_dense_weights(random_variables):
  """224 x 224: the padded VGG too, whose last map is 7 x 7."""
  rng = np.random.default_rng(0)
  encoder = encoders.VGG(width=1)
  image = rng.random((2, 224, 224, 3), np.float32)
  variables = random_variables(encoder, image)
  layers = {
    "fc6": dense(rng, 7 * 7 * 8, 16),
    "fc7": dense(rng, 16, 16),
    "fc8": dense(rng, 16, 5),
  }
  model = encoders.VGGClassifier(encoder, classes=5, fc_width=16)
  params = {
    "encoder": variables["params"],
    **conv.convolutionalize(layers, {"fc6": (7, 7)}),
  }

  @quick.jit
  def both(image):
    x = encoder.apply(variables, image, train=False)["c5"]
    x = x.reshape(2, -1)
    for name, layer in layers.items():
      x = x if name == "fc6" else jax.nn.relu(x)
      x = x @ layer["kernel"] + layer["bias"]
    return model.apply({"params": params}, image, train=False), x

  got, want = both(image)
  assert np.std(want) > 0.01
  np.testing.assert_allclose(got, want, atol=1e-4)


def test_mistakes_are_named():
  layer = {"kernel": jnp.ones((50, 3))}
  with pytest.raises(types.UserError, match=r"\(50, 3\) cannot read .* 7 x 7"):
    conv.convolutionalize({"fc": layer}, {"fc": (7, 7)})
  with pytest.raises(types.UserError, match="no dense layer 'fc6' among"):
    conv.convolutionalize({"fc": layer}, {"fc6": (5, 5)})
  with pytest.raises(types.UserError, match="'wch'"):
    conv.dense_to_conv(np.ones((4, 2)), order="wch")
