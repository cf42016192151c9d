"""The patch classifier: dense equals patch by patch; context is needed."""

import jax
import numpy as np
import optax
import pytest

from jaxseg import types
from jaxseg.models import MODELS, patch
from tests import probe, quick


@pytest.mark.parametrize(
  ("width", "border", "mode"),
  [(1, "mirror", "reflect"), (5, "zero", "constant"), (9, "mirror", "reflect")],
)
def test_dense_equals_every_patch_by_itself(
  width, border, mode, random_variables
):
  model = MODELS["patch"](
    outputs={"logits": 3}, patch=width, width=4, depth=2, border=border
  )
  image = np.random.default_rng(0).random((2, 11, 14, 3), np.float32)
  variables = random_variables(model, image)
  reach = (width - 1) // 2
  pads = ((0, 0), (reach, reach), (reach, reach), (0, 0))
  padded = np.pad(image, pads, mode=mode)
  patches = np.stack(
    [
      padded[b, y : y + width, x : x + width]
      for b, y, x in np.ndindex(2, 11, 14)
    ]
  )
  single = model.clone(border="none")
  got, want = quick.jit(
    lambda v: (
      model.apply(v, image, train=False)["logits"],
      single.apply(v, patches, train=False)["logits"],
    )
  )(variables)
  assert want.shape == (2 * 11 * 14, 1, 1, 3)
  assert np.std(want) > 0.1
  np.testing.assert_allclose(got, want.reshape(2, 11, 14, 3), atol=1e-5)


def textures(rng, count, size=24):
  """Rows or columns of black and white pairs: one histogram, two textures.

  The texture changes in the middle of the image, left or right by chance.
  """
  line = np.arange(size) // 2 % 2
  rows = np.broadcast_to(line[:, None], (size, size))
  image, label = [], []
  for _ in range(count):
    side = rng.random() < 0.5
    mask = (np.arange(size) < size // 2) == side
    mask = np.broadcast_to(mask, (size, size))
    shift = rng.integers(0, 4, 2)
    a, b = np.roll(rows, shift[0], 0), np.roll(rows.T, shift[1], 1)
    image.append(np.where(mask, a, b))
    label.append(mask)
  image = np.repeat(np.stack(image)[..., None], 3, -1).astype(np.float32)
  return image, np.stack(label).astype(np.int32)


def accuracy_after_training(width, steps=60):
  rng = np.random.default_rng(0)
  image, label = textures(rng, 8)
  test_image, test_label = textures(rng, 8)
  assert abs(image[label == 0].mean() - image[label == 1].mean()) < 0.01
  model = patch.PatchClassifier(
    {"logits": 2}, patch=width, width=8, depth=2, fc_width=16
  )
  params = jax.jit(lambda: model.init(jax.random.key(0), image, train=False))()
  optimizer = optax.adam(1e-2)

  @jax.jit
  def step(params, state):
    def loss(params):
      out = model.apply(params, image, train=True)["logits"]
      losses = optax.softmax_cross_entropy_with_integer_labels(out, label)
      return losses.mean()

    updates, state = optimizer.update(jax.grad(loss)(params), state)
    return optax.apply_updates(params, updates), state

  state = optimizer.init(params)
  for _ in range(steps):
    params, state = step(params, state)
  out = quick.jit(lambda p, x: model.apply(p, x, train=False))(
    params, test_image
  )
  return np.mean(np.argmax(out["logits"], -1) == test_label)


@pytest.mark.slow
def test_one_pixel_is_not_enough():
  """Two textures of one histogram: chance without context, learned with it."""
  assert accuracy_after_training(1) <= 0.55
  assert accuracy_after_training(9) > 0.95


def test_mistakes_are_named():
  def init(size, **fields):
    probe.shapes(MODELS["patch"](outputs={"logits": 2}, **fields), size)

  with pytest.raises(types.UserError, match="patch=8 has no centre"):
    init(9, patch=8)
  with pytest.raises(types.UserError, match="h and w of at least 9"):
    init((8, 20), patch=9, border="none")
  with pytest.raises(types.UserError, match="border='wrap'"):
    init((8, 20), border="wrap")
