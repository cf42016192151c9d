"""gPb and gPb-owt-ucm behind the command line; superpixels."""

import json

import cv2
import numpy as np
import pytest

from jaxseg import judge, run, writers
from jaxseg.classical import owt, ucm
from jaxseg.methods import contours
from jaxseg.methods.superpixels import slic_segments
from jaxseg.types import UserError
from tests.methods.pictures import config_of, quarters


def test_a_perfect_hierarchy_scores_best(easy, tmp_path):
  out = writers.Writers(tmp_path, tensorboard=False)
  result = judge.evaluate(
    contours.gpb_ucm(thresholds=9),
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
  method = contours.gpb_lines(thresholds=9)
  example = quarters()
  record = method.measure(method(example["image"]), example)
  assert method.result([record])["ods"] > 0.97


def test_superpixels_of_quarters():
  method = slic_segments(segments=24)
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
  tree = ucm.merge(owt.transform(contours.pipeline.gpb(image, shrink=True)))
  np.testing.assert_array_equal(doubled, ucm.contours(tree))
  strength = cv2.imread(str(folder / "b.png"), cv2.IMREAD_GRAYSCALE)
  np.testing.assert_allclose(strength / 255, ucm.strength(tree), atol=0.003)
  for name in ("b_boundary.jpg", "b_segments.jpg", "contact_sheet.jpg"):
    assert cv2.imread(str(folder / name)) is not None
  with pytest.raises(UserError, match="needs images"):
    run.start("predict", config, str(tmp_path))


def test_eval_reads_the_records(easy, records, tmp_path):
  records.example = quarters()
  config = config_of("ucm")
  config.tensorboard = False
  config.eval.limit = 2
  assert run.start("eval", config, str(tmp_path)) == 0
  assert json.loads((tmp_path / "metrics.jsonl").read_text())["ods"] > 0.97
  with pytest.raises(UserError, match="unexpected argument"):
    run.start("eval", config, str(tmp_path), ["x"])
