"""Colours are found from the lightness alone, and the lightness stays."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from jaxseg import answer, assignment, inference, native
from jaxseg.models import MODELS
from jaxseg.ops import color
from jaxseg.state import create_state
from jaxseg.step import make_train_step
from jaxseg.tasks import Colorization, colorization
from jaxseg.types import UserError
from tests import quick

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (2, 13, 18, 3)).astype(np.float32) / 255
TASK = Colorization(grid=20.0)
Q = TASK.outputs["logits"]
ORANGE = int(np.argmin(np.abs(TASK.bins - (20, 20)).sum(-1)))


def batch_of(task=TASK, image=IMAGE):
  return answer.prepared(task, {"image": jnp.asarray(image)})


def loss_of(task):
  return lambda out, batch: sum(
    m.compute() for m in task.loss(out, batch).values()
  )


def total(task, out, batch):
  return float(quick.jit(loss_of(task))(out, batch))


def brute(logits, ab, task, weights):
  """The mean of the loss of each pixel, written out."""
  terms = []
  for z, colour in zip(logits.reshape(-1, Q), ab.reshape(-1, 2)):
    square = ((task.bins - colour) ** 2).sum(-1)
    near = np.argsort(square)[: task.neighbours]
    share = np.exp(-square[near] / (2 * task.sigma**2))
    share /= share.sum()
    logp = z - np.log(np.exp(z).sum())
    terms.append(-weights[near[0]] * (share * logp[near]).sum())
  return np.mean(terms)


def test_the_loss_is_the_papers():
  logits = RNG.normal(size=(2, 13, 18, Q)).astype(np.float32)
  batch = batch_of()
  ab = np.asarray(batch["ab"], np.float64)
  got = total(TASK, {"logits": logits}, batch)
  assert got == pytest.approx(brute(logits, ab, TASK, np.ones(Q)), rel=1e-5)
  prior = RNG.random(Q) ** 3
  prior /= prior.sum()
  task = Colorization(20.0, prior=tuple(prior), uniform=0.3)
  weights = 1 / (0.7 * prior + 0.3 / Q)
  weights /= prior @ weights
  got = total(task, {"logits": logits}, batch)
  assert got == pytest.approx(brute(logits, ab, task, weights), rel=1e-5)


def test_coarse_logits_meet_the_mean_of_their_block():
  ab = batch_of()["ab"]
  small = colorization.shrink(ab, (4, 5))
  assert small.shape == (2, 4, 5, 2)
  np.testing.assert_allclose(
    small[:, 1, 2], ab[:, 4:8, 8:12].mean((1, 2)), atol=1e-4
  )
  np.testing.assert_array_equal(colorization.shrink(ab, (13, 18)), ab)
  # The stride is 4 for every size: 9 pixels are blocks of 4, 4 and 1.
  small = colorization.shrink(ab[:, :9, :5], (3, 2))
  np.testing.assert_allclose(
    small[:, 1, 0], ab[:, 4:8, :4].mean((1, 2)), atol=1e-4
  )
  with pytest.raises(UserError, match="a half, a quarter"):
    colorization.shrink(ab, (5, 5))


def test_the_network_never_sees_colours():
  """Another picture of the same lightness has the same input."""
  grey = np.asarray(TASK.inputs({"image": IMAGE})[0])
  assert (grey == grey[..., :1]).all()
  lightness = color.rgb_to_lab(IMAGE)[..., :1]
  other = jnp.concatenate([lightness, jnp.full((2, 13, 18, 2), 4.0)], -1)
  again = TASK.inputs({"image": color.lab_to_rgb(other)})[0]
  inner = (lightness[..., 0] > 10) & (lightness[..., 0] < 90)  # in gamut
  np.testing.assert_allclose(again[inner], grey[inner], atol=1e-4)


def test_the_answer_has_the_lightness_of_the_picture():
  """Colours of the logits, enlarged; lightness of the picture."""
  lab = np.zeros((1, 8, 8, 3), np.float32)
  lab[..., 0] = RNG.uniform(50, 70, (1, 8, 8))
  image = color.lab_to_rgb(lab)
  logits = jnp.full((1, 2, 2, Q), -60.0).at[..., ORANGE].set(60.0)
  got = answer.compose(TASK, TASK.predict({"logits": logits}), image)["image"]
  want = np.concatenate([lab[..., :1], np.full((1, 8, 8, 2), 20.0)], -1)
  np.testing.assert_allclose(color.rgb_to_lab(got), want, atol=0.01)


@pytest.mark.parametrize("size", [None, (8, 8)], ids=["own size", "resized"])
def test_every_road_gives_the_lightness_at_the_pictures_own_size(size):
  class Net:
    def apply(self, variables, image, train):
      flat = jnp.zeros((*image.shape[:3], Q))
      return {"logits": flat.at[..., ORANGE].set(99.0)[:, ::4, ::4]}

  forward = inference.build_forward(Net(), TASK)
  pixels = RNG.integers(60, 190, (20, 30, 1), np.uint8).repeat(3, -1)
  fit = None if size is None else lambda x, size: x[: size[0], : size[1]]
  run = native.native(forward, TASK, size, fit, bucket=32)
  got = run({}, pixels)
  assert got.keys() == {"image"}
  whole = quick.jit(inference.build(Net(), TASK))({}, pixels[None] / 255.0)
  np.testing.assert_allclose(got["image"], whole["image"][0], atol=1e-5)
  # sRGB cannot show that colour at every lightness; where it can, L stays.
  lab, want = color.rgb_to_lab(got["image"]), color.rgb_to_lab(pixels / 255.0)
  inside = ((got["image"] > 0) & (got["image"] < 1)).all(-1)
  assert inside.any()
  np.testing.assert_allclose(
    lab[..., 0][inside], want[..., 0][inside], atol=0.01
  )


def test_grey_pictures_can_be_left_out():
  image = IMAGE.copy()
  image[1] = image[1, ..., :1]
  logits = RNG.normal(size=(2, 13, 18, Q)).astype(np.float32)
  skip = Colorization(grid=20.0, skip_grey=True)
  both = batch_of(skip, image)
  alone = batch_of(skip, image[:1])
  got = total(skip, {"logits": logits}, both)
  want = total(skip, {"logits": logits[:1]}, alone)
  assert got == pytest.approx(want, rel=1e-5)
  assert got != pytest.approx(total(TASK, {"logits": logits}, both))
  slope = quick.jit(jax.grad(loss_of(skip)))
  grad = np.asarray(slope({"logits": logits}, both)["logits"])
  assert (grad[1] == 0).all()
  assert (grad[0] != 0).any()
  # One pixel of colour, and it counts.
  image[1, 0, 0] = (1, 0, 0)
  grad = slope({"logits": logits}, batch_of(skip, image))["logits"]
  assert (np.asarray(grad[1]) != 0).any()


@pytest.mark.parametrize(
  ("fields", "says"),
  [
    ({"temperature": 0.0}, "task.temperature = 0.0"),
    ({"neighbours": 0}, "1 to 261"),
    ({"prior": (0.5, 0.5)}, "expected 261 frequencies"),
    ({"grid": 0.1}, "task.grid = 0.1"),
  ],
)
def test_mistakes_are_named(fields, says):
  with pytest.raises(UserError, match=says):
    Colorization(**fields)


def test_the_prior_is_read_from_a_file(tmp_path):
  path = tmp_path / "prior.txt"
  path.write_text("".join(f"{1 / Q}\n" for _ in range(Q)))
  config = ConfigDict(
    {"task": {"name": "colorization", "grid": 20.0, "prior": str(path)}}
  )
  task = assignment.make_task(config, None)
  assert task.prior == (1 / Q,) * Q
  config.task.prior = str(tmp_path / "none.txt")
  with pytest.raises(UserError, match=r"none\.txt' cannot be read"):
    assignment.make_task(config, None)
  config = ConfigDict({"task": {"name": "colorization", "losses": ("l1",)}})
  with pytest.raises(UserError, match="losses is not an option of Colorizat"):
    assignment.make_task(config, None)


@pytest.mark.slow
def test_a_small_net_learns_the_colours_of_four_pictures():
  """Each shape has its lightness and its colour; the house's train step."""
  rng = np.random.default_rng(0)
  images = np.full((4, 32, 32, 3), 0.5, np.float32)
  colours = np.array([(0.9, 0.2, 0.1), (0.1, 0.2, 0.8), (0.3, 0.9, 0.2)])
  for i, one in enumerate(images):
    y, x = rng.integers(0, 16, 2)
    one[y : y + 16, x : x + 16] = colours[i % 3]
  task = Colorization()
  model = MODELS["unet"](outputs=task.outputs, width=8, depth=2, norm="batch")
  tx = optax.adam(1e-2)
  key = jax.random.key(0)
  seen = task.inputs({"image": jnp.asarray(images)})
  state = quick.jit(lambda: create_state(model, tx, seen, key, False))()
  step = jax.jit(make_train_step(model, task, tx, lambda s: 1e-2, seed=0))
  for _ in range(120):
    state, _ = step(state, {"image": images})
  predict = quick.jit(inference.build(model, task))
  pred = predict(state.variables(), jnp.asarray(images))
  metric = task.metrics()["chroma"]
  update = quick.jit(metric.update)

  def auc(image):
    batch = {"image": images}
    state = update(metric.init(), {"image": image}, batch)
    return metric.result(jax.device_get(state))["auc_rebalanced"]

  assert auc(pred["image"]) > 0.95
  assert auc(np.asarray(seen[0])) < 0.7  # without any colour
