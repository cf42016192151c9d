"""The full-resolution net and the autoencoder."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseg.analysis import receptive_field
from jaxseg.models import MODELS, autoencoder
from tests import probe, quick


def test_full_resolution_count_and_receptive_field():
  model = MODELS["fullres"](outputs={"logits": 4}, norm="none")
  want = 9 * 3 * 64 + 64 + 7 * (9 * 64 * 64 + 64) + 64 * 4 + 4
  assert probe.parameters(model) == want
  small = model.clone(width=2)
  variables = receptive_field.positive_variables(probe.variables(small))
  rows, cols = receptive_field.measured(
    lambda x: small.apply(variables, x, train=False)["logits"],
    (32, 33, 3),
    (15, 16),
  )
  assert (rows, cols) == ((7, 23), (8, 24))  # 17 pixels for 8 layers


def test_autoencoder_has_a_bottleneck():
  model = MODELS["autoencoder"](outputs={"image": 3}, code=6, depth=3)
  assert model.compression(3) == 32  # 3 * 8 * 8 numbers in 6
  image = jax.ShapeDtypeStruct((2, 33, 40, 3), jnp.float32)

  def run(x):
    variables = model.init(jax.random.key(0), x, train=False)
    return model.apply(variables, x, train=False, capture_intermediates=True)

  out, state = jax.eval_shape(run, image)
  code = state["intermediates"]["code"]["__call__"][0]
  assert code.shape == (2, 5, 5, 6)
  assert out["image"].shape == (2, 33, 40, 3)


def test_nothing_passes_beside_the_code(random_variables):
  """Two images of one code have one reconstruction: a code of zeros."""
  model = MODELS["autoencoder"](outputs={"image": 3}, width=4, depth=2, code=4)
  rng = np.random.default_rng(0)
  image = rng.random((2, 16, 16, 3), np.float32)
  variables = random_variables(model, image)
  run = quick.jit(lambda v, x: model.apply(v, x, train=False)["image"])
  different = run(variables, image)
  assert np.abs(different[0] - different[1]).max() > 0.1
  variables["params"]["code"]["kernel"] *= 0
  same = run(variables, image)
  np.testing.assert_array_equal(same[0], same[1])


@pytest.mark.slow
def test_linear_autoencoder_spans_the_principal_components():
  """Angles to the top four components of 4 x 4 blocks under 5 degrees."""
  rng = np.random.default_rng(0)
  basis, _ = np.linalg.qr(rng.normal(size=(16, 16)))
  scale = np.array([4, 3, 2.5, 2, *[0.3] * 12])
  blocks = (rng.normal(size=(4 * 64, 16)) * scale) @ basis.T
  image = blocks.reshape(4, 8, 8, 4, 4).transpose(0, 1, 3, 2, 4)
  image = image.reshape(4, 32, 32, 1).astype(np.float32)
  model = autoencoder.Autoencoder({"image": 1}, code=4, depth=2, linear=True)
  params = jax.jit(lambda: model.init(jax.random.key(0), image, train=False))()
  optimizer = optax.adam(1e-2)

  @jax.jit
  def train(params):
    def loss(params):
      out = model.apply(params, image, train=True)["image"]
      return jnp.mean((out - image) ** 2)

    def step(carry, _):
      params, state = carry
      updates, state = optimizer.update(jax.grad(loss)(params), state)
      return (optax.apply_updates(params, updates), state), None

    carry = (params, optimizer.init(params))
    return jax.lax.scan(step, carry, None, length=1500)[0][0]

  kernel = train(params)["params"]["head_image"]["kernel"]  # (4, 4, 4, 1)
  stamps = np.asarray(kernel)[::-1, ::-1, :, 0].reshape(16, 4)
  mine, _ = np.linalg.qr(stamps)
  centred = blocks - blocks.mean(0)
  wanted = np.linalg.svd(centred, full_matrices=False)[2][:4].T
  cosines = np.linalg.svd(mine.T @ wanted, compute_uv=False)
  assert np.degrees(np.arccos(np.clip(cosines.min(), -1, 1))) < 5
