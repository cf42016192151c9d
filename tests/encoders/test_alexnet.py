"""AlexNet: exact count, maps, receptive field."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import encoders, types
from jaxseg.state import count
from tests import probe, quick


def test_count():
  widths = (3, 64, 192, 384, 256, 256)
  kernels = (11, 5, 3, 3, 3)
  convs = sum(
    (k**2 * a + 1) * b for k, a, b in zip(kernels, widths, widths[1:])
  )
  dense = (36 * 256 + 1) * 4096 + 4097 * 4096 + 4097 * 1000
  assert convs + dense == 61_100_840
  model = encoders.AlexNetClassifier(encoders.ENCODERS["alexnet"]())
  logits, tree = probe.shapes(model, 224, batch=2)
  assert logits.shape == (2, 1000)
  assert count(tree["params"]) == 61_100_840


def test_maps():
  maps, _ = probe.shapes(encoders.ENCODERS["alexnet"](), (224, 63), batch=2)
  # (n - 7) // 4 + 1, then (n - 3) // 2 + 1 per pooling.
  assert {k: v.shape for k, v in maps.items()} == {
    "c2": (2, 55, 15, 64),
    "c3": (2, 27, 7, 192),
    "c4": (2, 13, 3, 256),
    "c5": (2, 6, 1, 256),
  }


def test_receptive_field(random_variables):
  """195 pixels at stride 32. Unit i starts at 32 i - 66: 2 zeros at conv1,
  2 * 8 at conv2, 3 * 16 behind. 11 + 2 * 4 (pool) + 4 * 8 + 2 * 8 (pool)
  + 3 * 2 * 16 + 2 * 16 (pool) = 195."""
  encoder = encoders.AlexNet(width=8, normalization="none")
  start, unit = 32 * 5 - 66, 5
  image = np.full((4, 63, 451, 1), 0.5, np.float32)
  for i, column in enumerate((start - 1, start, start + 194, start + 195)):
    image[i, :, column] = np.nan
  variables = random_variables(encoder, image)
  top = probe.run(encoder, variables, image)["c5"]
  seen = np.isnan(top[:, 0, unit]).any(-1)
  assert seen.tolist() == [False, True, True, False]


def test_every_parameter_of_the_classifier_is_used(random_variables):
  encoder = encoders.AlexNet(width=8)
  model = encoders.AlexNetClassifier(encoder, 5, fc_width=16, dropout=0.5)
  image = np.random.default_rng(0).random((2, 223, 230, 3), np.float32)
  variables = random_variables(model, image)

  @quick.jit
  def gradients(params):
    def total(params):
      logits = model.apply(
        {"params": params},
        image,
        train=True,
        rngs={"dropout": jax.random.key(0)},
      )
      return jnp.sin(logits).sum()

    return jax.grad(total)(params)

  grads = gradients(variables["params"])
  for path, g in jax.tree_util.tree_leaves_with_path(grads):
    assert np.abs(g).max() > 0, jax.tree_util.keystr(path)


def test_it_has_one_stride():
  with pytest.raises(types.UserError, match="output_stride=16; expected 32"):
    probe.shapes(encoders.ENCODERS["alexnet"](output_stride=16))
