"""HED: parameters by hand, side outputs and their sum, any encoder."""

import jax
import numpy as np
import pytest

from jaxseg import tasks, types
from jaxseg.encoders import ENCODERS
from jaxseg.models import MODELS
from jaxseg.ops import resize
from jaxseg.state import count
from tests import probe, quick
from tests.tiny import BASIC

OUTPUTS = {"boundary": 1}


def test_count():
  """VGG-16 up to conv5_3, a 1x1 on each stage, five weights and a bias."""
  convolutions = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256)]
  convolutions += [(256, 256)] * 2 + [(256, 512)] + [(512, 512)] * 5
  vgg = sum(9 * a * b + b for a, b in convolutions)
  sides = sum(c + 1 for c in (64, 128, 256, 512, 512))
  params = probe.variables(MODELS["hed"](outputs=OUTPUTS))["params"]
  assert count(params["encoder"]) == vgg == 14_714_688
  assert count(params) == vgg + sides + 5 + 1 == 14_716_171


def test_any_encoder():
  """The five finest maps; EfficientNet-Lite0's have 32, 24, 40, 112, 320."""
  model = MODELS["hed"](
    outputs=OUTPUTS, encoder=ENCODERS["efficientnet_lite0"]()
  )
  out, variables = probe.shapes(model, (45, 70), train=True)
  sides = [f"aux_boundary_c{k}" for k in range(1, 6)]
  assert sorted(out) == [*sides, "boundary"]
  assert {x.shape for x in out.values()} == {(1, 45, 70, 1)}
  params = variables["params"]
  widths = [
    params[f"side_boundary_c{k}"]["kernel"].shape[2] for k in range(1, 6)
  ]
  assert widths == [32, 24, 40, 112, 320]
  assert count(params) - count(params["encoder"]) == sum(widths) + 5 + 6


def test_starts_undecided_with_the_mean_of_the_sides(random_variables):
  model = MODELS["hed"](outputs=OUTPUTS, encoder=BASIC)
  image = np.random.default_rng(0).random((1, 20, 27, 3), np.float32)
  fresh = quick.jit(lambda x: model.init(jax.random.key(0), x, train=False))(
    image
  )
  np.testing.assert_array_equal(probe.run(model, fresh, image)["boundary"], 0)
  np.testing.assert_allclose(
    fresh["params"]["fuse_boundary"]["kernel"], np.full((5, 1), 0.2)
  )


def test_sides_and_their_sum(random_variables):
  """The answer from the encoder's maps, one step after another."""
  model = MODELS["hed"](outputs=OUTPUTS, encoder=ENCODERS["vgg16"](width=4))
  image = np.random.default_rng(0).random((2, 40, 70, 3), np.float32)
  variables = random_variables(model, image)
  params = variables["params"]
  out = quick.jit(lambda v, x: model.apply(v, x, train=True))(variables, image)
  wide = np.pad(image, ((0, 0), (0, 24), (0, 26), (0, 0)), mode="edge")
  maps = quick.jit(
    lambda p, x: ENCODERS["vgg16"](width=4).apply({"params": p}, x, train=False)
  )(params["encoder"], wide)
  total = params["fuse_boundary"]["bias"]
  for k in range(5):
    assert maps[f"c{k}"].shape[1:3] == (64 >> k, 96 >> k)
    layer = params[f"side_boundary_c{k}"]
    side = maps[f"c{k}"] @ layer["kernel"][0, 0] + layer["bias"]
    side = resize.resize_bilinear(side, (64, 96))[:, :40, :70]
    np.testing.assert_allclose(
      out[f"aux_boundary_c{k}"], side, rtol=1e-4, atol=1e-4
    )
    total = total + params["fuse_boundary"]["kernel"][k] * side
  np.testing.assert_allclose(out["boundary"], total, rtol=1e-4, atol=1e-4)
  alone = probe.run(model, variables, image)
  assert set(alone) == {"boundary"}
  np.testing.assert_allclose(alone["boundary"], out["boundary"], atol=1e-5)


def test_every_side_is_supervised(random_variables):
  """A term each, of weight 1; what a side learns is its own loss's alone
  where the sum has no weight for it."""
  task = tasks.Boundaries()
  model = MODELS["hed"](outputs=task.outputs, encoder=BASIC)
  image = np.random.default_rng(0).random((1, 33, 40, 3), np.float32)
  percent = np.zeros((1, 33, 40), np.int32)
  percent[:, 16] = 80
  variables = random_variables(model, image)
  rest = {k: v for k, v in variables.items() if k != "params"}

  def terms(params):
    out, _ = model.apply(
      {"params": params, **rest}, image, train=True, mutable=["batch_stats"]
    )
    loss = task.loss(out, {"boundary": percent})
    return {name: mean.compute() for name, mean in loss.items()}

  got = jax.eval_shape(terms, variables["params"])
  assert sorted(got) == [
    *(f"aux_boundary_c{k}/balanced" for k in range(1, 6)),
    "balanced",
  ]
  params = variables["params"] | {
    "fuse_boundary": jax.tree.map(
      np.zeros_like, variables["params"]["fuse_boundary"]
    )
  }
  grads = quick.jit(jax.grad(lambda p: sum(terms(p).values())))(params)
  for k in range(1, 6):
    assert np.abs(grads[f"side_boundary_c{k}"]["kernel"]).max() > 0


def test_an_encoder_without_these_maps():
  model = MODELS["hed"](outputs=OUTPUTS, encoder=ENCODERS["alexnet"]())
  with pytest.raises(types.UserError, match="model 'hed' needs a map c1"):
    probe.shapes(model, 96)
