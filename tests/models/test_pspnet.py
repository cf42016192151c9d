"""PSPNet: exact counts, the pooling pyramid, the smallest image."""

import jax
import numpy as np
import pytest

from jaxseg import types
from jaxseg.encoders import ENCODERS
from jaxseg.models import MODELS
from jaxseg.models.decoders import pspnet
from jaxseg.state import count
from tests import probe, quick

TINY = {"width": 4, "blocks": (1, 1, 1, 1)}


# Encoder, classes: trainable parameters without and with the auxiliary head.
COUNTS = {
  ("resnet50", 21): (46_592_597, 48_957_802),
  ("resnet101", 21): (65_584_725, 67_949_930),
  ("resnet50_deep", 21): (46_716_373, 49_081_578),
  ("resnet101_deep", 21): (65_708_501, 68_073_706),
  ("resnet101_deep", 19): (65_707_475, 68_072_166),
  ("resnet50", 150): (46_658_774, 49_057_132),
  ("resnet50", 19): (46_591_571, 48_956_262),
  ("resnet50_deep", 19): (46_715_347, 49_080_038),
  ("resnet101", 150): (65_650_902, 68_049_260),
  ("resnet101_deep", 150): (65_774_678, 68_173_036),
}
TRUNKS = {
  "resnet50": 23_508_032,
  "resnet101": 42_500_160,
  "resnet50_deep": 23_631_808,
  "resnet101_deep": 42_623_936,
}


def formula(encoder, classes):
  pyramid = 4 * (2048 * 512 + 2 * 512)
  fuse = 9 * 4096 * 512 + 2 * 512
  aux = 9 * 1024 * 256 + 2 * 256 + 256 * classes + classes
  plain = TRUNKS[encoder] + pyramid + fuse + 512 * classes + classes
  return plain, plain + aux


def test_counts_follow_from_the_formula():
  for (encoder, classes), wants in COUNTS.items():
    assert formula(encoder, classes) == wants


@pytest.mark.parametrize("encoder", sorted(TRUNKS))
def test_counts_of_the_module(encoder):
  """Two numbers of classes fix both coefficients of the formula."""
  for classes in (19, 150):
    model = MODELS["pspnet_resnet50"](
      outputs={"logits": classes}, encoder=ENCODERS[encoder]()
    )
    params = probe.variables(model)["params"]
    plain, whole = formula(encoder, classes)
    assert count(params) == whole
    assert count(params) - count(params["aux"]) == plain


def test_registered_networks_have_the_deep_stem():
  for depth in (50, 101):
    model = MODELS[f"pspnet_resnet{depth}"](outputs={"logits": 21})
    out, variables = probe.shapes(model, (97, 130))
    assert count(variables["params"]) == COUNTS[f"resnet{depth}_deep", 21][1]
    assert out["logits"].shape == (1, 97, 130, 21)


def pyramid(x, **fields):
  pool = pspnet.PyramidPooling(3, **fields)

  @quick.jit
  def run(x):
    variables = pool.init(jax.random.key(0), x, train=False)
    return pool.apply(variables, x, train=False), variables["params"]

  return run(x)


def test_constant_map_gives_constant_branches():
  x = np.broadcast_to(np.float32([1, -2, 3, 0.5]), (2, 13, 9, 4))
  branches, _ = pyramid(x)
  assert len(branches) == 4
  for y in map(np.asarray, branches):
    assert y.shape == (2, 13, 9, 3)
    want = np.broadcast_to(y[:, :1, :1], y.shape)
    np.testing.assert_allclose(y, want, atol=1e-6)
  assert np.abs(branches[0]).max() > 0.1


def test_one_bin_is_the_mean_of_the_map():
  """Without its normalisation the branch is a ReLU of a linear map of it."""
  x = np.random.default_rng(0).normal(size=(2, 7, 11, 4)).astype(np.float32)
  branches, params = pyramid(x, norm_single=False)
  kernel = np.asarray(params["bin1"]["conv"]["kernel"])[0, 0]
  want = np.maximum(x.mean((1, 2)) @ kernel, 0)
  assert want.max() > 1e-2
  for at in ((0, 0), (6, 10), (3, 5)):
    np.testing.assert_allclose(branches[0][:, *at], want, atol=1e-5)
  assert "norm" not in params["bin1"]
  assert "norm" in params["bin2"]


def test_corners_of_a_grid_lie_on_the_corners_of_the_map():
  """A 60 x 60 map, kernels 30: the corner pixel is the corner bin."""
  x = np.random.default_rng(0).normal(size=(1, 60, 60, 4)).astype(np.float32)
  branches, params = pyramid(x)
  kernel = np.asarray(params["bin2"]["conv"]["kernel"])[0, 0]
  mean = x[0, 30:, :30].mean((0, 1))
  # Running statistics 0 and 1, scale 1: only epsilon is left of the norm.
  want = np.maximum(mean @ kernel, 0) / np.sqrt(1 + 1e-5)
  np.testing.assert_allclose(branches[1][0, -1, 0], want, atol=1e-5)


def test_smallest_image():
  """33 = 8 * 4 + 1 pixels give five places, 34 give six."""
  model = MODELS["pspnet_resnet50"](
    outputs={"logits": 3},
    encoder=ENCODERS["resnet50"](**TINY),
    width=4,
  )
  assert model.min_size == 34
  assert probe.shapes(model, (34, 41))[0]["logits"].shape == (1, 34, 41, 3)
  with pytest.raises(types.UserError, match="at least 34"):
    probe.shapes(model, (33, 64))
  assert model.clone(bins=(1,)).min_size == 1
