"""SimpleBaseline and the regressor: exact counts, strides, what they see."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn

from jaxseg.encoders import ENCODERS
from jaxseg.models import MODELS
from tests import probe, quick
from tests.tiny import RESNET

# ResNets without their classifiers of 1000 classes.
RESNETS = {
  "resnet18": (512, 11_689_512 - 513 * 1000),
  "resnet50": (2048, 25_557_032 - 2049 * 1000),
  "resnet101": (2048, 44_549_160 - 2049 * 1000),
  "resnet152": (2048, 60_192_808 - 2049 * 1000),
}
# With 17 joints; the tables of the field say 34.0 M, 53.0 M and 68.6 M.
KNOWN = {
  "resnet50": 33_999_697,
  "resnet101": 52_991_825,
  "resnet152": 68_635_473,
}


@pytest.mark.parametrize("name", RESNETS)
def test_simple_baseline_counts(name):
  """4x4 kernels without biases, scale and bias of the norms, a 1x1 head."""
  channels, encoder = RESNETS[name]
  first = 16 * channels * 256 + 2 * 256
  others = 2 * (16 * 256 * 256 + 2 * 256)
  want = encoder + first + others + 257 * 17
  model = MODELS["simple_baseline"](
    outputs={"keypoints": 17}, encoder=ENCODERS[name]()
  )
  assert want == KNOWN.get(name, want)
  assert probe.parameters(model) == want


def test_heads_are_a_quarter_of_the_image():
  """256 x 192 gives 64 x 48, the paper's, before it grows."""
  seen = []

  def look(method, args, kwargs, context):
    y = method(*args, **kwargs)
    if context.module.name == "head_keypoints":
      seen.append(y.shape)
    return y

  model = MODELS["simple_baseline"](outputs={"keypoints": 17})
  with nn.intercept_methods(look):
    out, _ = probe.shapes(model, (256, 192))
  assert seen == [(1, 64, 48, 17)]
  assert out["keypoints"].shape == (1, 256, 192, 17)


def test_regressor_count_and_one_vector_for_all_pixels(random_variables):
  model = MODELS["regressor"](outputs={"keypoints": 136})
  want = RESNETS["resnet18"][1] + (16 * 512 + 2) * 256 + 257 * 136
  assert probe.parameters(model, (96, 80)) == want
  assert probe.parameters(model, (224, 224)) == want  # whatever the size

  small = MODELS["regressor"](
    outputs={"keypoints": 6}, encoder=ENCODERS["resnet18"](**RESNET), hidden=8
  )
  image = np.random.default_rng(0).random((2, 70, 50, 3), np.float32)
  variables = random_variables(small, image)
  out = probe.run(small, variables, image)["keypoints"]
  assert out.shape == (2, 70, 50, 6)
  np.testing.assert_array_equal(out, np.broadcast_to(out[:, :1, :1], out.shape))
  assert np.abs(out[0, 0, 0] - out[1, 0, 0]).max() > 1e-3


def test_a_grid_sees_where_things_are_and_global_pooling_does_not():
  """The same map of features, its columns in reverse: told apart, or not."""

  class Columns(nn.Module):
    """The image at stride 32 as the encoder's only map."""

    dtype: str = "float32"

    @nn.compact
    def __call__(self, image, *, train):
      return {"c5": image[:, ::32, ::32]}

  image = np.random.default_rng(1).random((1, 128, 128, 3), np.float32)
  reverse = np.asarray(image).reshape(1, 4, 32, 4, 32, 3)[:, :, :, ::-1]
  reverse = reverse.reshape(image.shape)
  moved = {}
  for grid in (1, 4):
    model = MODELS["regressor"](
      outputs={"keypoints": 2}, encoder=Columns(), grid=grid, hidden=0
    )
    variables = quick.jit(
      lambda x, model=model: model.init(jax.random.key(0), x, train=False)
    )(image)
    a, b = (
      probe.run(model, variables, jnp.asarray(x))["keypoints"]
      for x in (image, reverse)
    )
    moved[grid] = float(np.abs(a - b).max())
  assert moved[1] < 1e-5
  assert moved[4] > 1e-2


class Positive(nn.Module):
  """256 positive maps at stride 32, as a ReLU leaves them."""

  dtype: str = "float32"

  @nn.compact
  def __call__(self, image, *, train):
    mix = jax.random.normal(jax.random.key(5), (3, 256))
    return {"c5": nn.relu(image[:, ::32, ::32] @ mix)}


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_the_hidden_layer_outlives_adam(norm):
  """Eight images learned by heart at 1e-3; not so if nothing is normalised."""
  model = MODELS["regressor"](
    outputs={"keypoints": 136}, encoder=Positive(), hidden=128, norm=norm
  )
  rng = np.random.default_rng(0)
  image = jnp.asarray(rng.random((8, 128, 128, 3), np.float32))
  wanted = jnp.asarray(rng.random((8, 136), np.float32))
  variables = quick.jit(
    lambda x: model.init(jax.random.key(0), x, train=False)
  )(image)
  tx = optax.adam(1e-3)

  def loss(params, stats):
    out, new = model.apply(
      {"params": params, **stats}, image, train=True, mutable=["batch_stats"]
    )
    return jnp.square(out["keypoints"][:, 0, 0] - wanted).mean(), new

  @quick.jit
  def trained(variables):
    def step(carry, _):
      params, stats, opt = carry
      (value, stats), grads = jax.value_and_grad(loss, has_aux=True)(
        params, stats
      )
      updates, opt = tx.update(grads, opt)
      return (optax.apply_updates(params, updates), stats, opt), value

    params = variables.pop("params")
    carry = (params, variables, tx.init(params))
    return jax.lax.scan(step, carry, None, 60)[1]

  curve = trained(dict(variables))
  spread = float(wanted.var(0).mean())  # what a constant answer leaves
  if norm == "none":
    assert curve[-1] > 0.8 * spread
  else:
    assert curve[-1] < 0.1 * spread
