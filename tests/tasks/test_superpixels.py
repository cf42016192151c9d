"""Superpixels of learned features: the loss by dense matrices, the answer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.classical import soft_slic
from jaxseg.ops import color
from jaxseg.tasks import Superpixels
from jaxseg.tasks.superpixels import numbered
from jaxseg.types import IGNORE, UserError
from tests import quick

TASK = Superpixels(channels=3, step=4.0, rounds=3, labels=3, compactness=0.01)
SIZE = 8, 8  # four cells: every pixel may belong to each of them


def inputs(rng, pictures=2):
  region = rng.integers(0, 3, (pictures, *SIZE))
  region[0, :2] = IGNORE
  return {
    "image": jnp.asarray(rng.random((pictures, *SIZE, 3)), jnp.float32),
    "region": jnp.asarray(region, jnp.int32),
  }, {"features": rng.normal(size=(pictures, *SIZE, 3)).astype(np.float32)}


def dense(image, features, region):
  """Totals and counts of the two losses, and Q, with matrices of all pairs."""
  lab = np.asarray(color.rgb_to_lab(image), np.float64).reshape(-1, 3)
  y, x = (a.ravel() for a in np.mgrid[: SIZE[0], : SIZE[1]])
  place = np.stack([y, x], 1).astype(float)
  f = np.concatenate([place * 2.5 / 4, 0.26 * lab, features.reshape(-1, 3)], 1)
  q = np.eye(4)[2 * (y // 4) + x // 4]
  for _ in range(TASK.rounds + 1):
    centres = (q / q.sum(0)).T @ f
    far = ((f[:, None] - centres) ** 2).sum(-1)
    q = np.exp(far.min(1, keepdims=True) - far)
    q /= q.sum(1, keepdims=True)
  column = q / q.sum(0)
  region = region.ravel()
  truth = np.eye(3)[np.where(region == IGNORE, 0, region)]
  truth[region == IGNORE] = 0
  said = q @ (column.T @ truth)
  said /= said.sum(1, keepdims=True)
  labels = -np.log(said[truth > 0]).sum()
  middle = column.T @ place
  compact = ((place - middle[q.argmax(1)]) ** 2).sum()
  return labels, compact, q


def test_the_loss_is_that_of_dense_matrices():
  batch, out = inputs(np.random.default_rng(0))
  got = jax.jit(TASK.loss)(out, batch)
  parts = [
    dense(batch["image"][i], out["features"][i], np.asarray(batch["region"][i]))
    for i in range(2)
  ]
  valid = int((batch["region"] != IGNORE).sum())
  want = {
    "labels": sum(p[0] for p in parts) / valid,
    "compactness": 0.01 * sum(p[1] for p in parts) / 128,
  }
  assert got.keys() == want.keys()
  for name, value in want.items():
    assert float(got[name].compute()) == pytest.approx(value, rel=1e-4)
  assert int(got["labels"].count) == valid


def test_gradients_are_those_of_differences():
  """Through the rounds of the clustering; differences of the dense form in
  float64, for the loss bends within hundredths."""
  batch, out = inputs(np.random.default_rng(1), 1)
  region = np.zeros((1, *SIZE), np.int32)
  region[:, 3:], region[:, :, 5:] = 1, 2  # across the cells
  batch["region"] = jnp.asarray(region)

  @jax.jit
  def total(features):
    return TASK.loss({"features": features}, batch)["labels"].compute()

  g = np.asarray(jax.grad(total)(out["features"]), np.float64)[0]
  at = out["features"][0].astype(np.float64)
  for way in (g, np.random.default_rng(2).normal(size=g.shape)):
    step = 1e-5 * way / np.linalg.norm(way)
    high, low = (
      dense(batch["image"][0], x, region[0])[0] for x in (at + step, at - step)
    )
    want = (high - low) / 2 / 64
    assert np.sum(g * step) == pytest.approx(want, rel=2e-3)


def test_the_answer_is_the_likeliest_superpixel():
  batch, out = inputs(np.random.default_rng(3))
  pred = jax.jit(lambda o: TASK.compose(TASK.predict(o), batch["image"]))(out)
  for i in range(2):
    _, _, q = dense(
      batch["image"][i], out["features"][i], np.asarray(batch["region"][i])
    )
    # Where two are as likely as can be rounding decides.
    sure = np.diff(np.sort(q, 1)[:, -2:])[:, 0] > 1e-3
    got = np.asarray(pred["segments"][i]).ravel()
    assert sure.mean() > 0.9
    np.testing.assert_array_equal(got[sure], q.argmax(1)[sure])


def test_without_features_it_is_soft_slic_on_place_and_lab():
  batch, _ = inputs(np.random.default_rng(4), 1)
  image, cells = batch["image"][0], TASK.cells(*SIZE)
  plain = soft_slic.scaled(color.rgb_to_lab(image), cells)
  want = quick.jit(lambda x: soft_slic.soft_slic(x, cells, rounds=3))(plain)
  got = quick.jit(lambda x: TASK.soft(image, x, cells))(jnp.zeros((*SIZE, 3)))
  np.testing.assert_allclose(got.share, want.share, atol=1e-6)


def test_regions_are_numbered_in_each_picture():
  region = jnp.array([[[7, 7, 200], [3, IGNORE, 254]], [[0, 1, 2], [3, 4, 5]]])
  assert numbered(region, 3).tolist() == [
    [[1, 1, 2], [0, 255, 255]],
    [[0, 1, 2], [255, 255, 255]],
  ]


def test_pictures_show_what_leaks():
  image = np.full((1, 2, 4, 3), 90, np.uint8)
  region = np.array([[[0, 0, 0, 1], [0, 0, 1, IGNORE]]])
  said = np.array([[[0, 0, 0, 0], [0, 0, 1, 1]]])
  pictures = TASK.render({"image": image, "region": region}, {"segments": said})
  right, wrong, unknown = (
    pictures["error"][0][at] for at in ((0, 0), (0, 3), (1, 3))
  )
  assert (pictures["error"][0, :, :2] == right).all()
  assert (pictures["error"][0, 1, 2] == right).all()
  assert wrong[0] > right[0]
  assert not (wrong == unknown).all()
  assert set(pictures) == {"truth", "prediction", "error"}


@pytest.mark.parametrize(
  ("options", "says"),
  [
    ({"step": 0.5}, "step = 0.5: expected the side"),
    ({"rounds": 0}, "rounds = 0: expected at least 1"),
    ({"labels": 1}, "labels = 1: expected at least 2"),
    ({"colour": -1.0}, "colour = -1.0: expected a weight"),
  ],
)
def test_bad_options(options, says):
  with pytest.raises(UserError, match=says):
    Superpixels(**options)
