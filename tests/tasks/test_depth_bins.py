"""Depth over bins: untrained answers, losses that add up, mistakes."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import assignment, defaults
from jaxseg.data.datasets import DATASETS
from jaxseg.losses import DEPTH_LOSSES
from jaxseg.ops import bins
from jaxseg.types import UserError


def make(name, **options):
  config = defaults.get_config()
  config.task.name = name
  config.task.min_m, config.task.max_m = 1.0, 81.0
  for key, value in options.items():
    config.task[key] = value
  return assignment.make_task(config, DATASETS["scenes"])


def test_channels_and_untrained_answers():
  task = make("depth_bins", bins=4, spacing="uniform")
  assert task.outputs == {"bins": 4}
  pred = task.predict({"bins": jnp.zeros((1, 2, 2, 4))})["depth"]
  np.testing.assert_allclose(pred, 41)
  assert make("depth_ordinal", bins=4).outputs == {"pairs": 8}


def test_decoding_is_an_option():
  logits = jnp.log(jnp.array([[[[0.4, 0.3, 0.2, 0.1]]]]))
  read = {
    decode: make("depth_bins", bins=4, spacing="uniform", decode=decode)
    for decode in ("expectation", "argmax")
  }
  got = {k: t.predict({"bins": logits})["depth"] for k, t in read.items()}
  np.testing.assert_allclose(got["argmax"], 11)
  np.testing.assert_allclose(got["expectation"], 11 + 20 * (0.3 + 0.4 + 0.3))


def test_losses_of_metres_are_of_the_expectation():
  task = make("depth_bins", bins=8, losses=("cross_entropy", "l1*0.5"))
  rng = np.random.default_rng(0)
  logits = jnp.float32(rng.normal(size=(2, 3, 4, 8)))
  depth = jnp.float32(rng.uniform(1, 81, (2, 3, 4)))
  terms = task.loss({"bins": logits}, {"depth": depth})
  pred = task.predict({"bins": logits})["depth"]
  want = 0.5 * DEPTH_LOSSES["l1"](pred, depth).compute()
  np.testing.assert_allclose(terms["l1"].compute(), want, rtol=1e-6)
  # Cross-entropy by hand: the bin that holds the truth.
  at = np.digitize(depth, bins.edges(1, 81, 8, "sid")) - 1
  p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
  p = np.take_along_axis(p, at[..., None], -1)
  got = terms["cross_entropy"].compute()
  np.testing.assert_allclose(got, -np.log(p).mean(), rtol=1e-5)


def test_nothing_measured_is_a_loss_of_zero():
  for name, head in (("depth_bins", "bins"), ("depth_ordinal", "pairs")):
    task = make(name, bins=4)
    out = {head: jnp.full((1, 2, 3, task.outputs[head]), jnp.nan)}
    (mean,) = task.loss(out, {"depth": jnp.zeros((1, 2, 3))}).values()
    assert float(mean.compute()) == 0


@pytest.mark.parametrize(
  ("name", "options", "says"),
  [
    ("depth_bins", {"bins": 1}, "1 depth bins: expected at least 2"),
    ("depth_ordinal", {"spacing": "log"}, "'log' is not known: .* sid, uni"),
    ("depth_bins", {"decode": "mode"}, "'mode': expected one of expectation"),
    ("depth_bins", {"max_m": 0.5}, "min_m = 1.0, max_m = 0.5"),
    ("depth_ordinal", {"losses": ("l1",)}, "'l1' is not known: .* ordinal"),
    ("depth_bins", {"label_smoothing": 0.1}, "not an option of DepthBins"),
    ("depth", {"bins": 8}, "bins is not an option of Depth"),
  ],
)
def test_what_cannot_be_is_said(name, options, says):
  with pytest.raises(UserError, match=says):
    make(name, **options)
