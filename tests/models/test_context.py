"""Dilated VGG and context modules: counts, identity, tiles, sizes."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseg import types
from jaxseg.models import MODELS, context
from jaxseg.ops import conv, resize
from tests import probe, quick


def test_counts_of_the_front_end():
  """VGG-16's convolutions, fc6, fc7 and the score: as many as FCN-32s."""
  for classes, want in ((21, 134_346_581), (19, 134_338_387)):
    model = MODELS["dilated_vgg"](outputs={"logits": classes})
    assert probe.parameters(model, 32) == want


def test_counts_of_the_context_modules():
  c = 21
  basic = 7 * (9 * c * c + c) + c * c + c
  assert basic == 28_392
  assert 9 * 7 * c * c + c * c == 64 * c * c == 28_224  # without biases
  widths = [c * k for k in (1, 2, 2, 4, 8, 16, 32, 32)]
  large = sum(9 * i * o + o for i, o in itertools.pairwise(widths))
  large += 32 * c * c + c
  assert large == 6_803_139
  for form, want in (("basic", basic), ("large", large)):
    module = context.ContextModule(form)
    assert probe.parameters(module, 70, c, train=None) == want
    whole = MODELS[
      "dilated_vgg_context" + ("_large" if form == "large" else "")
    ](outputs={"logits": c})
    assert probe.parameters(whole, 32) == 134_346_581 + want


@pytest.mark.parametrize("padding", context.CONTEXT_PADDINGS)
def test_basic_context_starts_as_the_identity(padding):
  x = np.random.default_rng(0).random((2, 70, 75, 5), np.float32)
  module = context.ContextModule("basic", padding=padding)
  got, variables = quick.jit(module.init_with_output)(jax.random.key(0), x)
  want = x[:, 33:-33, 33:-33] if padding == "valid" else x
  np.testing.assert_array_equal(got, want)
  assert np.abs(variables["params"]["conv1"]["kernel"]).sum() == 5


def test_large_context_starts_as_the_identity():
  """Exactly so without noise: class weights are powers of two of values."""
  x = np.random.default_rng(0).integers(0, 9, (1, 12, 13, 3))
  x = x.astype(np.float32)
  module = context.ContextModule("large", dilations=(1, 1, 2, 1), noise=0.0)
  got, variables = quick.jit(module.init_with_output)(jax.random.key(0), x)
  np.testing.assert_array_equal(got, x)
  # 3 -> 6 -> 6 channels: a class is two channels, each worth one half.
  kernel = np.asarray(variables["params"]["conv2"]["kernel"])
  np.testing.assert_array_equal(kernel[1, 1, :2, :2], [[0.5, 0.5]] * 2)
  assert np.abs(kernel).sum() == 6
  noisy = context.identity_init(3, 0.01)(jax.random.key(0), kernel.shape)
  np.testing.assert_array_equal(noisy[kernel != 0], kernel[kernel != 0])
  assert np.std(noisy[kernel == 0]) == pytest.approx(0.01, rel=0.15)


def test_padding_first_differs_from_padding_every_convolution():
  """Biases leak in from beyond the border; far inside nothing changes."""
  rng = np.random.default_rng(0)
  x = rng.random((1, 40, 40, 3), np.float32)
  same = context.ContextModule(dilations=(1, 2, 4, 1))  # reach 8
  variables = jax.tree.map(
    lambda s: rng.normal(0, 0.3, s.shape).astype(np.float32),
    probe.variables(same, 40, train=None),
  )
  a, b, valid = quick.jit(
    lambda v, x: [
      same.clone(padding=p).apply(v, x) for p in context.CONTEXT_PADDINGS
    ]
  )(variables, x)
  np.testing.assert_allclose(a[:, 8:-8, 8:-8], valid, atol=1e-5)
  np.testing.assert_allclose(b[:, 8:-8, 8:-8], valid, atol=1e-5)
  assert np.abs(a - b).max() > 1e-3


