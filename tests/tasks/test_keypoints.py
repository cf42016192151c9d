"""Keypoints: three methods read and write one convention of coordinates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.tasks import Keypoints
from jaxseg.types import UserError

NAMES = ("right", "left", "middle")
PAIRS = ((0, 1),)
METHODS = ("heatmap", "one_hot", "direct")


def task_of(method, **options):
  return Keypoints(NAMES, PAIRS, method=method, **options)


def descend(task, batch, size, steps=200):
  """Outputs that the loss is led to from zero, by gradients alone."""
  b = len(batch["keypoints"])
  out = {k: jnp.zeros((b, *size, n)) for k, n in task.outputs.items()}

  def total(out):
    return sum(mean.compute() for mean in task.loss(out, batch).values())

  # Gradients of means are small where there are many positions: by the sign.
  @jax.jit
  def step(out, rate):
    grads = jax.grad(total)(out)
    return jax.tree.map(lambda x, g: x - rate * jnp.sign(g), out, grads)

  for i in range(steps):
    out = step(out, 0.1 * (1 - i / steps))
  return out


@pytest.mark.parametrize("method", METHODS)
def test_what_the_loss_asks_for_is_what_predict_reads(method):
  """Following the gradient leads to the truth: within half a cell."""
  rng = np.random.default_rng(0)
  points = rng.uniform(0, [[44, 32]], (6, 1, 3, 2))
  points = np.concatenate([points, np.ones((6, 1, 3, 1))], -1)
  batch = {"keypoints": jnp.asarray(points, jnp.float32)}
  task = task_of(method, stride=4, sigma=1.5, decode="argmax")
  out = descend(task, batch, (32, 44))
  pred = jax.jit(task.predict)(out)["keypoints"]
  assert pred.shape == (6, 1, 3, 3)
  error = np.abs(pred - points)[..., :2].max()
  assert error <= (0.3 if method == "direct" else 2.0 + 1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_sizes_that_the_stride_does_not_divide(method):
  """Points in the last, cut off cell are found inside the image."""
  points = np.array([[[[42.5, 30.5, 1], [1, 1, 1], [20, 29, 1]]]], np.float32)
  task = task_of(method, stride=4, sigma=1.5, decode="argmax")
  out = descend(task, {"keypoints": jnp.asarray(points)}, (31, 43))
  pred = np.asarray(task.predict(out)["keypoints"])
  assert np.abs(pred - points)[..., :2].max() <= 2.0 + 1e-4
  assert (pred[..., :2] >= 0).all()
  assert (pred[..., :2] <= [43, 31]).all()


def test_decoding_below_the_size_of_a_cell():
  """A wide Gaussian between the cells: the finer, the nearer."""
  y, x = np.mgrid[:48, :64] + 0.5
  centres = np.random.default_rng(1).uniform(20, 30, (40, 2))
  d2 = (x - centres[:, 0, None, None]) ** 2 + (
    y - centres[:, 1, None, None]
  ) ** 2
  maps = np.exp(-d2 / 128)  # sigma 8 pixels, two cells
  out = {"keypoints": jnp.asarray(maps[..., None].repeat(3, -1), jnp.float32)}
  error = {}
  for decode in ("argmax", "quarter", "soft"):
    task = task_of("heatmap", stride=4, decode=decode)
    pred = np.asarray(task.predict(out)["keypoints"])[:, 0, 0, :2]
    error[decode] = np.abs(pred - centres).mean()
  assert error["argmax"] == pytest.approx(1.0, abs=0.25)  # of 4 pixels
  assert error["quarter"] < 0.65 * error["argmax"]
  assert error["soft"] < 0.1


def test_flipped_views_average_with_their_own_points():
  """A right eye in the mirror is a left one: names stay with the person."""
  maps = np.zeros((1, 4, 6, 3), np.float32)
  maps[0, 1, 0, 0] = maps[0, 2, 4, 1] = maps[0, 3, 5, 2] = 1
  out = {"keypoints": jnp.asarray(maps)}
  task = task_of("heatmap", stride=1, decode="argmax")
  pred = np.asarray(task.predict(task.flip(out))["keypoints"])[0, 0, :, :2]
  np.testing.assert_allclose(pred, [[1.5, 2.5], [5.5, 1.5], [0.5, 3.5]])


def test_metrics_follow_what_the_data_set_knows():
  plain = Keypoints(NAMES)
  assert plain.metrics().keys() == {"pck"}
  assert plain.best == ("pck", "max")
  face = Keypoints(NAMES, eyes=(0, 1))
  assert face.metrics().keys() == {"pck", "nme"}
  assert face.best == ("nme", "min")
  body = Keypoints(NAMES, torso=(0, 1), head=(1, 2), sigmas=(0.1,) * 3)
  assert body.metrics().keys() == {"pck", "pckh", "oks"}


def test_pictures_show_sides_and_leave_out_what_is_not_seen():
  task = Keypoints(NAMES, PAIRS, bones=((0, 2), (1, 2)))
  image = np.zeros((1, 40, 40, 3), np.uint8)
  points = np.array([[[[5, 5, 1], [35, 5, 1], [20, 30, 0]]]], np.float32)
  pictures = task.render(
    {"image": image, "keypoints": points}, {"keypoints": points * [1, 1, 0]}
  )
  assert not pictures["prediction"].any()  # scores of 0
  truth = pictures["truth"][0]
  assert truth[5, 5, 0] > truth[5, 5, 2]  # right: orange
  assert truth[5, 35, 2] > truth[5, 35, 0]  # left: blue
  assert not truth[10:].any()  # no bone to a point that is not seen


@pytest.mark.parametrize(
  ("options", "says"),
  [
    ({"method": "vector"}, "task.method = 'vector'.*heatmap, one_hot, direct"),
    ({"decode": "mean"}, "task.decode = 'mean'.*argmax, quarter, soft"),
    ({"stride": 0}, "task.stride = 0: expected more than 0"),
    ({"sigma": -1.0}, "task.sigma = -1.0"),
  ],
)
def test_options_that_cannot_be(options, says):
  with pytest.raises(UserError, match=says):
    Keypoints(NAMES, **options)


@pytest.mark.parametrize("shape", [(2, 2, 3, 3), (2, 1, 5, 3)])
def test_other_numbers_of_people_or_points_are_named(shape):
  task = task_of("heatmap")
  batch = {"keypoints": jnp.ones(shape)}
  out = {"keypoints": jnp.zeros((2, 8, 8, 3))}
  with pytest.raises(UserError, match=r"expected \(b, 1, 3, 3\).*'person'"):
    task.loss(out, batch)
