"""Eigen and Fergus' three scales: counts, sizes, where the maps lie."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import types
from jaxseg.models import MODELS, eigen
from jaxseg.ops import resize
from jaxseg.state import count
from tests import probe, quick
from tests.tiny import TINY

HEADS = {"depth": 1, "normal": 3}
VGG16 = 14_714_688


def conv(kernel, cin, cout):
  return kernel**2 * cin * cout + cout


def coarse(channels):
  return conv(5, 64 + 96, 64) + 2 * conv(5, 64, 64) + conv(5, 64, channels)


def fine(channels):
  """60 features of the image, 1 of depth, 3 of the normal: 64."""
  return 2 * conv(5, 60 + 1 + 3, 64) + conv(5, 64, channels)


# By module of the network with heads depth and normal.
PARTS = {
  "encoder": VGG16,
  "full1": 512 * 7 * 9 * 4096 + 4096,
  "full2": 4096 * 64 * 14 * 19 + 64 * 14 * 19,
  "image2": conv(9, 3, 96),
  "image3": conv(9, 3, 64),
  "coarse_depth": coarse(1),
  "coarse_normal": coarse(3),
  "bias_depth": 55 * 74,
  "fine_depth": fine(1),
  "fine_normal": fine(3),
}


def test_the_published_number_of_parameters():
  assert PARTS["full1"] == 132_124_672
  assert PARTS["full2"] == 69_747_328
  of_scales = set(PARTS) - {"encoder", "full1", "full2"}
  assert sum(PARTS[k] for k in of_scales) == 1_387_758
  assert sum(PARTS.values()) == 217_974_446
  params = probe.variables(MODELS["eigen"](outputs=HEADS))["params"]
  assert {name: count(value) for name, value in params.items()} == PARTS


def test_two_scales_have_no_third():
  model = MODELS["eigen"](outputs=HEADS, scales=2)
  third = sum(v for k, v in PARTS.items() if k.startswith(("image3", "fine")))
  assert probe.parameters(model) == 217_974_446 - third


def test_maps_inside_have_the_papers_sizes():
  model = MODELS["eigen"](outputs=HEADS)
  shape = jax.ShapeDtypeStruct((1, 480, 640, 3), jnp.float32)

  def run(x):
    variables = model.init(jax.random.key(0), x, train=False)
    return model.apply(variables, x, train=False, capture_intermediates=True)

  out, state = jax.eval_shape(run, shape)
  seen = state["intermediates"]

  def shape_of(*path):
    node = seen
    for name in path:
      node = node[name]
    return node["__call__"][0].shape[1:]

  assert seen["encoder"]["__call__"][0]["c5"].shape[1:] == (7, 9, 512)
  assert shape_of("full1") == (4096,)
  assert shape_of("full2") == (14 * 19 * 64,)
  assert shape_of("coarse_depth", "conv1") == (55, 74, 64)
  assert shape_of("coarse_normal") == (55, 74, 3)
  assert shape_of("fine_depth", "conv1") == (109, 147, 64)
  assert shape_of("fine_normal") == (109, 147, 3)
  assert out["depth"].shape == (1, 480, 640, 1)


@pytest.mark.parametrize("step", [2, 4])
def test_a_place_lies_where_its_pixels_were_seen(step):
  """A map of rows and columns becomes the image's own, and its border."""
  n, m, size = 9, 11, (50, 61)
  rows, cols = (eigen.FIRST + step * np.arange(k) for k in (n, m))
  both = np.stack(np.meshgrid(rows, cols, indexing="ij"), -1)
  got = eigen._place(jnp.float32(both[None]), step, size)
  want = np.stack(
    np.meshgrid(
      np.clip(np.arange(size[0]), rows[0], rows[-1]),
      np.clip(np.arange(size[1]), cols[0], cols[-1]),
      indexing="ij",
    ),
    -1,
  )
  np.testing.assert_allclose(got[0], want, atol=1e-4)


