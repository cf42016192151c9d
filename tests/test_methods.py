"""Methods without parameters behind the command line."""

import dataclasses
import importlib.util
import json
import pathlib

import cv2
import numpy as np
import pytest
from scipy import ndimage

from jaxseg import defaults, judge, methods, run, unlearned, writers
from jaxseg.classical import owt, ucm
from jaxseg.types import UserError

ROOT = pathlib.Path(__file__).parent.parent
CONFIGS = {name: f"{name}_bsds" for name in methods.METHODS}


def config_of(name):
  path = ROOT / "configs" / f"{CONFIGS[name]}.py"
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config()


def quarters(shape=(40, 56)):
  """Four flat quarters: the picture, its regions and its boundaries."""
  h, w = shape
  y, x = np.mgrid[:h, :w]
  regions = 2 * (y >= h // 2) + (x >= w // 2)
  colors = np.array([[20, 30, 200], [220, 60, 40], [40, 200, 60], [240] * 3])
  lines = np.zeros(shape, bool)
  lines[h // 2 - 1], lines[:, w // 2 - 1] = True, True
  return {
    "image": colors.astype(np.uint8)[regions],
    "regions": np.stack([regions, regions]).astype(np.uint8),
    "boundaries": np.stack([lines, lines]),
  }


@pytest.fixture
def easy(monkeypatch):
  """gPb of a picture's own steps: its cues take a minute to compile."""

  def gpb(image, *, shrink):
    del shrink
    grey = image.astype(np.float32) / 255
    sides = []
    for axis in (0, 1):
      step = np.diff(grey, axis=axis, append=grey.take([-1], axis))
      step = np.abs(step).max(-1)
      # Two pixels wide, the first a little stronger.
      sides.append(np.maximum(step, 0.9 * np.roll(step, 1, axis)))
    dy, dx = sides
    angle = np.pi * np.arange(8) / 8
    out = dy[..., None] * np.cos(angle) ** 2
    out = np.maximum(out, dx[..., None] * np.sin(angle) ** 2)
    rough = np.random.default_rng(0).random(image.shape[:2])
    return out + 1e-4 * ndimage.gaussian_filter(rough, 1)[..., None]

  monkeypatch.setattr(methods.contours.pipeline, "gpb", gpb)


@pytest.mark.parametrize("name", methods.METHODS)
def test_every_method_has_a_config_that_says_what_it_is(name):
  config = config_of(name)
  assert config.method.name == name
  made = unlearned.method_of(config)
  assert isinstance(made, methods.METHODS[name])
  header = (ROOT / "configs" / f"{CONFIGS[name]}.py").read_text()
  for word in ("Paper:", "Command:", "Data:", "Nothing is trained"):
    assert word in header


def test_every_option_of_a_method_is_a_key():
  keys = set(defaults.get_config().method.keys()) - {"name"}
  fields = {
    f.name for m in methods.METHODS.values() for f in dataclasses.fields(m)
  }
  assert keys == fields


@pytest.mark.parametrize("mode", ["train", "export", "summary"])
def test_there_is_nothing_to_train(mode, tmp_path):
  with pytest.raises(UserError, match=f"nothing to {mode}") as error:
    run.start(mode, config_of("slic"), str(tmp_path / "w"))
  assert str(error.value).count(". ") == 0
  assert not (tmp_path / "w").exists()


def test_unknown_methods_and_options():
  config = config_of("ucm")
  config.method.name = "usm"
  with pytest.raises(UserError, match=r"'usm'.*Did you mean 'ucm'"):
    unlearned.method_of(config)
  config.method.name = "ucm"
  config.method.segments = 3
  with pytest.raises(UserError, match="segments is not an option of Ucm"):
    unlearned.method_of(config)
  config.method.segments = None
  config.method.level = 2.0
  with pytest.raises(UserError, match="level from 0 to 1"):
    unlearned.method_of(config)


def test_a_perfect_hierarchy_scores_best(easy, tmp_path):
  out = writers.Writers(tmp_path, tensorboard=False)
  result = judge.evaluate(
    methods.Ucm(thresholds=9),
    lambda i: quarters(),
    2,
    "val",
    writers.make_console(),
    out,
  )
  for name in ("ods", "ois", "covering_ods", "covering_ois", "covering_best"):
    assert result[name] == pytest.approx(1, abs=0.02)
  assert result["pri_ods"] == pytest.approx(1, abs=0.01)
  assert result["vi_ods"] == pytest.approx(0, abs=0.05)
  line = json.loads((tmp_path / "metrics.jsonl").read_text())
  assert line["split"] == "val"
  assert line["ods"] == result["ods"]


def test_lines_score_best(easy):
  method = methods.Gpb(thresholds=9)
  example = quarters()
  record = method.measure(method(example["image"]), example)
  assert method.result([record])["ods"] > 0.97


def test_superpixels_of_quarters():
  method = methods.Slic(segments=24)
  example = quarters()
  pred = method(example["image"])
  got = method.result([method.measure(pred, example)] * 2)
  assert got["boundary_recall"] == 1
  assert got["asa"] == 1
  assert got["undersegmentation_error"] == 0
  assert got["segments"] == len(np.unique(pred["segments"]))


def test_predicting_files(easy, tmp_path):
  image = quarters()["image"]
  (tmp_path / "in").mkdir()
  for one in ("a", "b"):
    cv2.imwrite(str(tmp_path / "in" / f"{one}.png"), image[..., ::-1])
  config = config_of("ucm")
  config.method.level = 0.5
  assert run.start("predict", config, str(tmp_path), [f"{tmp_path}/in"]) == 0
  folder = tmp_path / "predictions"
  segments = np.load(folder / "b_segments.npy")
  assert len(np.unique(segments)) == 4
  doubled = np.load(folder / "b_ucm.npy")
  assert doubled.shape == (81, 113)
  tree = ucm.merge(
    owt.transform(methods.contours.pipeline.gpb(image, shrink=True))
  )
  np.testing.assert_array_equal(doubled, ucm.contours(tree))
  strength = cv2.imread(str(folder / "b.png"), cv2.IMREAD_GRAYSCALE)
  np.testing.assert_allclose(strength / 255, ucm.strength(tree), atol=0.003)
  for name in ("b_boundary.jpg", "b_segments.jpg", "contact_sheet.jpg"):
    assert cv2.imread(str(folder / name)) is not None
  with pytest.raises(UserError, match="needs images"):
    run.start("predict", config, str(tmp_path))


def test_eval_reads_the_records(easy, tmp_path, monkeypatch):
  example = quarters()

  class Source:
    def __len__(self):
      return 3

    def __getitem__(self, index):
      def png(array):
        return cv2.imencode(".png", np.ascontiguousarray(array))[1].tobytes()

      return {
        "image": png(example["image"][..., ::-1]),
        "regions": png(example["regions"].reshape(-1, 56)),
        "boundaries": png(
          example["boundaries"].reshape(-1, 56).astype(np.uint8)
        ),
      }

    def name_of(self, index):
      return f"example {index}"

  monkeypatch.setattr(unlearned.sources, "open_source", lambda *rest: Source())
  config = config_of("ucm")
  config.tensorboard = False
  config.eval.limit = 2
  assert run.start("eval", config, str(tmp_path)) == 0
  assert json.loads((tmp_path / "metrics.jsonl").read_text())["ods"] > 0.97
  with pytest.raises(UserError, match="unexpected argument"):
    run.start("eval", config, str(tmp_path), ["x"])
