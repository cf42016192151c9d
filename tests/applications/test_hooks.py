"""An application in evaluation, in predicted files and in the config."""

import json
import pathlib

import cv2
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from jaxseg import assignment, build, evaluate, predicting, writers
from jaxseg.applications import landing
from jaxseg.data import images
from jaxseg.state import State
from jaxseg.types import IGNORE, UserError
from tests import quick
from tests.test_configs import load

ROOT = pathlib.Path(__file__).parents[2]
QUIET = Console(quiet=True)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
  for module in (landing.compiling, evaluate.compiling):
    monkeypatch.setattr(module, "jit", quick.jit)
  monkeypatch.setattr(landing, "BUCKET", 32)
  landing._chooser.cache_clear()


class Drawn:
  """Pictures that show their labels: 40 times the class id, in all channels."""

  def __init__(self, keys):
    self.keys = keys

  def __len__(self):
    return 5

  def __getitem__(self, index):
    rng = np.random.default_rng(index)
    mask = rng.choice(6, (24, 30), p=[0.04, 0.9, 0.03, 0.01, 0.01, 0.01])
    mask = np.where(rng.random(mask.shape) < 0.02, 5, mask).astype(np.uint8)
    image = (40 * mask[..., None]).repeat(3, -1).astype(np.uint8)
    fields = {
      key: cv2.imencode(".png", array)[1].tobytes()
      for key, array in (("image", image), ("label", mask))
    }
    return {key: fields[key] for key in self.keys}

  def name_of(self, index):
    return f"drawn {index}"


def aerial(**changes):
  config = load(ROOT / "configs/drone_landing.py", "dubai")
  config.data.size = (32, 32)
  config.data.batch_size = config.eval.batch_size = 2
  config.model.encoder.weights = None
  config.devices = 1
  config.application.min_radius_m = 1.0
  config.application.margins = None
  config.application.max_risk = None  # labels decide
  config.application.update(changes)
  return config


def test_evaluation_counts_how_safe_the_discs_are(monkeypatch):
  """A network that reads the picture, one class wrong, in padded batches."""
  monkeypatch.setattr(
    build.sources,
    "open_source",
    lambda spec, split, d, keys, clips: Drawn(keys),
  )
  built = build.experiment(aerial())

  def reads(variables, image):
    label = jnp.rint(image[..., 0] * 255 / 40).astype(jnp.int32)
    label = jnp.minimum(label, 4)
    return {"label": jnp.where(label == 2, 1, label)}  # roads are land

  object.__setattr__(built, "predict", reads)
  state = State(jnp.int32(0), {}, {}, (), None)
  result, _ = evaluate.Evaluator(built, QUIET)(state, "val")
  assert 0 < result["miou"] < 1
  discs = safe = 0
  for index in range(5):
    mask = images.read_mask(Drawn(("label",))[index]["label"])
    said = np.where(mask == 2, 1, mask)
    said = np.where(mask == 5, IGNORE, said)
    found = built.application.find(said)["discs"]
    y, x = np.mgrid[:24, :30]
    for disc in found:
      off = 0.5 * np.hypot(y - disc["row"], x - disc["column"])
      area = off < disc["radius_m"] - 1e-3
      safe += (mask[area] == 1).all()
    discs += len(found)
  assert 0 < safe < discs
  assert result["landing_discs"] == discs
  assert result["discs_safe"] == pytest.approx(safe / discs)
  assert result["landing_images"] == 5
  rest = writers.beside_classes(result)  # is printed, below the classes
  assert (
    rest.keys()
    == built.application.metrics()["landing"]
    .result(built.application.metrics()["landing"].init())
    .keys()
  )


def test_files_get_a_document_and_circles(tmp_path):
  application = assignment.make_application(
    aerial(), build.dataset(aerial()), evaluated=False
  )
  label = np.full((40, 50), 1, np.uint8)
  label[:, 35:] = 0
  paths = []
  for name in ("a", "b"):
    paths.append(tmp_path / f"in/{name}.png")
    paths[-1].parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(paths[-1]), np.full((40, 50, 3), 99, np.uint8))
  answers = iter([{"label": label}, {"label": np.zeros_like(label)}])
  spec = build.dataset(aerial())
  predicting.predict_files(
    lambda image: next(answers),
    paths,
    tmp_path / "out",
    task=spec,
    application=application,
    console=QUIET,
  )
  found, nowhere = (
    json.loads((tmp_path / f"out/{name}_discs.json").read_text())
    for name in ("a", "b")
  )
  best = found["discs"][0]
  assert (best["row"], best["radius_m"]) == (19, 9.0)  # 18 px of 0.5 m
  assert best["column"] in (16, 17)
  count = len(found["discs"])
  assert count == 5
  assert found["answer"] == f"{count} safe discs of at least 1 m"
  assert nowhere["discs"] == []
  assert nowhere["answer"] == "no safe spot of at least 1 m"
  np.testing.assert_array_equal(images.read_mask(tmp_path / "out/a.png"), label)
  drawn = images.read_image(tmp_path / "out/a_overlay.jpg").astype(int)
  plain = images.read_image(tmp_path / "out/b_overlay.jpg").astype(int)
  assert abs(drawn[:, :30] - drawn[0, 0]).max() > 60  # circles
  assert abs(plain - plain[0, 0]).max() < 20  # none


def test_a_broken_network_is_told_with_the_files_name(tmp_path):
  application = assignment.make_application(
    aerial(max_risk=0.1), build.dataset(aerial()), evaluated=False
  )
  path = tmp_path / "x.png"
  assert cv2.imwrite(str(path), np.zeros((8, 9, 3), np.uint8))
  pred = {
    "label": np.zeros((8, 9), np.uint8),
    "probability": np.full((8, 9, 1), np.nan),
  }
  with pytest.raises(UserError, match=r"x\.png: probabilities of 72 pixels"):
    predicting.predict_files(
      lambda image: pred,
      [path],
      tmp_path / "out",
      application=application,
      console=QUIET,
    )


def test_mistakes_in_the_config():
  spec = build.dataset(aerial())

  def make(config, evaluated=True):
    return assignment.make_application(config, spec, evaluated=evaluated)

  for changes, says in (
    ({"name": "lending"}, "application.name = 'lending'.*'landing'"),
    ({"name": None}, r"application.\w+ is set and config.application.name"),
    ({"margins": ("road",)}, "expected pairs of a class and metres"),
    ({"safe": ("sand",)}, "config.application.safe names 'sand'"),
  ):
    with pytest.raises(UserError, match=says):
      make(aerial(**changes))
  config = aerial()
  config.data.eval = "resize"
  with pytest.raises(UserError, match=r"data.eval = 'resize' changes it"):
    make(config)
  assert make(config, evaluated=False).name == "landing"
  config = load(ROOT / "configs/unet_scenes.py")
  assert make(config) is None
