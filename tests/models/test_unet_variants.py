"""U-Net on MobileNetV2 (the tutorial's count) and with residual blocks."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import types
from jaxseg.models import MODELS, pets_unet, residual_unet
from jaxseg.state import count
from tests import probe, quick


def test_count_of_the_tutorial():
  """Keras counts running statistics; the encoder is frozen there.

  The way back: transposed 3x3 without bias and a normalisation, onto skips of
  576, 192, 144 and 96 channels; the last one has a bias and none.
  """
  model = MODELS["unet_mobilenet_v2"](outputs={"logits": 3})
  out, variables = probe.shapes(model, (128, 128))
  assert out["logits"].shape == (1, 128, 128, 3)
  back = {"trained": 0, "statistics": 0}
  inputs = (320, 512 + 576, 256 + 192, 128 + 144)
  for i, o in zip(inputs, (512, 256, 128, 64)):
    back["trained"] += 9 * i * o + 2 * o
    back["statistics"] += 2 * o
  back["trained"] += 9 * (64 + 96) * 3 + 3
  assert back["trained"] == 4_660_323
  assert 1_841_984 + sum(back.values()) == 6_504_227
  params, stats = variables["params"], variables["batch_stats"]
  assert count(variables) == 6_504_227
  assert count(params["encoder"]) + count(stats["encoder"]) == 1_841_984
  assert count(params) - count(params["encoder"]) == 4_660_323


def test_skips_leave_the_blocks_after_their_expansion():
  """Channels and sizes of block_1, 3, 6, 13 _expand and block_16_project."""
  model = MODELS["unet_mobilenet_v2"](outputs={"logits": 3})

  def run(x):
    variables = model.init(jax.random.key(0), x, train=False)
    return model.apply(variables, x, False, method=model._encode)

  last, taps = jax.eval_shape(
    run, jax.ShapeDtypeStruct((1, 128, 128, 3), jnp.float32)
  )
  assert last.shape == (1, 4, 4, 320)
  want = [(64, 96), (32, 144), (16, 192), (8, 576)]
  got = [taps[name].shape for name in pets_unet.TAPS]
  assert got == [(1, side, side, c) for side, c in want]


def test_last_map_is_not_normalised(random_variables):
  """It is the convolution's: twice the kernel, twice the map."""
  encoder = MODELS["unet_mobilenet_v2"].fields["encoder"].clone(width=0.1)
  model = MODELS["unet_mobilenet_v2"](
    outputs={"logits": 3}, encoder=encoder, widths=(4, 4, 4, 4)
  )
  image = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
  variables = random_variables(model, image)
  project = variables["params"]["encoder"]["block17"]["project"]
  assert set(project) == {"conv"}

  @quick.jit
  def run(kernel):
    params = jax.tree.map(lambda x: x, variables["params"])
    params["encoder"]["block17"]["project"]["conv"]["kernel"] = kernel
    return model.apply(
      {**variables, "params": params}, image, False, method=model._encode
    )[0]

  once, twice = (
    run(project["conv"]["kernel"]),
    run(2 * project["conv"]["kernel"]),
  )
  assert np.abs(once).max() > 1e-3
  np.testing.assert_allclose(twice, 2 * once, rtol=1e-4)


def formula(width, depth, classes):
  """Convolutions without bias, normalisations, per level and block."""

  def block(i, o, first=False):
    norms = (0 if first else 2 * i) + 2 * o + 2 * o
    return 9 * i * o + 9 * o * o + i * o + norms

  level = [width * 2**k for k in range(depth + 1)]
  count = block(3, level[0], first=True)
  for i, o in itertools.pairwise(level):
    count += block(i, o) + block(o + i, i)
  return count + width * classes + classes


@pytest.mark.parametrize(("width", "depth"), [(64, 3), (16, 4), (8, 1)])
def test_count_of_the_residual_variant(width, depth):
  model = MODELS["residual_unet"](
    outputs={"logits": 2}, width=width, depth=depth
  )
  out, variables = probe.shapes(model, (97, 130))
  assert count(variables["params"]) == formula(width, depth, 2)
  assert out["logits"].shape == (1, 97, 130, 2)


def test_three_by_three_kernels_of_the_paper():
  """Its 7.8 M parameters are the 3x3 convolutions of fourteen layers."""
  params = probe.variables(MODELS["residual_unet"](outputs={"logits": 1}))
  sizes = [
    x.size for x in jax.tree.leaves(params["params"]) if x.shape[:2] == (3, 3)
  ]
  assert len(sizes) == 14
  assert sum(sizes) == 7_780_032


def test_block_without_its_convolutions_is_the_shortcut():
  """Zero kernels in the branch: a normalised 1x1 of the input is left."""
  x = np.random.default_rng(0).normal(size=(2, 6, 8, 3)).astype(np.float32)
  block = residual_unet.PreActivationBlock(4, stride=2)

  @quick.jit
  def run(x):
    variables = block.init(jax.random.key(0), x, train=False)
    params = dict(variables["params"])
    params["conv2"] = jax.tree.map(jnp.zeros_like, params["conv2"])
    variables = {**variables, "params": params}
    return block.apply(variables, x, train=False), params["shortcut"]["kernel"]

  got, kernel = run(x)
  want = x[:, ::2, ::2] @ np.asarray(kernel)[0, 0] / np.sqrt(1 + 1e-5)
  assert np.abs(want).max() > 0.1
  np.testing.assert_allclose(got, want, atol=1e-5)


def test_unknown_norm_is_refused():
  model = MODELS["residual_unet"](outputs={"logits": 2}, norm="layer")
  with pytest.raises(types.UserError, match="norm='layer'"):
    probe.shapes(model, (16, 16))