@pytest.mark.parametrize("scales", [2, 3])
def test_maps_lie_on_the_image(scales):
  """A bump on a place of both lattices is answered symmetrically around it.

  Every kernel is zero but the 9x9 on the image, all ones, and one path of ones
  at the centres of a 5x5 stack: what is left is where the pixels went.
  """
  model = MODELS["eigen"](
    outputs={"depth": 1}, **{**TINY["eigen"], "scales": scales}
  )
  row, col = 22, 30  # 6 + 4 * 4 and 6 + 4 * 6
  y, x = np.ogrid[:48, :64]
  bump = np.exp(-((y - row) ** 2 + (x - col) ** 2) / 50)
  image = np.float32(bump[None, ..., None].repeat(3, -1))
  model = model.clone(encoder=model.encoder.clone(normalization="none"))
  shapes = probe.variables(model, (48, 64))["params"]
  params = jax.tree.map(lambda s: np.zeros(s.shape, np.float32), shapes)
  first = model.width if scales == 2 else 0  # behind the fully connected ones
  stack = ("coarse", 3) if scales == 2 else ("fine", 2)
  params["image2" if scales == 2 else "image3"]["kernel"][:] = 1
  for i in range(1, stack[1] + 1):
    kernel = params[f"{stack[0]}_depth"][f"conv{i}"]["kernel"]
    kernel[2, 2, first if i == 1 else 0, 0] = 1
  params[f"{stack[0]}_depth"]["out"]["kernel"][2, 2, 0, 0] = 1
  out = np.asarray(probe.run(model, {"params": params}, image)["depth"])[
    0, ..., 0
  ]
  assert out[row, col] == out.max() > 0
  k = np.arange(1, 13)
  assert (np.diff(out[row, col + k]) < 0).any()
  np.testing.assert_allclose(out[row + k], out[row - k], rtol=1e-4)
  np.testing.assert_allclose(out[:, col + k], out[:, col - k], rtol=1e-4)


def test_coarse_maps_reach_the_fine_ones(random_variables):
  """Depth of scale 3 sees scale 2's depth and normal, and its bias."""
  model = MODELS["eigen"](outputs=HEADS, **{**TINY["eigen"], "width": 16})
  image = np.random.default_rng(0).random((1, 48, 64, 3), np.float32)
  variables = random_variables(model, image)

  @quick.jit
  def gradients(params):
    def loss(p):
      out = model.apply({"params": p}, image, train=False)
      return jnp.sum(out["depth"] ** 2)

    return jax.grad(loss)(params)

  g = gradients(variables["params"])
  for name in ("coarse_depth", "coarse_normal"):
    assert np.abs(g[name]["out"]["kernel"]).max() > 0, name
  for name in ("full1", "image2"):
    assert np.abs(g[name]["kernel"]).max() > 0, name
  assert np.abs(g["bias_depth"]).max() > 0
  assert not np.any(g["fine_normal"]["out"]["kernel"])
  # Of 16 filters on the image the first 12 are read: 1 + 3 maps take places.
  read = np.abs(g["image3"]["kernel"]).max((0, 1, 2)) > 0
  assert read[:12].sum() > 6
  assert not read[12:].any()


def test_another_size_is_stretched_and_the_answer_back(random_variables):
  model = MODELS["eigen"](outputs={"depth": 1}, **TINY["eigen"])
  image = np.random.default_rng(0).random((1, 37, 90, 3), np.float32)
  fitted = np.asarray(resize.resize_bilinear(image, model.input_size))
  variables = random_variables(model, fitted)
  small = probe.run(model, variables, fitted)["depth"]
  got = probe.run(model, variables, image)["depth"]
  want = resize.resize_bilinear(small, (37, 90))
  assert np.std(want) > 1e-3
  np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3 * np.std(want))


def test_what_cannot_be_is_said():
  for fields, says in (
    ({"input_size": (31, 40)}, r"input_size=\(31, 40\).*at least 32"),
    ({"input_size": (64,)}, r"input_size=\(64,\)"),
    ({"scales": 1}, "scales=1 is unknown; expected one of 2, 3"),
  ):
    with pytest.raises(types.UserError, match=says):
      MODELS["eigen"](outputs=HEADS, **fields)
