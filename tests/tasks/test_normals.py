"""Surface normals: the untrained answer, flips, averages of views."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import inference
from jaxseg.data import geometry, scenes
from jaxseg.data.scenes import camera as cam
from jaxseg.tasks import Normals
from jaxseg.tasks.normals import FRONT


def test_untrained_normals_face_the_viewer():
  pred = Normals().predict({"normal": jnp.zeros((1, 2, 2, 3))})["normal"]
  np.testing.assert_array_equal(pred, np.broadcast_to(FRONT, (1, 2, 2, 3)))


def test_the_gradient_of_an_untrained_network_is_finite():
  task = Normals((("cosine", 1.0, ()), ("dot", 1.0, ()), ("angular", 1.0, ())))
  truth = np.tile(np.float32([[0, -1, 0], FRONT]), (1, 4, 1, 1))
  batch = {"normal": truth}

  def loss(z):
    return sum(m.compute() for m in task.loss({"normal": z}, batch).values())

  slope = jax.grad(loss)(jnp.zeros((1, 4, 2, 3)))
  assert np.isfinite(slope).all()
  assert (slope[:, :, 0, 1] > 0).all()  # a step down the slope turns upwards
  assert np.abs(slope[:, :, 1]).max() == 0  # those are right already


def test_the_mirrored_truth_is_the_truth_of_the_mirrored_scene():
  """Flip of outputs = flip of data = normals of the mirrored geometry."""
  task = Normals()
  scene = scenes.render_scene(5)
  out = {"normal": jnp.asarray(scene["normal"] - np.float32(FRONT))[None]}
  ours = task.predict(task.flip(out))["normal"][0]
  keys = ("image", "depth", "normal", "camera")
  mirrored = geometry.flip_lr({key: scene[key] for key in keys})
  np.testing.assert_allclose(ours, mirrored["normal"], atol=1e-6)
  rays = cam.backproject(np.ones(scene["depth"].shape), mirrored["camera"])
  seen = mirrored["depth"] > 0
  # Without the sign some normals would point away from the camera.
  assert ((rays * np.asarray(ours)).sum(-1)[seen] < 0).all()
  wrong = mirrored["normal"] * np.float32([-1, 1, 1])
  assert ((rays * wrong).sum(-1)[seen] > 0).any()


def test_views_are_averaged_as_directions():
  """A long vector has no louder voice than a short one."""
  task = Normals()
  a = np.float32([10, 0, 0]) - np.float32(FRONT)
  b = np.float32([0, 0.1, 0]) - np.float32(FRONT)
  means = [task.to_mean({"normal": jnp.asarray(v)})["normal"] for v in (a, b)]
  mean = task.from_mean({"normal": (means[0] + means[1]) / 2})
  got = task.predict(mean)["normal"]
  np.testing.assert_allclose(got, [0.5**0.5, 0.5**0.5, 0], atol=1e-6)


def test_test_time_flip_keeps_a_mirror_symmetric_answer():
  """A forward that is right for any image stays right under the flip."""
  task = Normals()

  def forward(variables, image):  # red is x, green is y
    x, y = 2 * image[..., 0] - 1, 2 * image[..., 1] - 1
    z = -jnp.sqrt(jnp.maximum(1 - x**2 - y**2, 0.0))
    # In a mirrored view the same picture means the mirrored normal.
    sign = jnp.where(image[:, :1, :1, 2] > image[:, :1, -1:, 2], -1.0, 1.0)
    return {"normal": jnp.stack([sign * x, y, z], -1) - jnp.array(FRONT)}

  rng = np.random.default_rng(0)
  image = rng.uniform(0.2, 0.8, (1, 6, 8, 3)).astype(np.float32)
  image[..., 2] = np.linspace(0, 1, 8)  # tells a view from its mirror
  once = task.predict(forward(None, jnp.asarray(image)))["normal"]
  both = inference.multi_scale(forward, task, (1.0,), flip=True)
  twice = task.predict(both(None, jnp.asarray(image)))["normal"]
  np.testing.assert_allclose(once, twice, atol=1e-6)
