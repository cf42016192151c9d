"""Hypercolumns: the efficient form, the grid of classifiers, fine edges."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseg.models import MODELS, hypercolumn
from jaxseg.ops import conv, resize
from jaxseg.state import count
from tests import probe, quick


def test_count():
  """500 scores of 20 classes on a 5 x 5 grid from pool3, pool4 and fc7."""
  model = MODELS["hypercolumn"](outputs={"logits": 20})
  params = probe.variables(model)["params"]
  heads = {
    k: v["kernel"].shape for k, v in params.items() if k.startswith("head")
  }
  assert heads == {
    "head_logits_pool3": (3, 3, 256, 500),
    "head_logits_pool4": (1, 1, 512, 500),
    "head_logits_fc7": (1, 1, 4096, 500),
  }
  vgg = 14_714_688 + 102_764_544 + 16_781_312
  scores = (9 * 256 + 512 + 4096 + 3) * 500
  assert count(params) == vgg + scores


@pytest.mark.parametrize(("size", "count"), [(50, 7), (64, 8), (1, 4), (9, 4)])
def test_grid_weights(size, count):
  weights = hypercolumn.location_weights(size, count, 8, 5)
  assert weights.shape == (count, 5)
  assert weights.min() >= 0
  np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)
  one = hypercolumn.location_weights(size, count, 8, 1)
  np.testing.assert_array_equal(one, 1)


def test_grid_weights_by_hand():
  """40 pixels, five cells of 8: each sample is the centre of its own cell."""
  np.testing.assert_allclose(
    hypercolumn.location_weights(40, 5, 8, 5), np.eye(5), atol=1e-6
  )
  # Two cells of 20, centres 10 and 30; samples at 4, 12, 20, 28, 36.
  np.testing.assert_allclose(
    hypercolumn.location_weights(40, 5, 8, 2)[:, 1],
    [0, 0.1, 0.5, 0.9, 1],
    atol=1e-6,
  )


def test_sum_of_scores_is_a_classifier_on_the_concatenation(random_variables):
  """One matrix on upsampled, concatenated features, for K = 1."""
  model = hypercolumn.Hypercolumn(
    {"logits": 3},
    grid=1,
    scales=(0.5, 2.0, 1.0),
    width=2,
    fc_width=6,
    dropout=0.0,
    normalization="none",
  )
  image = np.random.default_rng(0).random((1, 64, 96, 3), np.float32)
  variables = random_variables(model, image)

  @quick.jit
  def run(variables):
    got, state = model.apply(
      variables, image, train=False, capture_intermediates=True
    )
    maps = state["intermediates"]["encoder"]["__call__"][0]
    fc7 = jax.nn.relu(state["intermediates"]["fc7"]["__call__"][0])
    params = variables["params"]
    # 3x3 patches of pool3 as channels, row by row: its 3x3 score is a matrix.
    p3 = jnp.pad(0.5 * maps["p3"], ((0, 0), (1, 1), (1, 1), (0, 0)))
    taps = [p3[:, i : i + 8, j : j + 12] for i in range(3) for j in range(3)]
    features = [jnp.concatenate(taps, -1), 2.0 * maps["p4"], fc7]
    column = jnp.concatenate(
      [resize.resize_bilinear(f, (8, 12)) for f in features], -1
    )
    layers = [params[f"head_logits_{k}"] for k in ("pool3", "pool4", "fc7")]
    matrix = jnp.concatenate([v["kernel"].reshape(-1, 3) for v in layers])
    scores = column @ matrix + sum(v["bias"] for v in layers)
    return got["logits"], resize.resize_bilinear(scores, (64, 96))

  got, want = run(variables)
  assert np.std(want) > 0.05
  np.testing.assert_allclose(got, want, atol=1e-4)


def test_grid_classifiers_differ_by_place(random_variables):
  """Only the biases of the upper left classifier are not zero."""
  model = MODELS["hypercolumn"](
    outputs={"logits": 2}, grid=3, width=1, fc_width=2, dropout=0.0
  )
  image = np.random.default_rng(0).random((1, 96, 96, 3), np.float32)
  params = jax.tree.map(
    lambda x: np.zeros(x.shape, np.float32),
    probe.variables(model, 96)["params"],
  )
  bias = np.zeros((3, 3, 2), np.float32)
  bias[0, 0, 1] = 1
  params["head_logits_fc7"]["bias"] = bias.ravel()
  out = quick.jit(lambda p, x: model.apply({"params": p}, x, train=False))(
    params, image
  )
  logits = np.asarray(out["logits"])[0]
  assert not logits[..., 0].any()
  # One at the corner, a half between the cells, nothing in the next cell.
  line = logits[8, :, 1]
  np.testing.assert_allclose(line[:12], 1, atol=1e-5)
  np.testing.assert_allclose(line[31:33].mean(), 0.5, atol=1e-5)
  np.testing.assert_allclose(line[52:], 0, atol=1e-5)
  np.testing.assert_allclose(logits[:, 8, 1], line, atol=1e-5)


@pytest.mark.slow
def test_fine_edges_need_the_lower_layers():
  """Squares of 12 pixels: with pool3 and pool4 their borders are found."""
  rng = np.random.default_rng(0)
  label = np.zeros((4, 64, 64), np.int32)
  for i in range(4):
    for y, x in rng.integers(0, 52, (5, 2)):
      label[i, y : y + 12, x : x + 12] = 1
  image = 0.2 + 0.6 * label[..., None] + rng.normal(0, 0.05, (4, 64, 64, 3))
  image = image.astype(np.float32)
  near = np.zeros(label.shape, bool)
  for axis in (1, 2):
    edge = label != np.roll(label, 1, axis)
    for shift in range(-3, 3):
      near |= np.roll(edge, shift, axis)

  def boundary_iou(top_only):
    model = hypercolumn.Hypercolumn(
      {"logits": 2},
      grid=1,
      width=8,
      fc_width=32,
      dropout=0.0,
      top_only=top_only,
    )
    params = jax.jit(lambda: model.init(jax.random.key(0), image, train=False))
    optimizer = optax.adam(3e-3)
    params = params()["params"]

    @jax.jit
    def step(params, state):
      def loss(params):
        out = model.apply({"params": params}, image, train=True)["logits"]
        values = optax.softmax_cross_entropy_with_integer_labels(out, label)
        return values.mean(), out

      grads, out = jax.grad(loss, has_aux=True)(params)
      updates, state = optimizer.update(grads, state)
      return optax.apply_updates(params, updates), state, out

    state = optimizer.init(params)
    for _ in range(60):
      params, state, out = step(params, state)
    got = np.argmax(out, -1)[near] == 1
    want = label[near] == 1
    return (got & want).sum() / (got | want).sum()

  assert boundary_iou(False) > boundary_iou(True) + 0.1


def test_convolution_commutes_with_upsampling():
  """Why the efficient form is exact: a 1x1 matrix and a resize commute."""
  rng = np.random.default_rng(0)
  x = rng.normal(size=(1, 4, 6, 5)).astype(np.float32)
  kernel = rng.normal(size=(1, 1, 5, 2)).astype(np.float32)
  first = resize.resize_bilinear(conv.conv2d(x, kernel), (9, 13))
  last = conv.conv2d(resize.resize_bilinear(x, (9, 13)), kernel)
  np.testing.assert_allclose(first, last, atol=1e-5)
