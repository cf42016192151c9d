"""DeepLab, LR-ASPP and the FCN on ResNet: counts, identities, strides."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.encoders import ENCODERS
from jaxseg.models import MODELS, backbone
from jaxseg.models.decoders import deeplab
from jaxseg.state import count
from tests import probe, quick

TINY = {"width": 4, "blocks": (1, 1, 1, 1)}


def shapes(name, outputs=21, **fields):
  model = MODELS[name](outputs={"logits": outputs}, **fields)
  return probe.shapes(model, (65, 97))


# name, classes, trainable parameters without and with the auxiliary head
COUNTS = [
  ("fcn_resnet50", 21, 32_957_013, 35_322_218),
  ("fcn_resnet101", 21, 51_949_141, 54_314_346),
  ("deeplabv3_resnet50", 21, 39_638_869, 42_004_074),
  ("deeplabv3_resnet101", 21, 58_630_997, 60_996_202),
  ("deeplabv3_mobilenet_v3_large", 21, 11_025_477, 11_029_328),
  ("lraspp_mobilenet_v3_large", 21, 3_221_538, None),
  ("deeplabv3plus_xception65", 21, 41_055_413, None),
  ("deeplabv3plus_xception65", 19, 41_054_899, None),
]


@pytest.mark.parametrize("row", COUNTS, ids=lambda row: f"{row[0]}, {row[1]}")
def test_counts(row):
  name, classes, plain, with_aux = row
  out, variables = shapes(name, outputs=classes)
  params = variables["params"]
  assert out["logits"].shape == (1, 65, 97, classes)
  assert count(params) - count(params.get("aux", {})) == plain
  assert count(params) == (with_aux or plain)
  if with_aux:
    assert "aux" not in shapes(name, outputs=classes, aux=False)[1]["params"]


def conv(k, i, o, groups=1):
  """A convolution without bias, and its normalisation."""
  return k * k * i * o // groups + 2 * o


def test_parts_of_v3plus():
  """Separable on Xception, dense on ResNet; 2,048 channels come in."""
  point = conv(1, 2048, 256)
  join = conv(1, 5 * 256, 256)
  separable = conv(3, 2048, 2048, groups=2048) + point
  dense = conv(3, 2048, 256)
  low = conv(1, 256, 48)
  wants = {
    "deeplabv3plus_xception65": (
      2 * point + 3 * separable + join,
      low
      + conv(3, 304, 304, groups=304)
      + conv(1, 304, 256)
      + conv(3, 256, 256, groups=256)
      + conv(1, 256, 256),
    ),
    "deeplabv3plus_resnet50": (
      2 * point + 3 * dense + join,
      low + conv(3, 304, 256) + conv(3, 256, 256),
    ),
  }
  assert wants["deeplabv3plus_xception65"] == (3_019_776, 162_928)
  assert wants["deeplabv3plus_resnet50"][0] == 15_535_104
  trunks = {"deeplabv3plus_xception65": 37_867_312}
  trunks["deeplabv3plus_resnet50"] = 23_508_032
  for name, (aspp, rest) in wants.items():
    params = shapes(name)[1]["params"]
    assert count(params["encoder"]) == trunks[name]
    assert count(params["decoder"]["aspp"]) == aspp
    assert count(params["decoder"]) == aspp + rest
    assert count(params["head_logits"]) == 256 * 21 + 21


def test_count_of_the_d2l_network():
  """ResNet-18, 512 x 21 scores, a 64 x 64 kernel dense over 21 channels."""
  want = 11_176_512 + 512 * 21 + 21 + 64 * 64 * 21 * 21 + 21
  assert count(shapes("fcn_d2l")[1]["params"]) == want


def test_d2l_starts_as_bilinear_upsampling(random_variables):
  """A 10 x 15 map becomes 320 x 480: its corners are cropped by 16 pixels."""
  model = MODELS["fcn_d2l"](
    outputs={"logits": 2}, encoder=ENCODERS["resnet18"](**TINY)
  )
  image = np.random.default_rng(0).random((1, 64, 96, 3), np.float32)

  @quick.jit
  def run():
    variables = model.init(jax.random.key(0), image, train=False)
    out, state = model.apply(
      variables, image, train=False, capture_intermediates=True
    )
    return out["logits"], state["intermediates"]["head_logits"]["__call__"][0]

  got, score = run()
  assert score.shape == (1, 2, 3, 2)
  # Half-pixel bilinear resizing, except for the border that has no neighbour.
  want = jax.image.resize(score, (1, 64, 96, 2), "bilinear")
  inside = (slice(None), slice(16, -16), slice(16, -16))
  assert np.abs(want).max() > 0.1
  np.testing.assert_allclose(got[inside], want[inside], atol=1e-5)


def test_rate_beyond_the_map_leaves_the_centre_tap():
  """Exactly: every other tap meets the padding."""
  x = np.random.default_rng(0).normal(size=(2, 5, 7, 4)).astype(np.float32)
  aspp = deeplab.ASPP(6, rates=(7, 9, 36))

  @quick.jit
  def run():
    variables = aspp.init(jax.random.key(0), x, train=False)
    centred = jax.tree_util.tree_map_with_path(
      lambda path, k: (
        jnp.zeros_like(k).at[1, 1].set(k[1, 1])
        if "atrous" in jax.tree_util.keystr(path) and k.ndim == 4
        else k
      ),
      variables,
    )
    small = aspp.clone(rates=(1, 2, 4))
    return [
      aspp.apply(variables, x, train=False),
      aspp.apply(centred, x, train=False),
      small.apply(variables, x, train=False),
      small.apply(centred, x, train=False),
    ]

  full, centre, small, small_centre = run()
  np.testing.assert_allclose(full, centre, rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(small_centre, centre, atol=1e-5)
  assert np.abs(small - centre).max() > 1e-2


def test_image_branch_is_constant_over_the_image():
  """With all other branches silent the ASPP of any map is flat."""
  x = np.random.default_rng(0).normal(size=(1, 5, 7, 4)).astype(np.float32)
  aspp = deeplab.ASPP(6)

  @quick.jit
  def run():
    variables = aspp.init(jax.random.key(0), x, train=False)
    kernel = variables["params"]["join"]["conv"]["kernel"]
    variables["params"]["join"]["conv"]["kernel"] = kernel.at[
      :, :, : 4 * 6
    ].set(0)
    return aspp.apply(variables, x, train=False)

  y = np.asarray(run())
  assert np.abs(y).max() > 1e-3
  np.testing.assert_allclose(y, np.broadcast_to(y[:, :1, :1], y.shape))


@pytest.mark.parametrize(
  "name", ["deeplabv3_resnet50", "deeplabv3plus_resnet50"]
)
def test_output_stride_changes_no_parameter(name):
  trees = []
  for stride in (8, 16):
    out, variables = shapes(name, output_stride=stride)
    trees.append(jax.tree.map(lambda x: x.shape, dict(variables)))
    assert out["logits"].shape == (1, 65, 97, 21)
  assert trees[0] == trees[1]


def test_auxiliary_heads_are_for_training():
  """One per output; computed at init, absent in evaluation."""
  model = MODELS["fcn_resnet50"](
    outputs={"depth": 1, "logits": 3},
    encoder=ENCODERS["resnet50"](**TINY),
    width=4,
    aux_width=4,
  )
  image = jax.ShapeDtypeStruct((2, 33, 50, 3), jnp.float32)
  variables = probe.variables(model)

  assert set(probe.outputs(model, variables, image, False)) == {
    "depth",
    "logits",
  }
  got = probe.outputs(model, variables, image, True)
  assert set(got) == {"depth", "logits", "aux_depth", "aux_logits"}
  assert got["aux_depth"].shape == (2, 33, 50, 1)
  assert got["aux_logits"].shape == (2, 33, 50, 3)


def test_padding_to_the_grid_of_aligned_corners():
  """513 = 16 * 32 + 1 stays; maps of stride 16 lie corner on corner."""
  for n, want in ((1, 1), (2, 17), (17, 17), (18, 33), (513, 513)):
    image = np.arange(n, dtype=np.float32).reshape(1, n, 1, 1)
    padded = backbone.pad_to_grid(jnp.asarray(image), 16)
    assert padded.shape == (1, want, 1, 1)
    assert padded[0, -1, 0, 0] == n - 1


def test_gate_of_lraspp_scales_the_deep_branch():
  """A gate kernel of zeros halves it: sigmoid(0)."""
  model = MODELS["lraspp_mobilenet_v3_large"](
    outputs={"logits": 2},
    encoder=ENCODERS["resnet18"](**TINY),
    low="c3",
    width=4,
  )
  image = np.random.default_rng(0).random((1, 32, 48, 3), np.float32)

  @quick.jit
  def run():
    variables = model.init(jax.random.key(0), image, train=False)
    params = dict(variables["params"])
    params["gate"] = jax.tree.map(jnp.zeros_like, params["gate"])
    low = {k: jnp.zeros_like(v) for k, v in params["head_logits_low"].items()}
    params["head_logits_low"] = low
    variables = {**variables, "params": params}
    out, state = model.apply(
      variables, image, train=False, capture_intermediates=True
    )
    return out["logits"], state["intermediates"], params["head_logits"]

  got, state, score = run()
  deep = np.asarray(state["deep"]["__call__"][0])  # (1, 2, 3, 4)
  logits = 0.5 * deep @ np.asarray(score["kernel"])[0, 0]
  want = jax.image.resize(logits, (1, 4, 6, 2), "bilinear")
  want = jax.image.resize(want, (1, 32, 48, 2), "bilinear")
  assert np.abs(want).max() > 1e-2
  np.testing.assert_allclose(got, want, atol=1e-5)
