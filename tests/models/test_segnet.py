"""SegNet and SegNet-Basic: counts, sizes, whose indices unpool."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.models import MODELS, segnet
from jaxseg.ops import unpool
from tests import quick

VGG = [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
DECODER = [512] * 5 + [256] * 3 + [128] * 2 + [64] * 2


def formula(classes):
  """Convolutions with biases; (with BN affine; with BN, no hidden biases)."""
  widths = [3, *VGG, *DECODER]
  total = sum(9 * i * o + o for i, o in itertools.pairwise(widths))
  total += 9 * 64 * classes + classes
  hidden = sum(VGG) + sum(DECODER)
  return total, total + 2 * hidden, total + hidden


def shapes(model, size):
  return jax.eval_shape(
    lambda x: model.init_with_output(jax.random.key(0), x, train=False),
    jax.ShapeDtypeStruct((1, *size, 3), jnp.float32),
  )


def count(model, without=()):
  """Numbers of the parameters, less leaves whose path holds all of a set."""
  params = shapes(model, (64, 64))[1]["params"]
  return sum(
    x.size
    for path, x in jax.tree_util.tree_leaves_with_path(params)
    if not (without and without(jax.tree_util.keystr(path)))
  )


@pytest.mark.parametrize(
  ("classes", "plain", "norm", "no_bias"),
  [
    (11, 29_433_483, 29_449_355, 29_441_419),
    (12, 29_434_060, 29_449_932, 29_441_996),
    (21, 29_439_253, 29_455_125, 29_447_189),
  ],
)
def test_counts(classes, plain, norm, no_bias):
  assert formula(classes) == (plain, norm, no_bias)
  model = MODELS["segnet"](outputs={"logits": classes})
  assert count(model.clone(batch_norm=False)) == plain
  assert count(model) == norm
  # A bias before a normalisation does nothing: some forms leave it out.
  assert no_bias == count(
    model,
    lambda path: "conv" in path and "bias" in path and "head" not in path,
  )


def test_counts_of_basic():
  """7x7 throughout; seven of 64 to 64 channels, eight normalisations."""
  conv = 49 * 3 * 64 + 64 + 7 * (49 * 64 * 64 + 64) + 64 * 11 + 11
  assert conv == 1_415_563
  model = MODELS["segnet_basic"](outputs={"logits": 11})
  assert count(model) == conv + 8 * 2 * 64 == 1_416_587
  assert count(model, lambda path: "norm" in path) == conv


def test_sizes_of_camvid(monkeypatch):
  """360 x 480 has maps of 45 x 60 and 23 x 30, and they come back."""
  seen = []
  real = unpool.max_unpool

  def spy(x, indices, size, **options):
    seen.append((x.shape[1:3], size))
    return real(x, indices, size, **options)

  monkeypatch.setattr(unpool, "max_unpool", spy)
  model = MODELS["segnet"](outputs={"logits": 11}, width=2)
  out, _ = shapes(model, (360, 480))
  assert out["logits"].shape == (1, 360, 480, 11)
  maps = [(12, 15), (23, 30), (45, 60), (90, 120), (180, 240), (360, 480)]
  assert seen[:5] == list(itertools.pairwise(maps))


def test_unpooling_reads_the_mirrored_pooling(random_variables, monkeypatch):
  """Indices of another image, or of the mirror image, change the logits."""
  model = segnet.SegNetBasic({"logits": 3}, width=4, kernel=3, depth=2)
  image = np.random.default_rng(0).random((1, 18, 21, 3), np.float32)
  variables = random_variables(model, image)

  def run():
    return np.asarray(
      quick.jit(lambda v, x: model.apply(v, x, train=False)["logits"])(
        variables, image
      )
    )

  right = run()
  real = unpool.max_pool_with_indices

  def swapped(x, window=2, **options):
    values, _ = real(x, window, **options)
    _, indices = real(-x, window, **options)  # where the minima are
    return values, indices

  monkeypatch.setattr(unpool, "max_pool_with_indices", swapped)
  assert np.abs(run() - right).max() > 0.01


def test_basic_has_no_relu_in_its_decoder(random_variables):
  model = segnet.SegNetBasic({"logits": 3}, width=4, kernel=3, depth=2)
  image = np.random.default_rng(0).random((1, 16, 16, 3), np.float32)
  variables = random_variables(model, image)
  _, state = quick.jit(
    lambda v, x: model.apply(v, x, train=False, capture_intermediates=True)
  )(variables, image)
  maps = {
    name: value["__call__"][0]
    for name, value in state["intermediates"].items()
    if name.startswith(("up", "down"))
  }
  assert set(maps) == {"up1", "up2", "down1", "down2"}
  for name, value in maps.items():
    assert (value.min() < 0) == name.startswith("up"), name
