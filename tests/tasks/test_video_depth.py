"""The loss by hand; metrics are those of the later frames."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import answer, inference, viz
from jaxseg.inference import InferenceOptions
from jaxseg.metrics import depth as depth_metric
from jaxseg.tasks import VideoDepth
from jaxseg.tasks.video_depth import enlarged
from jaxseg.types import UserError

TASK = VideoDepth(0.5, 80.0)


def log(*metres):
  return np.log(np.float32(metres))


def test_loss_by_hand():
  """One pixel of two is measured; frame 1 does not count; clips at 200."""
  depth = np.zeros((1, 2, 1, 2), np.float32)
  depth[0, 0] = 7  # a first frame
  depth[0, 1, 0] = [10, 0]
  out = {
    "depth": log(99, 99, 20, 5).reshape(1, 2, 1, 2, 1),
    "aux2": log(99, 5).reshape(1, 2, 1, 1, 1),
    "aux3": log(99, 1000).reshape(1, 2, 1, 1, 1),  # counts as 200
  }
  terms = TASK.loss(out, {"depth": depth})
  want = {
    "l1": 0.64 * np.log(2),
    "aux2/l1": 0.32 * np.log(2),
    "aux3/l1": 0.16 * np.log(20),
  }
  assert terms.keys() == want.keys()
  for name, value in want.items():
    assert terms[name].count == 1
    np.testing.assert_allclose(terms[name].compute(), value, rtol=1e-6)
  near = {"depth": log(9, 9, 1e-5, 1).reshape(1, 2, 1, 2, 1)}
  got = TASK.loss(near, {"depth": depth})["l1"].compute()
  np.testing.assert_allclose(got, 0.64 * np.log(10 / 0.01), rtol=1e-6)
  far = TASK.loss(near, {"depth": np.where(depth == 10, 500, 0)})["l1"]
  np.testing.assert_allclose(
    far.compute(), 0.64 * np.log(200 / 0.01), rtol=1e-6
  )


def test_blocks_of_a_level_are_cut_at_the_border():
  x = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
  got = np.asarray(enlarged(x, 1, (3, 5)))[0, 0]
  for i, j in np.ndindex(3, 5):
    assert got[i, j] == x[0, 0, i // 2, j // 2]
  np.testing.assert_array_equal(enlarged(x, 3, (2, 3)), x)
  with pytest.raises(UserError, match=r"level 1 of 2x3 .*does not fit"):
    enlarged(x, 1, (9, 9))


def test_metrics_are_those_of_the_later_frames():
  rng = np.random.default_rng(0)
  true = rng.uniform(0.2, 100, (3, 4, 5, 6)).astype("f4")
  said = rng.uniform(0.2, 100, true.shape).astype("f4")
  mask = np.array([True, False, True])
  metric = TASK.metrics()["depth"]
  batch = {"depth": true, "_mask": mask}
  state = metric.update(metric.init(), {"depth": said}, batch)
  got = metric.result(jax.device_get(state))
  plain = depth_metric(0.5, 80.0)
  state = plain.init()
  for i in (0, 2):
    state = plain.update(
      state, {"depth": said[i, 1:]}, {"depth": jnp.asarray(true[i, 1:])}
    )
  want = plain.result(jax.device_get(state))
  assert got["pixels"] == want["pixels"] > 100
  for name, value in want.items():
    assert got[name] == pytest.approx(value, rel=1e-6)


def test_predict_reads_logarithms_of_clips_and_of_streams():
  out = log(0.1, 3, 900).reshape(1, 1, 1, 3, 1)
  want = [0.5, 3, 80]
  got = TASK.predict({"depth": out})["depth"]
  np.testing.assert_allclose(got.ravel(), want, rtol=1e-6)
  one = TASK.predict({"depth": out[:, 0]})["depth"]
  np.testing.assert_allclose(one, got[:, 0])


def test_pictures_are_of_the_last_frame():
  image = np.zeros((1, 2, 4, 5, 3), np.uint8)
  image[:, 1] = 200
  depth = np.stack([np.arange(1.0, 21), np.arange(41.0, 1, -2)])
  depth = depth.reshape(1, 2, 4, 5).astype(np.float32)
  shown = TASK.render({"image": image, "depth": depth}, {"depth": depth})
  assert (shown["image"] == 200).all()
  last, _ = viz.depth_colors(depth[0, 1])
  np.testing.assert_array_equal(shown["truth"][0, :, :5], last)  # and a scale
  np.testing.assert_array_equal(shown["truth"], shown["prediction"])


def test_what_the_network_reads():
  assert answer.reads(TASK) == ("image", "camera", "motion")
  shapes = [x.shape for x in answer.blank_inputs(TASK, (6, 7))]
  assert shapes == [(1, 2, 6, 7, 3), (1, 2, 4), (1, 2, 4, 4)]
  for options in (
    InferenceOptions(mode="slide"),
    InferenceOptions(flip=True),
    InferenceOptions(scales=(1.0, 2.0)),
  ):
    with pytest.raises(UserError, match="images alone"):
      inference.build_forward(None, TASK, options)