def test_every_score_learns_through_the_context_from_the_start():
  """The front end's scores get much of the gradient that they get alone."""
  x = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
  label = np.arange(4).reshape(1, 2, 2).repeat(8, 1).repeat(8, 2)

  def arriving(name):
    model = MODELS[name](outputs={"logits": 4}, width=4, fc_width=32)
    params = model.init(jax.random.key(0), x, train=False)["params"]

    def loss(params):
      logits = model.apply({"params": params}, x, train=False)["logits"]
      return optax.softmax_cross_entropy_with_integer_labels(
        logits, label
      ).mean()

    grads = jax.grad(loss)(params)["head_logits"]["kernel"]
    return jnp.abs(grads).sum((0, 1, 2))  # of each class

  alone, through = (
    quick.jit(arriving, static_argnums=0)(name)
    for name in ("dilated_vgg", "dilated_vgg_context")
  )
  assert (through > 0.3 * alone).all()


def raw(**fields):
  """The front end alone, tiny: scores of the padded image at stride 8."""
  return context.DilatedVGG(
    {"logits": 4}, mirror=False, width=1, fc_width=4, dropout=0.0, **fields
  )


@pytest.mark.parametrize(("size", "side"), [(900, 66), (500, 16), (380, 1)])
def test_sizes_of_the_front_end(size, side):
  assert (size - 372) / 8 == side
  out, _ = probe.shapes(raw(), size)
  assert out["logits"].shape == (1, side, side, 4)
  with pytest.raises(types.UserError, match="at least 380"):
    probe.shapes(raw(), (379, 400))


def test_tiles_without_padding_equal_the_whole(random_variables):
  """A tile of the scores from its own piece of the mirrored image."""
  front = raw(normalization="none")
  image = np.random.default_rng(0).random((1, 404, 396, 3), np.float32)
  variables = random_variables(front, image)
  run = quick.jit(lambda v, x: front.apply(v, x, train=False)["logits"])
  whole = run(variables, image)
  assert whole.shape == (1, 4, 3, 4)
  assert np.std(whole) > 1e-3
  for i in (0, 2):
    for j in (0, 1):
      piece = image[:, 8 * i : 8 * i + 388, 8 * j : 8 * j + 388]
      tile = run(variables, piece)
      np.testing.assert_allclose(
        tile, whole[:, i : i + 2, j : j + 2], atol=1e-5
      )


def test_whole_network_by_hand(random_variables):
  """Mirrored border, score, context, kernel 16 of stride 8 and padding 4."""
  model = MODELS["dilated_vgg_context"](
    outputs={"logits": 2},
    width=1,
    fc_width=4,
    dilations=(1, 2, 1),
    normalization="none",
  )
  image = np.random.default_rng(0).random((1, 11, 16, 3), np.float32)
  variables = random_variables(model, image)
  params = variables["params"]

  @quick.jit
  def by_hand(image):
    x = resize.pad_mirror(image, (186, 186 + 5), (186, 186))
    encoder = context.DilatedStages(width=1, normalization="none")
    x = encoder.apply({"params": params["encoder"]}, x)
    for name in ("fc6", "fc7"):
      kernel, bias = params[name]["kernel"], params[name]["bias"]
      # fc6: its 7 x 7 taps lie four cells apart.
      x = jax.nn.relu(conv.conv2d(x, kernel, dilation=4) + bias)
    head = params["head_logits"]
    x = conv.conv2d(x, head["kernel"]) + head["bias"]
    module = context.ContextModule(dilations=(1, 2, 1))
    x = module.apply({"params": params["context_logits"]}, x)
    x = conv.conv_transpose(x, conv.bilinear_kernel(16, 2), stride=8, padding=4)
    return x[:, :11]

  want = by_hand(image)
  got = probe.run(model, variables, image)
  assert want.shape == (1, 11, 16, 2)
  np.testing.assert_allclose(got["logits"], want, atol=1e-5)


def test_mistakes_are_named():
  model = MODELS["dilated_vgg"](outputs={"logits": 2}, context="huge")
  with pytest.raises(types.UserError, match="context='huge'"):
    probe.shapes(model, 8)
  module = context.ContextModule(padding="valid_")
  with pytest.raises(types.UserError, match="'same', 'first', 'valid'"):
    probe.shapes(module, 8, train=None)
