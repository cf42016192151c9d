"""DeconvNet: counts, sizes beyond 224, symmetry."""

import jax
import jax.numpy as jnp

from jaxseg.models import MODELS

VGG = [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
DECODER = [512] * 5 + [256] * 3 + [128] * 2 + [64] * 3


def shapes(model, size):
  return jax.eval_shape(
    lambda x: model.init_with_output(jax.random.key(0), x, train=False),
    jax.ShapeDtypeStruct((1, *size, 3), jnp.float32),
  )


def count(model):
  params = shapes(model, (64, 64))[1]["params"]
  return sum(x.size for x in jax.tree.leaves(params))


def traced(model, size):
  """Output and intermediate maps of one image, as shapes."""

  def run(image):
    variables = model.init(jax.random.key(0), image, train=False)
    return model.apply(
      variables, image, train=False, capture_intermediates=True
    )

  image = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
  return jax.eval_shape(run, image)


def test_counts():
  """VGG, fc6 and its mirror image (49 taps each), fc7, 3x3 up, 1x1 score."""
  convs = sum(9 * i * o + o for i, o in zip([3, *VGG], VGG))
  convs += sum(9 * i * o + o for i, o in zip([512, *DECODER], DECODER))
  convs += 49 * 512 * 4096 + 4096 + 4096**2 + 4096 + 49 * 4096 * 512 + 512
  convs += 64 * 21 + 21
  assert convs == 251_772_245
  norms = 2 * (sum(VGG) + sum(DECODER) + 2 * 4096 + 512)
  assert convs + norms == 251_805_653
  model = MODELS["deconvnet"](outputs={"logits": 21})
  assert count(model.clone(batch_norm=False)) == convs
  assert count(model) == convs + norms


def test_any_size():
  """224 gives one vector, 320 x 256 gives 4 x 2 of them, 1 is set in zeros."""
  model = MODELS["deconvnet"](outputs={"logits": 2}, width=2, fc_width=8)
  for size, vectors in (
    ((224, 224), (1, 1)),
    ((320, 256), (4, 2)),
    ((1, 225), (1, 2)),
  ):
    out, state = traced(model, size)
    assert out["logits"].shape == (1, *size, 2)
    fc7 = state["intermediates"]["fc7"]["__call__"][0]
    assert fc7.shape[1:3] == vectors


def test_shape_is_symmetric():
  """Reduced width at 64 x 64: stage k up has the size and width of k down."""
  model = MODELS["deconvnet"](outputs={"logits": 2}, width=4, fc_width=8)
  out, state = traced(model, (64, 64))
  maps = state["intermediates"]
  down = maps["encoder"]["__call__"][0]
  for stage in range(1, 6):
    up = maps[f"up{stage}_1"]["__call__"][0]
    assert up.shape == down[f"c{stage - 1}"].shape
  assert out["logits"].shape == (1, 64, 64, 2)
