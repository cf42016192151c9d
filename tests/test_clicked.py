"""Files and clicks in, masks out; what is wrong with clicks is told."""

import json
import types

import cv2
import numpy as np
import pytest
from rich.console import Console

from jaxseg import clicked, defaults
from jaxseg.data import images
from jaxseg.tasks import Clicks
from jaxseg.types import UserError
from tests import quick


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
  monkeypatch.setattr(clicked.compiling, "jit", quick.jit)


def run(tmp_path, made, patterns=None, **changes):
  """Predicts with a network for which the nearest click decides."""
  config = defaults.get_config()
  config.data.eval = "pad"
  path = tmp_path / "clicks.json"
  path.write_text(made if isinstance(made, str) else json.dumps(made))
  config.predict.clicks = str(path)
  config.predict.update(changes)
  seen = []

  def network(variables, guided):
    seen.append(guided)
    return {"label": (guided[..., 3] < guided[..., 4]).astype(np.uint8)}

  built = types.SimpleNamespace(task=Clicks(click_reach=64.0))
  clicked.predict(
    config,
    built,
    network,
    None,
    patterns or [str(tmp_path / "in")],
    str(tmp_path / "out"),
    Console(quiet=True),
  )
  return seen


def picture(tmp_path, name="a.png", size=(20, 31)):
  (tmp_path / "in").mkdir(exist_ok=True)
  rng = np.random.default_rng(0)
  array = rng.integers(0, 255, (*size, 3), np.uint8)
  assert cv2.imwrite(str(tmp_path / "in" / name), array)
  return images.read_image(tmp_path / "in" / name)


def test_a_mask_and_the_clicks_over_the_image(tmp_path):
  image = picture(tmp_path)
  points = {"object": [[5.5, 9]], "background": [[25, 9]]}
  (guided,) = run(tmp_path, {"a.png": points, "other.png": points})
  np.testing.assert_array_equal(guided[..., :3], image)
  y, x = np.mgrid[:20, :31]
  for channel, column in ((3, 5), (4, 25)):
    away = np.hypot(y - 9, x - column)
    np.testing.assert_allclose(guided[..., channel], away / 64 * 255, atol=0.51)
  mask = images.read_mask(tmp_path / "out/a.png")
  np.testing.assert_array_equal(mask, x < 15)  # halfway is neither's
  over = images.read_image(tmp_path / "out/a_overlay.jpg").astype(int)
  assert over[9, 5, 1] > over[9, 5, 0] + 40  # green
  assert over[9, 25, 0] > over[9, 25, 1] + 40  # red
  assert np.load(tmp_path / "out/a_clicks.npy").tolist() == [
    [9, 5, 1],
    [9, 25, -1],
  ]


def test_clicks_that_cannot_be(tmp_path):
  picture(tmp_path)
  for clicks, says in (
    ({"a.png": {"object": []}}, r"a\.png: there is no click on the object"),
    ({"a.png": {"object": [[31, 2]]}}, r"a\.png: click x = 31, y = 2 is out"),
    (
      {"a.png": {"object": [[3, 2]], "background": [[3, 2]]}},
      r"a\.png: the pixel x = 3, y = 2 is clicked as the object and as what",
    ),
    ({"b.png": {"object": [[3, 2]]}}, r"no clicks of 'a\.png': it has those"),
    ({"a.png": {"objekt": [[3, 2]]}}, r"the clicks of 'a\.png' are"),
    ({"a.png": [[3, 2]]}, r"the clicks of 'a\.png' are"),
    ({}, "holds no names of images"),
    ("{", r"clicks\.json' cannot be read"),
  ):
    with pytest.raises(UserError, match=says):
      run(tmp_path, clicks)
  good = {"a.png": {"object": [[3, 2]]}}
  with pytest.raises(UserError, match="wants images and a file"):
    run(tmp_path, good, clicks="")
  with pytest.raises(UserError, match="wants images and a file"):
    run(tmp_path, good, split="val")
