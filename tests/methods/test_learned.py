"""Methods that go on from a trained network."""

import json

import cv2
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxseg import continuation, methods, run, writers
from jaxseg.types import UserError
from tests import quick
from tests.methods.pictures import bands, config_of, crumbs, soft_lines


@pytest.fixture
def trained(monkeypatch):
  """Networks that say the picture's own steps, or bands, seven steps old."""
  asked = []

  def network(config, workdir, console):
    asked.append(workdir)
    if config.task.name == "boundaries":
      return methods.Network(lambda x: {"boundary": soft_lines(x)}, step=7)
    return methods.Network(lambda x: {"segments": crumbs(x)}, step=7)

  monkeypatch.setattr(run, "trained_network", network)
  return asked


@pytest.mark.parametrize("name", ["learned_lines", "learned_ucm"])
def test_a_network_is_judged_as_gpb_is(name, trained, records, tmp_path):
  """Its checkpoint's step stands beside the numbers."""
  config = config_of(name)
  config.method.name = name
  config.method.thresholds = 9
  config.tensorboard = False
  assert run.start("eval", config, str(tmp_path)) == 0
  assert trained == [str(tmp_path)]
  line = json.loads((tmp_path / "metrics.jsonl").read_text())
  assert line["step"] == 7
  assert line["split"] == "val"
  assert line["ods"] > 0.97
  if name == "learned_ucm":
    assert line["covering_ods"] == pytest.approx(1, abs=0.03)
    assert line["vi_ods"] == pytest.approx(0, abs=0.1)


def test_superpixels_of_a_network_are_judged_in_one_piece(
  trained, records, tmp_path
):
  config = config_of("learned_slic")
  config.method.name = "learned_slic"
  config.tensorboard = False
  assert run.start("eval", config, str(tmp_path)) == 0
  line = json.loads((tmp_path / "metrics.jsonl").read_text())
  assert line["step"] == 7
  assert (line["asa"], line["undersegmentation_error"]) == (1, 0)
  assert (line["boundary_recall"], line["segments"]) == (1, 3)
  config.method.smallest = 1.5
  with pytest.raises(UserError, match=r"smallest = 1.5: expected a share"):
    run.start("eval", config, str(tmp_path))


def test_regions_of_a_network_in_files(trained, tmp_path):
  cv2.imwrite(str(tmp_path / "a.png"), bands()["image"][..., ::-1])
  config = config_of("learned_ucm")
  config.method.name = "learned_ucm"
  assert run.start("predict", config, str(tmp_path), [f"{tmp_path}/*.png"]) == 0
  segments = np.load(tmp_path / "predictions" / "a_segments.npy")
  assert len(np.unique(segments)) == 3
  strength = cv2.imread(str(tmp_path / "predictions" / "a.png"), 0)
  # The blur takes some of a line's height.
  assert 0.5 < strength.max() / 255 <= 0.8


def test_the_network_of_a_workdir(monkeypatch):
  """What the methods go on from is the road of prediction: the sigmoid of the
  network's logit at the picture's own size."""
  config = config_of("learned_ucm")
  config.model.name, config.model.encoder.name = "unet", None
  config.model.encoder.weights = None
  config.model.width, config.model.depth = 2, 1
  config.inference.flip, config.devices, config.optim.rules = False, 1, ()
  built = run.predictor(config)
  state = built.initial_state()
  monkeypatch.setattr(
    run, "trained", lambda *rest: state.replace(step=jnp.int32(5))
  )
  network = run.trained_network(config, "w", writers.make_console())
  assert network.step == 5
  image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
  logit = quick.jit(lambda v, x: built.model.apply(v, x, train=False))(
    state.variables(), image[None] / np.float32(255)
  )["boundary"]
  got = network.predict(image)["boundary"]
  np.testing.assert_allclose(got, 1 / (1 + np.exp(-logit[0, ..., 0])), 1e-4)
  assert got.std() > 1e-3
  # Oriented and blurred, without a gain anywhere.
  strength = network.strength(image)
  assert strength.shape == (128, 128, 8)
  want = ndimage.gaussian_filter(got, 1.0, truncate=4)
  np.testing.assert_allclose(strength.max(-1), want, atol=1e-5)


def test_a_method_may_judge_a_run_that_was_trained_without_it():
  saved = config_of("learned_ucm").to_dict()
  config = config_of("learned_ucm")
  config.method.name = "learned_ucm"
  config.task.tolerance = 3.0
  assert continuation.contradictions(saved, config.to_dict()) == []
  config.task.agreement = 0.9
  (found,) = continuation.contradictions(saved, config.to_dict())
  assert found.startswith("task.agreement")


def test_mistakes_with_a_network(trained, tmp_path):
  config = config_of("learned_ucm")
  config.method.name = "learned_ucm"
  with pytest.raises(UserError, match="leave it unset to train one") as error:
    run.start("train", config, str(tmp_path / "w"))
  assert str(error.value).count(". ") == 0
  config.task.name = "semantic"
  with pytest.raises(UserError, match=r"config.task.name is 'semantic': take"):
    run.start("eval", config, str(tmp_path / "w"))
  config.task.name = "boundaries"
  config.method.shrink = True
  with pytest.raises(UserError, match="shrink is not an option of learned_ucm"):
    run.start("eval", config, str(tmp_path / "w"))
  assert not (tmp_path / "w").exists()
