"""The truth is the clean image; evaluation has the same noise every time."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseg import answer, inference, native
from jaxseg.models import MODELS
from jaxseg.state import create_state
from jaxseg.step import make_train_step
from jaxseg.tasks import Denoising
from jaxseg.types import UserError
from tests import quick

RNG = np.random.default_rng(0)
CLEAN = RNG.uniform(0.2, 0.8, (3, 20, 24, 3)).astype(np.float32)
BATCH = {"image": CLEAN, "_id": np.array([4, 0, 7]), "_mask": np.ones(3, bool)}
LOSSES = (("l1", 1.0, ()), ("l2", 0.5, ()), ("huber", 1.0, ()))


def total(task, out, batch):
  return float(sum(m.compute() for m in task.loss(out, batch).values()))


@pytest.mark.parametrize("noise", ["gaussian", "salt_pepper", "pixels"])
def test_the_loss_never_reads_the_noisy_image(noise):
  """Whatever the noise, the same answer has the same loss, to the bit."""
  task = Denoising(noise, 0.3, losses=LOSSES)
  out = {"image": jnp.asarray(RNG.normal(size=CLEAN.shape), jnp.float32)}
  losses = set()
  for seed in range(3):
    batch = task.prepare(BATCH, jax.random.key(seed))
    assert (batch["noisy"] != CLEAN).any()
    np.testing.assert_array_equal(batch["image"], CLEAN)
    losses.add(total(task, out, batch))
    spoilt = {**batch, "noisy": jnp.full_like(batch["noisy"], jnp.nan)}
    losses.add(total(task, out, spoilt))
  assert len(losses) == 1
  errors = np.asarray(out["image"]) - CLEAN
  size = np.abs(errors)
  huber = np.where(size < 0.1, errors**2 / 2, 0.1 * (size - 0.05))
  want = size.mean() + 0.5 * (errors**2).mean() + huber.mean()
  assert losses.pop() == pytest.approx(want, rel=1e-5)


def test_the_clean_image_is_the_best_answer_and_the_noisy_one_is_not():
  for residual in (False, True):
    task = Denoising(residual=residual)
    batch = answer.prepared(task, BATCH)
    truth = batch["noisy"] - CLEAN if residual else CLEAN
    same = jnp.zeros_like(truth) if residual else batch["noisy"]
    assert total(task, {"image": truth}, batch) < 1e-12
    # Who gives the noisy image back is wrong by the variance of the noise.
    loss = total(task, {"image": same}, batch)
    assert loss == pytest.approx((25 / 255) ** 2, rel=0.1)


def test_a_residual_network_is_the_same_as_one_that_subtracts_inside():
  plain, residual = Denoising(), Denoising(residual=True)
  batch = answer.prepared(plain, BATCH)
  noise = jnp.asarray(0.1 * RNG.normal(size=CLEAN.shape), jnp.float32)
  image = batch["noisy"] - noise
  a = total(plain, {"image": image}, batch)
  b = total(residual, {"image": noise}, batch)
  assert a == pytest.approx(b, rel=1e-6)
  seen = batch["noisy"]
  one = answer.compose(plain, plain.predict({"image": image}), seen)
  two = answer.compose(residual, residual.predict({"image": noise}), seen)
  np.testing.assert_allclose(one["image"], two["image"], atol=1e-6)


def test_evaluation_has_the_noise_of_the_example_whatever_the_batch():
  task = Denoising()
  whole = answer.prepared(task, BATCH)["noisy"]
  rows = {k: v[2:] for k, v in BATCH.items()}
  np.testing.assert_array_equal(answer.prepared(task, rows)["noisy"], whole[2:])
  other = {**rows, "_id": np.array([5])}
  assert (answer.prepared(task, other)["noisy"] != whole[2:]).any()
  # In training another step has another key.
  steps = [task.prepare(BATCH, jax.random.key(i))["noisy"] for i in (1, 2)]
  assert (steps[0] != steps[1]).any()


def measure(task, out, batch):
  metric = task.metrics()["image"]
  seen = task.inputs(batch)[0]
  pred = answer.compose(task, task.predict(out), seen)
  state = quick.jit(metric.update)(metric.init(), pred, batch)
  return metric.result(jax.device_get(state))


def test_doing_nothing_gains_nothing_and_half_the_noise_gains_6_db():
  task = Denoising(residual=True, level=0.05)
  batch = answer.prepared(task, BATCH)
  noise = batch["noisy"] - CLEAN
  nothing = measure(task, {"image": 0 * noise}, batch)
  # 20 log10(1 / 0.05)
  assert nothing["psnr_before"] == pytest.approx(26.02, abs=0.2)
  assert nothing["psnr_gain"] == pytest.approx(0, abs=1e-3)
  half = measure(task, {"image": noise / 2}, batch)
  assert half["psnr_gain"] == pytest.approx(20 * np.log10(2), abs=1e-3)
  assert half["ssim"] > nothing["ssim"]


class Identity:
  """A network that answers with what it sees, or with a tenth of it."""

  def __init__(self, factor=1.0):
    self.factor = factor

  def apply(self, variables, image, train):
    return {"image": self.factor * image}


@pytest.mark.parametrize(
  "options",
  [
    inference.InferenceOptions(),
    inference.InferenceOptions("slide", (12, 12)),
    inference.InferenceOptions(flip=True),
  ],
  ids=["whole", "slide", "flip"],
)
def test_every_road_to_an_answer_sees_the_picture(options):
  """image - image / 10, by evaluation's road and at the image's own size."""
  task = Denoising(residual=True)
  predict = inference.build(Identity(0.1), task, options)
  got = quick.jit(predict)({}, CLEAN)["image"]
  np.testing.assert_allclose(got, 0.9 * CLEAN, atol=1e-6)
  forward = inference.build_forward(Identity(0.1), task, options)
  pixels = RNG.integers(0, 256, (19, 30, 3), np.uint8)
  run = native.native(forward, task, bucket=16)
  pred = run({}, pixels)
  assert pred.keys() == {"image"}
  np.testing.assert_allclose(pred["image"], 0.9 * pixels / 255, atol=1e-6)


def test_the_answer_is_sharp_where_the_network_saw_a_small_picture():
  """Only the noise is enlarged; the picture is that of the file."""
  task = Denoising(residual=True)
  forward = inference.build_forward(Identity(0.0), task)
  pixels = RNG.integers(0, 256, (37, 30, 3), np.uint8)
  run = native.native(
    forward, task, (8, 8), lambda x, size: x[:8, :8], bucket=32
  )
  np.testing.assert_allclose(run({}, pixels)["image"], pixels / 255, atol=1e-6)


def test_a_split_is_predicted_as_evaluation_saw_it():
  task = Denoising(level=0.1)
  pixels = np.full((16, 20, 3), 128, np.uint8)
  seen = answer.as_seen(task)(pixels, 5)
  batch = {"image": pixels[None] / np.float32(255), "_id": np.array([5])}
  noisy = answer.prepared(task, batch)["noisy"][0]
  assert seen.dtype == np.uint8
  np.testing.assert_allclose(seen / 255, np.clip(noisy, 0, 1), atol=0.51 / 255)


def test_pictures_show_where_the_answer_is_wrong():
  task = Denoising()
  host = {"image": (CLEAN * 255).astype(np.uint8)}
  image = host["image"] / np.float32(255)
  image[0, :10] += 0.25
  pictures = task.render(host, {"image": image})
  error = pictures["error"][0].astype(int)
  assert (error[:10, :, 0] > 100).all()  # red
  assert (error[:10, :, 2] < 60).all()
  assert len(np.unique(error[10:].reshape(-1, 3), axis=0)) == 1
  assert task.render(host, {}).keys() == {"truth"}


@pytest.mark.parametrize(
  ("fields", "says"),
  [
    ({"noise": "poisson"}, "'poisson' is not known"),
    ({"level": 25.0}, "25/255, not 25"),
    ({"noise": "patches", "level": -0.1}, r"in \[0, 1\]"),
    ({"patch": 8}, "config.task.noise = 'patches'"),
    ({"noise": "patches", "patch": 0}, "at least 1"),
  ],
)
def test_mistakes_are_named(fields, says):
  with pytest.raises(UserError, match=says):
    Denoising(**fields)


def test_it_is_a_value():
  assert hash(Denoising()) == hash(dataclasses.replace(Denoising()))


def shapes(n, side=32):
  """Squares of one colour on another, (n, side, side, 3) in [0, 1]."""
  rng = np.random.default_rng(0)
  image = np.empty((n, side, side, 3), np.float32)
  for one in image:
    one[:] = rng.uniform(0.1, 0.9, 3)
    y, x = rng.integers(0, side - 12, 2)
    one[y : y + 12, x : x + 12] = rng.uniform(0.1, 0.9, 3)
  return image


@pytest.mark.slow
def test_a_small_network_gains_three_decibels():
  """On shapes that it did not see; the train step is the house's."""
  task = Denoising(level=0.1)
  model = MODELS["fullres"](
    outputs=task.outputs, width=16, depth=5, norm="none"
  )
  images = shapes(72)
  tx = optax.adam(3e-3)
  key = jax.random.key(0)
  state = quick.jit(
    lambda: create_state(model, tx, (images[:1],), key, False)
  )()
  step = jax.jit(make_train_step(model, task, tx, lambda s: 3e-3, seed=0))
  for i in range(300):
    ids = np.arange(8) + 8 * (i % 8)
    batch = {"image": images[ids], "_id": ids, "_mask": np.ones(8, bool)}
    state, _ = step(state, batch)
  batch = {"image": images[64:], "_id": np.arange(64, 72)}
  batch = answer.prepared(task, batch)
  out = model.apply(state.variables(), batch["noisy"], train=False)
  result = measure(task, out, batch)
  assert result["psnr_gain"] > 3
