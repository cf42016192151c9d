"""The network of Zhang, Isola and Efros, layer by layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.models import MODELS
from jaxseg.ops import color, resize
from tests import probe

# (input, output) channels of the 3x3 convolutions of each block.
BLOCKS = [
  [(1, 64), (64, 64)],
  [(64, 128), (128, 128)],
  [(128, 256), (256, 256), (256, 256)],
  [(256, 512), (512, 512), (512, 512)],
  *[[(512, 512)] * 3] * 3,
]


def test_the_published_number_of_parameters():
  convs = sum(9 * a * b + b for block in BLOCKS for a, b in block)
  norms = sum(2 * block[-1][1] for block in BLOCKS)
  convs += 16 * 512 * 256 + 256 + 2 * (9 * 256 * 256 + 256)
  convs += 256 * 313 + 313
  assert convs == 32_230_393
  model = MODELS["colorization"](outputs={"logits": 313})
  assert probe.parameters(model) == convs + norms == 32_235_385


@pytest.mark.parametrize(
  ("size", "want"), [((176, 176), (44, 44)), ((33, 50), (9, 13))]
)
def test_coarse_logits_have_a_quarter_of_the_size(size, want):
  model = MODELS["colorization"](outputs={"logits": 7}, width=4, coarse=True)
  out, _ = probe.shapes(model, size)
  assert out["logits"].shape == (1, *want, 7)


def test_maps_inside_have_the_papers_strides():
  model = MODELS["colorization"](outputs={"logits": 7}, width=4)
  shape = jax.ShapeDtypeStruct((1, 176, 176, 3), jnp.float32)

  def run(x):
    variables = model.init(jax.random.key(0), x, train=False)
    return model.apply(variables, x, train=False, capture_intermediates=True)

  _, state = jax.eval_shape(run, shape)
  seen = {
    k: v["__call__"][0].shape[1:]
    for k, v in state["intermediates"].items()
    if k.startswith("conv")
  }
  assert seen["conv1_1"] == (176, 176, 4)
  # The last of each block strides, and what normalises it keeps the size.
  sides = {"1_2": 88, "2_2": 44, "3_3": 22, "5_3": 22, "7_3": 22}
  for name, side in sides.items():
    assert seen[f"conv{name}"][0] == side, name
  assert seen["conv8_3"] == seen["conv8_1"] == (44, 44, 16)


def test_only_the_lightness_is_seen(random_variables):
  """Colours of one lightness, one answer; coarse is what gets enlarged."""
  model = MODELS["colorization"](outputs={"logits": 3}, width=4)
  lab = np.full((2, 16, 24, 3), 60, np.float32)
  lab[..., 0] += np.random.default_rng(0).normal(0, 3, (16, 24))
  lab[0, ..., 1:] = (20, -10)
  lab[1, ..., 1:] = (-15, 30)
  image = np.asarray(color.lab_to_rgb(lab))
  variables = random_variables(model, image)
  out = probe.run(model, variables, image)["logits"]
  np.testing.assert_allclose(out[0], out[1], atol=1e-3 * np.abs(out).max())
  coarse = model.clone(coarse=True)
  small = probe.run(coarse, variables, image)["logits"]
  np.testing.assert_allclose(
    resize.resize_bilinear(small, (16, 24)), out, atol=1e-5
  )
