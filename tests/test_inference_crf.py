"""config.inference.crf: the same field in evaluation, prediction, export."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import build, defaults, export, inference, native
from jaxseg.classical.crf import dense
from jaxseg.tasks import Depth, Semantic
from jaxseg.types import UserError
from tests import quick

TASK = Semantic(("a", "b"), ((0, 0, 0), (255, 0, 0)))
CRF = dense.DenseOptions(filter="exact", iterations=3)


class Net(nn.Module):
  """Says what the red of a pixel says, and nothing where there is no green."""

  @nn.compact
  def __call__(self, image, train=False):
    score = 6 * image[..., :1] - 3
    score = jnp.where(image[..., 1:2] == 0, jnp.nan, score)
    return {"logits": jnp.concatenate([-score, score], -1)}


def _image(seed=0):
  rng = np.random.default_rng(seed)
  y, x = np.mgrid[:12, :16]
  disc = (y - 6) ** 2 + (x - 7) ** 2 < 16
  image = np.stack([0.3 + 0.4 * disc, 0.5 + 0 * disc, 0.2 + 0.6 * disc], -1)
  image[..., 0] += rng.normal(0, 0.25, disc.shape)  # what the network sees
  return np.clip(image, 0.01, 1).astype(np.float32)[None], disc


def _predict(options, image):
  return quick.jit(inference.build(Net(), TASK, options))({}, image)["label"]


def test_it_is_the_field_over_the_averaged_views():
  image, _ = _image()
  options = inference.InferenceOptions(flip=True, crf=CRF)
  got = quick.jit(inference.build_forward(Net(), TASK, options))({}, image)
  logits = np.asarray(Net().apply({}, image)["logits"])
  want = quick.jit(lambda x, y: dense.refine(x, y, CRF))(logits, image)
  np.testing.assert_allclose(jax.nn.softmax(got["logits"]), want, atol=1e-5)
  assert set(got) == {"logits"}
  off = dataclasses.replace(options, crf=None)
  plain = quick.jit(inference.build_forward(Net(), TASK, off))({}, image)
  assert np.abs(jax.nn.softmax(plain["logits"]) - want).max() > 0.1


def test_evaluation_and_prediction_agree_and_a_nan_is_filled():
  image, disc = _image()
  pixels = np.round(image * 255).astype(np.uint8)
  pixels[0, 6, 7, 1] = 0  # inside the disc
  options = inference.InferenceOptions(crf=CRF)
  label = np.asarray(_predict(options, pixels / np.float32(255)))[0]
  forward = inference.build_forward(Net(), TASK, options)
  one = native.native(forward, TASK)({}, pixels[0])["label"]
  np.testing.assert_array_equal(np.squeeze(one), label)
  assert label[6, 7] == 1
  plain = np.asarray(_predict(None, pixels / np.float32(255)))[0]
  assert (label == disc).mean() > (plain == disc).mean()


def test_the_config_has_every_option_and_is_off():
  config = defaults.get_config()
  assert build.make_inference(config).crf is None
  names = {f.name for f in dataclasses.fields(dense.DenseOptions)}
  assert set(config.inference.crf) == names
  config.inference.crf.iterations = 5
  assert build.make_inference(config).crf == dense.DenseOptions()
  config.inference.crf.color_deviation = 4.0
  config.inference.flip = True
  made = build.make_inference(config)
  assert made.crf == dense.DenseOptions(color_deviation=4.0)
  assert made.flip


def test_mistakes_are_one_sentence():
  config = defaults.get_config()
  config.inference.crf.iterations = -1
  with pytest.raises(UserError, match="crf iterations = -1"):
    build.make_inference(config)
  config.inference.crf.iterations = 5
  config.inference.crf.filter = "latice"
  with pytest.raises(UserError, match="'latice': expected lattice or exact"):
    build.make_inference(config)
  options = inference.InferenceOptions(crf=CRF)
  with pytest.raises(UserError, match="task 'depth' has none: set it to 0"):
    inference.build_forward(Net(), Depth(), options)


@pytest.mark.slow  # compiles for three platforms
def test_the_artifact_holds_the_field(tmp_path):
  """With the lattice, whose loops XLA has to carry into the file."""
  crf = dense.DenseOptions(color_deviation=40.0, iterations=2)
  options = inference.InferenceOptions(crf=crf)
  predict = inference.build(Net(), TASK, options)
  path = tmp_path / "crf.stablehlo"
  export.export_artifact(predict, {}, (12, 16), path, task=TASK)
  call, _ = export.load_artifact(path)
  pixels = np.round(_image()[0] * 255).astype(np.uint8)
  got = np.asarray(call(pixels)["label"])
  np.testing.assert_array_equal(
    got, _predict(options, pixels / np.float32(255))
  )
  assert (got != _predict(None, pixels / np.float32(255))).any()
