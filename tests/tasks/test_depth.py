"""Depth by config: the range and the protocol reach loss and metrics."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import assignment, defaults
from jaxseg.data.datasets import DATASETS
from jaxseg.metrics.depth import crop_mask
from jaxseg.types import UserError


def make(name="depth", **options):
  config = defaults.get_config()
  config.task.name = name
  for key, value in options.items():
    config.task[key] = value
  return assignment.make_task(config, DATASETS["scenes"])


def pixels(task, depth):
  (metric,) = task.metrics().values()
  state = metric.update(metric.init(), {"depth": depth}, {"depth": depth})
  return metric.result(state)


def test_the_protocol_reaches_the_metrics():
  depth = np.full((1, 48, 64), 3, np.float32)
  depth[0, :, 32:] = 30
  assert pixels(make(max_m=10.0), depth)["pixels"] == 48 * 32
  task = make(crop="nyu", min_m=1.0, max_m=40.0)
  assert pixels(task, depth)["pixels"] == crop_mask("nyu", (48, 64)).sum()
  batch = {"depth": depth}
  for options, want in (
    ({"average": "pixels"}, 1.0),
    ({"median_scaling": True}, 0.0),
  ):
    (metric,) = make(max_m=100.0, **options).metrics().values()
    state = metric.update(metric.init(), {"depth": 2 * depth}, batch)
    assert metric.result(state)["abs_rel"] == pytest.approx(want, abs=1e-6)


def test_the_unit_of_log_depth():
  """The paper's .45723134: metres are exp(s z) around the middle."""
  z = np.float32([-1.0, 0.0, 0.5, 1.0]).reshape(1, 2, 2, 1)
  task = make(min_m=1.0, max_m=16.0, log_unit=0.45723134)
  got = task.predict({"depth": jnp.asarray(z)})["depth"]
  want = 4 * np.exp(0.45723134 * z[..., 0])
  np.testing.assert_allclose(got, want, rtol=1e-6)
  far = task.predict({"depth": jnp.full((1, 2, 2, 1), 99.0)})["depth"]
  np.testing.assert_allclose(far, 16.0, rtol=1e-6)
  # Eigen's loss is of scaled differences: our term over the unit squared.
  losses = ("eigen",)
  task = make(min_m=1.0, max_m=16.0, log_unit=0.45723134, losses=losses)
  depth = np.float32([[[3, 5], [2, 9]]])
  d = z[..., 0] - np.log(depth / 4) / 0.45723134
  steps = (np.diff(d, axis=1) ** 2).sum() + (np.diff(d, axis=2) ** 2).sum()
  want = (d**2).mean() - d.mean() ** 2 / 2 + steps / 4
  batch = {"depth": jnp.asarray(depth)}
  got = task.loss({"depth": jnp.asarray(z)}, batch)["eigen"].compute()
  np.testing.assert_allclose(got / 0.45723134**2, want, rtol=1e-5)


def test_nothing_measured_is_a_loss_of_zero():
  task = make(losses=("l1", "silog"))
  batch = {"depth": jnp.zeros((2, 3, 4))}
  terms = task.loss({"depth": jnp.ones((2, 3, 4, 1))}, batch)
  assert [float(mean.compute()) for mean in terms.values()] == [0, 0]
  assert pixels(task, np.zeros((2, 3, 4), np.float32))["pixels"] == 0


@pytest.mark.parametrize(
  ("options", "says"),
  [
    ({"min_m": 0.0}, "min_m = 0.0, max_m = 80.0: expected 0 < min_m < max_m"),
    ({"min_m": 9.0, "max_m": 2.0}, "min_m = 9.0, max_m = 2.0"),
    ({"log_unit": 0.0}, "log_unit = 0.0: expected a positive number"),
    ({"crop": "kitti"}, "'kitti' is not known: expected none, garg, eigen"),
    ({"average": "set"}, "average = 'set': expected pixels or images"),
    ({"losses": ("silgo",)}, "'silgo' is not known.*Did you mean 'silog'"),
    ({"aux_weight": 0.5}, "aux_weight is not an option of Depth"),
  ],
)
def test_what_cannot_be_is_said(options, says):
  with pytest.raises(UserError, match=says):
    make(**options)
