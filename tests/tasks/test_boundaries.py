"""Boundaries: who has to agree, the loss of side outputs, bad options."""

import jax
import numpy as np
import pytest

from jaxseg import losses
from jaxseg.tasks import Boundaries
from jaxseg.types import IGNORE, UserError


@pytest.mark.parametrize(
  ("agreement", "want"),
  [
    (0.5, [0, 255, 255, 255, 1, 1, 255]),
    (0.33, [0, 255, 1, 1, 1, 1, 255]),
    (0.001, [0, 1, 1, 1, 1, 1, 255]),
    (1.0, [0, 255, 255, 255, 255, 1, 255]),
  ],
)
def test_what_people_agree_on(agreement, want):
  percent = np.array([[[0, 20, 33, 43, 50, 100, IGNORE]]])
  got = Boundaries(agreement=agreement).target(percent)
  assert got[0, 0].tolist() == want


def test_side_outputs_are_trained_alike():
  """Terms by the loss's own function; other heads of a network are not ours."""
  rng = np.random.default_rng(0)
  percent = rng.choice([0, 0, 0, 30, 80, IGNORE], (2, 9, 11))
  out = {
    head: rng.normal(size=(2, 9, 11, 1)).astype(np.float32)
    for head in ("boundary", "aux_boundary_c1", "depth")
  }
  task = Boundaries(
    losses=(("balanced", 2.0, ()), ("focal", 1.0, ())), aux_weight=0.25
  )
  got = jax.jit(lambda o: task.loss(o, {"boundary": percent}))(out)
  target = np.select([percent == 80, percent == 0], [1, 0], IGNORE)
  want = {}
  for head, prefix, weight in (
    ("boundary", "", 1.0),
    ("aux_boundary_c1", "aux_boundary_c1/", 0.25),
  ):
    for name, factor in (("balanced", 2.0), ("focal", 1.0)):
      mean = losses.BOUNDARY_LOSSES[name](out[head][..., 0], target)
      want[prefix + name] = weight * factor * float(mean.compute())
  assert got.keys() == want.keys()
  for name, value in want.items():
    assert float(got[name].compute()) == pytest.approx(value, rel=1e-5)


def test_ignored_ground_is_grey_in_pictures():
  percent = np.array([[[0, 100, IGNORE]]])
  pictures = Boundaries().render(
    {"boundary": percent}, {"boundary": np.array([[[0.0, 0.25, 1.0]]])}
  )
  truth, said = pictures["truth"][0, 0], pictures["prediction"][0, 0]
  assert truth[:, 0].tolist() == [255, 0, truth[2, 0]]
  assert 0 < truth[2, 0] < 255
  assert said[:, 0].tolist() == [255, 128, 0]


@pytest.mark.parametrize(
  ("options", "says"),
  [
    ({"agreement": 0.0}, r"config.task.agreement = 0.0: expected a share"),
    ({"agreement": 50}, r"config.task.agreement = 50: expected a share"),
    ({"tolerance": -1.0}, r"config.task.tolerance = -1.0: expected a dist"),
    ({"tolerance": np.nan}, r"config.task.tolerance = nan"),
  ],
)
def test_bad_options(options, says):
  with pytest.raises(UserError, match=says):
    Boundaries(**options)
