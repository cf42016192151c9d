"""AdaBins: exact counts, the transformer by NumPy, patches, any size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import types
from jaxseg.encoders import ENCODERS
from jaxseg.models import MODELS, adabins, mini_vit
from jaxseg.state import count
from tests import probe, quick
from tests.tiny import TINY

OUTPUTS = {"bins": 256, "widths": 256}


def conv(kernel, cin, cout, norm=False):
  return kernel**2 * cin * cout + cout + 2 * norm * cout


def dense(cin, cout):
  return cin * cout + cout


# Channels of B5's maps c4 to c1, and of the decoder behind each.
SKIPS = (176, 64, 40, 24)
WIDTHS = (2048, 1024, 512, 256, 128)
LAYER = 4 * dense(128, 128) + dense(128, 1024) + dense(1024, 128) + 2 * 2 * 128


def parts(bins):
  ups = sum(
    conv(3, a + s, b, True) + conv(3, b, b, True)
    for a, s, b in zip(WIDTHS, SKIPS, WIDTHS[1:])
  )
  return {
    # Keras' trainable numbers, without the classifier of 1000.
    "encoder": 30_389_784 - dense(2048, 1000),
    "decoder": conv(1, 2048, 2048) + ups + conv(3, 128, 128),
    # Patches, positions, layers; the 3x3 beside them; the widths.
    "mvit": conv(16, 128, 128)
    + 500 * 128
    + 4 * LAYER
    + conv(3, 128, 128)
    + dense(128, 256)
    + dense(256, 256)
    + dense(256, bins),
    "logits": conv(1, 128, bins),
  }


def found(params):
  names = {
    "encoder": ("encoder", "head"),
    "decoder": ("decoder",),
    "mvit": (
      "transformer",
      "keys",
      "widths_dense1",
      "widths_dense2",
      "widths_out",
    ),
    "logits": ("head_bins",),
  }
  assert {n for group in names.values() for n in group} == set(params)
  return {k: sum(count(params[n]) for n in v) for k, v in names.items()}


@pytest.mark.parametrize(
  ("bins", "total"), [(256, 78_257_328), (80, 78_189_392)]
)
def test_the_published_numbers_of_parameters(bins, total):
  want = parts(bins)
  assert want["encoder"] == 28_340_784
  assert want["decoder"] == 43_993_472
  if bins == 256:
    assert want["mvit"] == 5_890_048
  assert sum(want.values()) == total
  model = MODELS["adabins"](outputs={"bins": bins, "widths": bins})
  assert found(probe.variables(model)["params"]) == want


def test_sizes_of_the_heads():
  """NYU's crop: 13 x 17 patches of the map of half the size."""
  model = MODELS["adabins"](outputs=OUTPUTS, coarse=True)
  out, _ = probe.shapes(model, (416, 544))
  assert out["bins"].shape == (1, 208, 272, 256)
  assert out["widths"].shape == (1, 1, 1, 256)
  assert mini_vit.fit_grid((208, 272), 16, 129, 500) == (13, 17)
  tiny = MODELS["adabins"](outputs=OUTPUTS, **TINY["adabins"])
  for size in ((1, 1), (37, 45), (64, 300)):
    out, _ = probe.shapes(tiny, size)
    assert out["bins"].shape == (1, *size, 256)
    assert out["widths"].shape == (1, 1, 1, 256)
    half = tuple(-(-n // 2) for n in size)
    out, _ = probe.shapes(tiny.clone(coarse=True), size)
    assert out["bins"].shape == (1, *half, 256)


@pytest.mark.parametrize(
  ("patch", "least", "most"), [(16, 129, 500), (4, 5, 24), (1, 2, 6), (1, 3, 8)]
)
def test_patches_of_maps_of_any_size(patch, least, most):
  sides = [*range(1, 60), 100, 271, 640, 1333, 5000]
  for h in sides:
    for w in sides:
      rows, cols = mini_vit.fit_grid((h, w), patch, least, most)
      assert least <= rows * cols <= most, (h, w, rows, cols)
      own = (h // patch, w // patch)
      if min(own) > 0 and least <= own[0] * own[1] <= most:
        assert (rows, cols) == own


def layer_by_hand(p, x, heads):
  """(n, c) in float64: attention, two dense layers, each added, normalised."""

  def norm(x, p):
    apart = x - x.mean(-1, keepdims=True)
    x = apart / np.sqrt((apart**2).mean(-1, keepdims=True) + 1e-5)
    return x * p["scale"] + p["bias"]

  n, c = x.shape
  d = c // heads
  y = np.zeros((n, c))
  for h in range(heads):
    q, k, v = (
      x @ p["attention"][name]["kernel"][:, h] + p["attention"][name]["bias"][h]
      for name in ("query", "key", "value")
    )
    for i in range(n):
      logits = np.array([q[i] @ k[j] for j in range(n)]) / np.sqrt(d)
      share = np.exp(logits - logits.max())
      share /= share.sum()
      y[i] += share @ v @ p["attention"]["out"]["kernel"][h]
  x = norm(x + y + p["attention"]["out"]["bias"], p["norm1"])
  y = np.maximum(x @ p["dense1"]["kernel"] + p["dense1"]["bias"], 0)
  y = y @ p["dense2"]["kernel"] + p["dense2"]["bias"]
  return norm(x + y, p["norm2"])


def random_layer(random_variables, dropout=0.1):
  layer = mini_vit.TransformerLayer(heads=2, hidden=12, dropout=dropout)
  x = np.random.default_rng(0).normal(size=(3, 7, 8)).astype(np.float32)
  variables = random_variables(layer, x)
  return layer, variables, x


def test_a_layer_of_the_transformer_by_numpy(random_variables):
  layer, variables, x = random_layer(random_variables)
  got = probe.run(layer, variables, x)
  p = jax.tree.map(lambda a: np.asarray(a, np.float64), variables["params"])
  want = np.stack([layer_by_hand(p, np.float64(row), 2) for row in x])
  np.testing.assert_allclose(got, want, atol=2e-5)


def test_patches_attend_to_each_other(random_variables):
  """Permuting them permutes the answers; changing one changes the others."""
  layer, variables, x = random_layer(random_variables)
  got = probe.run(layer, variables, x)
  order = np.array([3, 0, 6, 2, 5, 1, 4])
  np.testing.assert_allclose(
    probe.run(layer, variables, x[:, order]), got[:, order], atol=1e-5
  )
  changed = x.copy()
  changed[:, 6] += 1
  moved = np.abs(probe.run(layer, variables, changed) - got).max((0, 2))
  assert (moved > 1e-3).all()


def test_dropout_is_of_training_alone(random_variables):
  layer, variables, x = random_layer(random_variables, dropout=0.5)

  @quick.jit
  def run(seed):
    rngs = {"dropout": jax.random.key(seed)}
    return layer.apply(variables, x, train=True, rngs=rngs)

  a, b, c = run(0), run(0), run(1)
  np.testing.assert_array_equal(a, b)
  assert np.abs(a - c).max() > 0.1
  assert np.abs(a - probe.run(layer, variables, x)).max() > 0.1


def transformer(random_variables, size, **fields):
  net = mini_vit.MiniViT(
    **{
      "features": 8,
      "queries": 3,
      "patch": 2,
      "depth": 2,
      "heads": 2,
      "hidden": 12,
      "positions": 12,
      **fields,
    }
  )
  x = np.random.default_rng(1).normal(size=(2, *size, 5)).astype(np.float32)
  return net, random_variables(net, x), x


def test_the_transformer_by_numpy(random_variables):
  """2 x 3 patches of 2 x 2 pixels in reading order, with their positions."""
  net, variables, x = transformer(random_variables, (4, 6))
  first, queries = probe.run(net, variables, x)
  p = jax.tree.map(lambda a: np.asarray(a, np.float64), variables["params"])
  for b in range(2):
    tokens = []
    for i, j in np.ndindex(2, 3):
      piece = x[b, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
      y = np.einsum("ijc,ijcd->d", piece, p["patches"]["kernel"])
      tokens.append(y + p["patches"]["bias"] + p["positions"][3 * i + j])
    y = np.stack(tokens)
    for i in range(2):
      y = layer_by_hand(p[f"layer{i}"], y, 2)
    np.testing.assert_allclose(first[b], y[0], atol=1e-4)
    np.testing.assert_allclose(queries[b], y[1:4], atol=1e-4)


def test_positions_tell_patches_apart(random_variables):
  """Without them a permutation of equal patches could not be seen."""
  net, variables, x = transformer(random_variables, (4, 6))
  mirrored = x[:, :, ::-1]
  a, b = (probe.run(net, variables, y)[0] for y in (x, mirrored))
  assert np.abs(a - b).max() > 1e-2
  flat = np.broadcast_to(x[:, :1, :1], x.shape)
  _, queries = probe.run(net, variables, flat)
  assert np.abs(queries[:, 0] - queries[:, 1]).max() > 1e-2


def test_a_map_of_too_many_patches_is_resized(random_variables):
  """Constant blocks: the large map and the small one are the same."""
  net, variables, x = transformer(random_variables, (4, 6), positions=12)
  flat = np.broadcast_to(x[:, :1, :1], x.shape)
  large = np.broadcast_to(x[:, :1, :1], (2, 40, 60, 5))
  grid = mini_vit.fit_grid((40, 60), 2, 4, 12)
  assert grid == (2, 4)
  want = probe.run(net, variables, np.broadcast_to(x[:, :1, :1], (2, 4, 8, 5)))
  got = probe.run(net, variables, large)
  for a, b in zip(got, want):
    np.testing.assert_allclose(a, b, atol=1e-5)
  other = probe.run(net, variables, flat)  # 2 x 3 patches
  assert np.abs(other[0] - got[0]).max() > 1e-3


def test_too_few_positions_or_odd_heads():
  x = jnp.zeros((1, 8, 8, 5))
  with pytest.raises(types.UserError, match=r"positions=9 .* at least 10"):
    mini_vit.MiniViT(8, 3, 2, positions=9).init(
      jax.random.key(0), x, train=False
    )
  with pytest.raises(types.UserError, match=r"heads=3 .* embed=8"):
    mini_vit.MiniViT(8, 3, 2, heads=3, positions=12).init(
      jax.random.key(0), x, train=False
    )


def test_logits_are_what_the_queries_weigh(random_variables):
  """The dot product of every place with every query, then 1x1; coarse."""
  model = MODELS["adabins"](
    outputs={"bins": 5, "widths": 5}, **{**TINY["adabins"], "coarse": True}
  )
  image = np.random.default_rng(0).random((1, 32, 40, 3), np.float32)
  variables = random_variables(model, image)

  def run(v, x):
    return model.apply(v, x, train=False, capture_intermediates=True)

  out, state = quick.jit(run)(variables, image)
  seen = state["intermediates"]
  first, queries = seen["transformer"]["__call__"][0]
  keys = seen["keys"]["__call__"][0]
  p = jax.tree.map(np.asarray, variables["params"])
  want = np.einsum("bhwc,bqc->bhwq", keys, queries)
  want = want @ p["head_bins"]["kernel"][0, 0] + p["head_bins"]["bias"]
  np.testing.assert_allclose(out["bins"], want, rtol=1e-4, atol=1e-4)
  y = np.asarray(first)
  for name in ("widths_dense1", "widths_dense2"):
    y = y @ p[name]["kernel"] + p[name]["bias"]
    y = np.where(y > 0, y, 0.01 * y)
  y = y @ p["widths_out"]["kernel"] + p["widths_out"]["bias"]
  np.testing.assert_allclose(out["widths"][:, 0, 0], y, rtol=1e-4, atol=1e-4)


def test_fine_logits_are_the_coarse_ones_enlarged(random_variables):
  fields = {"outputs": {"bins": 5}, **TINY["adabins"]}
  fine, coarse = (MODELS["adabins"](**fields, coarse=c) for c in (False, True))
  image = np.random.default_rng(0).random((1, 33, 41, 3), np.float32)
  variables = random_variables(fine, image)
  small = np.asarray(probe.run(coarse, variables, image)["bins"])
  large = probe.run(fine, variables, image)["bins"]
  assert small.shape == (1, 17, 21, 5)
  # 33 = 2 * 16 + 1: with aligned corners every other pixel is one of them.
  np.testing.assert_allclose(large[:, ::2, ::2], small, atol=1e-4)


def test_every_map_of_the_encoder_is_used(random_variables):
  """EfficientNet's last 1x1 is built, and all its parameters learn."""
  encoder = ENCODERS["efficientnet_b0"](width=0.1, depth=0.1, c1="last")
  model = MODELS["adabins"](
    outputs={"bins": 5, "widths": 5}, **{**TINY["adabins"], "encoder": encoder}
  )
  image = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
  variables = random_variables(model, image)

  @quick.jit
  def gradients(params):
    def loss(p):
      out = model.apply({**variables, "params": p}, image, train=False)
      return jnp.sum(out["bins"] ** 2) + jnp.sum(out["widths"] ** 2)

    return jax.grad(loss)(params)

  grads = gradients(variables["params"])
  assert grads["head"]["conv"]["kernel"].shape[-1] == encoder.head_features
  for path, g in jax.tree_util.tree_leaves_with_path(grads):
    if not probe.subtracted_again(grads, path):
      assert np.abs(g).max() > 0, jax.tree_util.keystr(path)


def test_the_decoder_halves_its_channels():
  """Four joins: widths 1/2, 1/4, 1/8, 1/16 at the sizes of the maps."""
  net = adabins.Decoder(32, 6)
  sizes = ((3, 4), (5, 7), (9, 13), (17, 25))
  skips = [jax.ShapeDtypeStruct((1, *s, 3), jnp.float32) for s in sizes]
  top = jax.ShapeDtypeStruct((1, 2, 2, 10), jnp.float32)
  out, variables = jax.eval_shape(
    lambda x, s: net.init_with_output(jax.random.key(0), x, s, train=False),
    top,
    skips,
  )
  assert out.shape == (1, 17, 25, 6)
  kernels = {
    k: v["conv"]["kernel"].shape
    for k, v in variables["params"].items()
    if k.startswith("up")
  }
  assert kernels["up1_conv1"] == (3, 3, 32 + 3, 16)
  assert kernels["up2_conv1"] == (3, 3, 16 + 3, 8)
  assert kernels["up4_conv2"] == (3, 3, 2, 2)
