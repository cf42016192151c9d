"""MCG and SCG behind the command line."""

import cv2
import numpy as np
import pytest

from jaxseg import run
from jaxseg.methods.grouping import Mcg
from jaxseg.types import UserError
from tests.methods.pictures import config_of, module_of, quarters


@pytest.mark.parametrize("scales", [(2.0, 1.0, 0.5), (1.0,)])
def test_proposals_of_quarters(easy, scales):
  method = Mcg(scales=scales, thresholds=9)
  example = quarters()
  pred = method(example["image"])
  record = method.measure(pred, example)
  got = method.result([record, record])
  assert got["ods"] > 0.95
  for name in ("covering_ods", "best_overlap", "recall_50"):
    assert got[name] > 0.95
  assert got["proposals"] == len(pred["proposals"].rows)
  masks = pred["proposals"].masks()
  best = [
    max((m & (r == i)).sum() / (m | (r == i)).sum() for m in masks)
    for r in example["regions"]
    for i in range(4)
  ]
  assert got["best_overlap"] == pytest.approx(np.mean(best))


def test_options_of_mcg():
  for options, says in (
    ({"scales": (1.0, 2.0)}, "the finest first"),
    ({"proposals": 0}, "at least one"),
    ({"level": 2.0}, "level from 0 to 1"),
  ):
    with pytest.raises(UserError, match=says):
      Mcg(**options)


def test_variants_of_mcg():
  module = module_of("mcg_bsds")
  for name, scales in (("mcg", (2.0, 1.0, 0.5)), ("scg", (1.0,))):
    assert module.get_config(name).method.scales == scales
  with pytest.raises(UserError, match=r"'scq'.*Did you mean 'scg'"):
    module.get_config("scq")


def test_predicting_proposals(easy, tmp_path):
  image = quarters()["image"]
  cv2.imwrite(str(tmp_path / "a.png"), image[..., ::-1])
  config = config_of("mcg")
  config.method.scales, config.method.proposals = (1.0, 0.5), 3
  out = tmp_path / "w"
  assert run.start("predict", config, str(out), [f"{tmp_path}/a.png"]) == 0
  folder = out / "predictions"
  masks, scores = (
    np.load(folder / f"a_{k}.npy") for k in ("proposals", "scores")
  )
  found = Mcg(scales=(1.0, 0.5))(image)
  np.testing.assert_array_equal(masks, found["proposals"].masks(3))
  np.testing.assert_array_equal(scores, found["proposals"].score[:3])
  assert masks.shape == (3, 40, 56)
  assert np.load(folder / "a_ucm.npy").shape == (81, 113)
  page = cv2.imread(str(folder / "a_proposals.jpg"))
  assert page.shape == (42, 57, 3)
  # The first tile is the picture where the best is, and dark elsewhere.
  tile = page[:14, :19, ::-1].astype(int)
  inside = masks[0][::3, ::3]
  bright = np.abs(tile - image[::3, ::3]).max(-1) < 60
  assert bright[inside].mean() > 0.8
  assert (tile[~inside].sum(-1) < 300).all()
