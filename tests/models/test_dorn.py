"""DORN: the count by hand, the full-image encoder, what the branches see."""

import jax
import numpy as np
import pytest

from jaxseg import types
from jaxseg.encoders import ENCODERS
from jaxseg.models import MODELS, dorn
from tests import probe, quick
from tests.tiny import TINY

TRUNK = 42_623_936  # ResNet-101 with the deep stem


def count_by_hand(channels):
  def point(cin, cout):
    return cin * cout + cout

  full = 4 * 5 * 2048 * 512 + 512 + point(512, 512)
  flat = point(2048, 512) + point(512, 512)
  dilated = 9 * 2048 * 512 + 512 + point(512, 512)
  join = point(5 * 512, 2048) + point(2048, channels)
  return TRUNK + full + flat + 3 * dilated + join


def test_count():
  """K = 71 bins of KITTI: 142 channels."""
  assert count_by_hand(142) == 99_807_310
  model = MODELS["dorn"](outputs={"pairs": 142})
  out, variables = probe.shapes(model, (385, 513))
  assert out["pairs"].shape == (1, 385, 513, 142)
  leaves = jax.tree.leaves(variables["params"])
  assert sum(x.size for x in leaves) == count_by_hand(142)


def test_the_full_image_encoder_has_the_papers_grid():
  """385 x 513 at stride 8: 49 x 65; windows of 16 give 4 x 5."""
  model = MODELS["dorn"](outputs={"pairs": 4})
  for size in ((385, 513), (200, 900)):  # its parameters do not depend on it
    params = probe.variables(model, size)["params"]
    kernel = params["image"]["full"]["kernel"]
    assert kernel.shape == (1, 1, 4 * 5 * 2048, 512)


def test_the_full_image_encoder_by_loops():
  x = np.random.default_rng(0).normal(size=(2, 7, 9, 3)).astype(np.float32)
  net = dorn.FullImage(4, (7, 9), window=4)
  variables = quick.jit(lambda x: net.init(jax.random.key(0), x))(x)
  got = quick.jit(net.apply)(variables, x)
  p = jax.tree.map(np.asarray, variables["params"])
  cells = [
    x[:, i : i + 4, j : j + 4].mean((1, 2)) for i in (0, 4) for j in (0, 4, 8)
  ]
  y = np.concatenate(cells, -1)  # (2, 2 * 3 * 3)
  for name in ("full", "conv"):
    y = np.maximum(y @ p[name]["kernel"][0, 0] + p[name]["bias"], 0)
  assert np.abs(y).max() > 1e-3
  want = np.broadcast_to(y[:, None, None], (2, 7, 9, 4))
  np.testing.assert_allclose(got, want, atol=1e-5)
  # A map twice as large, every pixel four times: it is brought to the size.
  large = x.repeat(2, 1).repeat(2, 2)
  same = quick.jit(net.apply)(variables, large)
  np.testing.assert_allclose(same, want[:, :1, :1] + 0 * same, atol=1e-5)


def test_branches_see_what_their_rates_say():
  """Without the full-image encoder a place sees 9 per rate, and itself."""
  rates = (1, 2, 3)
  model = MODELS["dorn"](
    outputs={"pairs": 2}, **{**TINY["dorn"], "rates": rates}
  )
  top = np.random.default_rng(0).random((1, 9, 9, 8), np.float32)

  class Top(type(TINY["dorn"]["encoder"])):
    """An encoder whose last map is the image."""

    def __call__(self, image, *, train):
      return {"c5": image}

  model = model.clone(encoder=Top(output_stride=8))

  def run(params, x):
    """The branches, of a map that is the network's image."""
    _, state = model.apply(
      {"params": params}, x, train=False, capture_intermediates=True
    )
    return {
      k: v["__call__"][0]
      for k, v in state["intermediates"].items()
      if k.startswith("branch")
    }

  params = quick.jit(lambda x: model.init(jax.random.key(0), x, train=False))(
    top
  )["params"]
  for i in range(4):  # high enough for every ReLU to let it through
    params[f"branch{i}"]["bias"] += 100
  maps = quick.jit(run)(params, top)
  assert set(maps) == {
    f"branch{i}{tail}" for i in range(4) for tail in ("", "_point")
  }
  for i, rate in enumerate((0, *rates)):
    g = quick.jit(
      jax.grad(lambda x, i=i: run(params, x)[f"branch{i}"][0, 4, 4].sum())
    )(top)
    lit = {tuple(at) for at in np.argwhere(np.abs(g[0]).sum(-1) > 0)}
    taps = {
      (4 + rate * a, 4 + rate * b) for a in (-1, 0, 1) for b in (-1, 0, 1)
    }
    assert lit == taps


def test_what_cannot_be_is_said():
  with pytest.raises(types.UserError, match=r"input_size=\(0, 5\) of model"):
    MODELS["dorn"](outputs={"pairs": 2}, input_size=(0, 5))
  with pytest.raises(types.UserError, match="wants an encoder of output str"):
    MODELS["dorn"](outputs={"pairs": 2}, encoder=ENCODERS["vgg16"]())
