"""CRF-RNN: the plain field where it starts, gradients, names, config."""

import dataclasses
import functools
import importlib.util
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import build, networks
from jaxseg.classical.crf import dense
from jaxseg.models import MODELS
from jaxseg.models.crf_rnn import CRFRNN
from jaxseg.tasks import Depth, Semantic
from jaxseg.types import UserError
from tests import quick
from tests.tiny import TINY

K = 3
FIELD = dense.DenseOptions(
  iterations=2,
  bilateral_weight=1.5,
  color_deviation=80.0,
  bilateral_deviation=4.0,
  smooth_weight=0.7,
  filter="exact",
)
TASK = Semantic(("a", "b", "c"), ((0, 0, 0),) * 3)


def _network():
  return MODELS["unet"](outputs={"logits": K}, **{**TINY["unet"], "depth": 1})


def _image(seed=0):
  return np.random.default_rng(seed).random((2, 9, 10, 3), np.float32)


@pytest.fixture(scope="module")
def built(random_variables):
  model = CRFRNN(_network(), FIELD, test_iterations=4)
  return model, random_variables(model, _image())


def _start(variables):
  """The variables with the field as `init` has it."""
  potts = 1 - np.eye(K, dtype=np.float32)
  return {
    "params": {
      **variables["params"],
      "crf_bilateral": np.full(K, 1.5, np.float32),
      "crf_smooth": np.full(K, 0.7, np.float32),
      "crf_compatibility": potts,
    }
  }


def test_names_and_number_of_the_parameters():
  model, image = CRFRNN(_network(), FIELD), _image()
  shapes = jax.eval_shape(
    lambda: model.init(jax.random.key(0), jnp.asarray(image), train=False)
  )
  alone = jax.eval_shape(
    lambda: _network().init(jax.random.key(0), jnp.asarray(image), train=False)
  )
  own = {k: v.shape for k, v in shapes["params"].items() if k[:4] == "crf_"}
  assert own == {
    "crf_bilateral": (K,),
    "crf_smooth": (K,),
    "crf_compatibility": (K, K),
  }
  rest = {k: v for k, v in shapes["params"].items() if k not in own}
  assert jax.tree.map(jnp.shape, rest) == jax.tree.map(
    jnp.shape, dict(alone["params"])
  )


@pytest.mark.parametrize(("train", "iterations"), [(True, 2), (False, 4)])
def test_at_its_start_it_is_the_field_over_the_network(
  built, train, iterations
):
  model, variables = built
  image, start = _image(), _start(variables)
  got = quick.jit(lambda v: model.apply(v, image, train=train)["logits"])(start)
  alone = {
    "params": {k: v for k, v in start["params"].items() if k[:4] != "crf_"}
  }
  options = dataclasses.replace(FIELD, iterations=iterations)

  @quick.jit
  def separate(v):
    logits = _network().apply(v, image, train=False)["logits"]
    return logits, dense.refine(logits, image, options)

  logits, want = separate(alone)
  np.testing.assert_allclose(jax.nn.softmax(got), want, atol=1e-5)
  assert np.abs(jax.nn.softmax(logits) - want).max() > 0.02


@pytest.mark.parametrize("kind", ["exact", "lattice"])
def test_gradients_are_finite_differences(kind):
  """Of all parameters of the field, and of the logits that go into it."""
  options = dataclasses.replace(FIELD, filter=kind)
  rng = np.random.default_rng(3)
  image = _image(1)
  weight = rng.normal(size=(2, 9, 10, K)).astype(np.float32)
  params = {
    "logits": rng.normal(size=(2, 9, 10, K)).astype(np.float32),
    "bilateral": rng.uniform(0.5, 1.5, K).astype(np.float32),
    "smooth": rng.uniform(0.5, 1.5, K).astype(np.float32),
    "mu": rng.normal(size=(K, K)).astype(np.float32),
  }

  @quick.jit
  def value_and_grad(params):
    def loss(p):
      made = dense.filters(jnp.asarray(image), options)
      kernels = [(run, p[name]) for name, run in made.items()]
      unary = dense.unary_energies(p["logits"])
      scores = dense.mean_field(unary, kernels, p["mu"], 2)
      return (jax.nn.softmax(scores) * weight).sum()

    return jax.value_and_grad(loss)(params)

  _, grads = value_and_grad(params)
  for name, value in params.items():
    direction = rng.normal(size=value.shape).astype(np.float32)
    ends = []
    for sign in (-1, 1):
      moved = {**params, name: value + sign * np.float32(1e-2) * direction}
      ends.append(float(value_and_grad(moved)[0]))
    slope = (ends[1] - ends[0]) / 2e-2
    assert abs(slope) > 0.05, name
    np.testing.assert_allclose(
      (grads[name] * direction).sum(), slope, rtol=0.03, err_msg=name
    )


def test_every_parameter_of_the_whole_gets_a_gradient(built):
  model, variables = built
  label = np.random.default_rng(1).integers(0, K, (2, 9, 10))

  @quick.jit
  def gradients(params):
    def loss(params):
      out = model.apply({"params": params}, _image(), train=True)["logits"]
      return -(jax.nn.log_softmax(out) * jax.nn.one_hot(label, K)).sum()

    return jax.grad(loss)(params)

  grads = gradients(variables["params"])
  for path, g in jax.tree_util.tree_leaves_with_path(grads):
    assert np.isfinite(g).all(), path
    assert np.abs(g).max() > 0, path


def _config():
  path = pathlib.Path(__file__).parents[2] / "configs/crf_rnn_scenes.py"
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module.get_config()


def test_the_config_builds_it():
  config = _config()
  model = networks.make_model(config, TASK)
  assert isinstance(model, CRFRNN)
  assert model.options.iterations == 5
  assert model.options.smooth_deviation == 1.0
  assert model.test_iterations == 10
  assert build.make_inference(config).crf is None
  with pytest.raises(UserError, match="task 'depth' has none"):
    networks.make_model(config, Depth())
  config.model.crf.test_iterations = 0
  with pytest.raises(UserError, match="test_iterations = 0"):
    networks.make_model(config, TASK)
  config.model.crf.iterations = 0
  assert not isinstance(networks.make_model(config, TASK), CRFRNN)


def test_a_network_of_another_size_is_refused():
  raw = functools.partial(MODELS["unet"], **{**TINY["unet"], "depth": 1})
  valid = raw(outputs={"logits": K}, padding="valid", mirror=False)
  image = jnp.zeros((1, 32, 32, 3))
  with pytest.raises(UserError, match="answers at full resolution"):
    jax.eval_shape(
      lambda: CRFRNN(valid).init(jax.random.key(0), image, train=False)
    )
