"""Farabet's and Pinheiro's networks: shared weights, scales, instances."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg.models import MODELS, farabet, pinheiro
from jaxseg.ops import contrast, pooling, pyramid, resize
from tests import probe, quick


def test_count_of_farabet():
  """One trunk of three 7x7 convolutions for all scales, 768 features."""
  trunk = 49 * (3 * 16 + 16 * 64 + 64 * 256) + 16 + 64 + 256
  head = 768 * 1024 + 1024 + 1024 * 8 + 8
  model = MODELS["farabet"](outputs={"logits": 8})
  assert probe.parameters(model) == trunk + head
  # A further scale costs only the classifier's share of it.
  assert probe.parameters(model.clone(levels=4)) == trunk + head + 256 * 1024


def test_farabet_scale_by_scale(random_variables):
  model = farabet.Farabet({"logits": 3}, 2, width=2, kernel=3, hidden=8)
  image = np.random.default_rng(0).random((1, 30, 37, 3), np.float32)
  variables = random_variables(model, image)
  params = variables["params"]

  @quick.jit
  def by_hand(image):
    x = contrast.rgb_to_yuv(resize.pad_to_stride(image, 8))  # 32 x 40
    trunk = farabet.Trunk(2, 3)
    features = []
    for band in pyramid.laplacian_pyramid(x, 2):
      band = contrast.local_contrast_norm(band)
      y = trunk.apply({"params": params["trunk"]}, band)
      features.append(resize.resize_bilinear(y, (8, 10)))
    x = jnp.concatenate(features, -1)
    for name in ("hidden", "head_logits"):
      x = x @ params[name]["kernel"][0, 0] + params[name]["bias"]
      x = jnp.tanh(x) if name == "hidden" else x
    return resize.resize_bilinear(x, (32, 40))[:, :30, :37]

  got = probe.run(model, variables, image)
  want = by_hand(image)
  assert np.std(want) > 0.1
  np.testing.assert_allclose(got["logits"], want, atol=1e-4)


def test_count_of_the_recurrent_net():
  """8x8 to 25, 8x8 to 50, 1x1; it reads the image and its own scores."""
  k = 8
  want = 64 * (3 + k) * 25 + 25 + 64 * 25 * 50 + 50 + 50 * k + k
  for instances in (1, 2, 3):
    model = MODELS["pinheiro"](outputs={"logits": k}, instances=instances)
    assert probe.parameters(model) == want


def test_one_loss_per_instance():
  model = MODELS["pinheiro"](outputs={"logits": 4, "depth": 1}, instances=3)
  quiet, _ = probe.shapes(model, (17, 30))
  assert set(quiet) == {"logits", "depth"}
  loud, variables = probe.shapes(model, (17, 30), train=True)
  assert set(loud) - set(quiet) == {
    "aux_1",
    "aux_2",
    "aux_1_depth",
    "aux_2_depth",
  }
  for name, value in loud.items():
    channels = 1 if "depth" in name else 4
    assert value.shape == (1, 17, 30, channels), name
  one = model.clone(instances=1)
  same = jax.tree.map(jnp.shape, probe.variables(one)) == jax.tree.map(
    jnp.shape, variables
  )
  assert same


def test_instances_are_one_network_applied_again(random_variables):
  model = pinheiro.RecurrentCNN({"logits": 3}, instances=2, width=3, kernel=4)
  image = np.random.default_rng(0).random((1, 16, 24, 3), np.float32)
  variables = random_variables(model, image)
  params = {"params": variables["params"]["instance"]}

  @quick.jit
  def by_hand(image):
    network = pinheiro.Instance(3, 3, 4)
    zeros = jnp.zeros((1, 16, 24, 3))
    first = network.apply(params, jnp.concatenate([image, zeros], -1))
    half = pooling.avg_pool(image)
    second = network.apply(params, jnp.concatenate([half, first], -1))
    assert (first.shape, second.shape) == ((1, 8, 12, 3), (1, 4, 6, 3))
    return [resize.resize_bilinear(x, (16, 24)) for x in (first, second)]

  first, second = by_hand(image)
  got = quick.jit(lambda v, x: model.apply(v, x, train=True))(variables, image)
  np.testing.assert_allclose(got["aux_1"], first, atol=1e-5)
  np.testing.assert_allclose(got["logits"], second, atol=1e-5)
  assert np.abs(first - second).max() > 0.1
  # The earlier instance is what a shorter network answers.
  short = quick.jit(
    lambda v, x: model.clone(instances=1).apply(v, x, train=True)
  )
  alone = short(variables, image)
  assert set(alone) == {"logits"}
  np.testing.assert_allclose(alone["logits"], first, atol=1e-5)
