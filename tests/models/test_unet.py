"""U-Net: sizes, exact parameter counts with their derivation, options."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import types
from jaxseg.models import unet
from tests import probe, quick

UNet = unet.UNet


def formula(
  cin, classes, *, width=64, depth=4, up=2, norm=False, bias=True, extra=False
):
  """Weights and biases layer by layer, in plain numbers."""
  conv = lambda k, i, o, b=True: k * k * i * o + (o if b else 0)  # noqa: E731
  level = [width * 2**i for i in range(depth + 1)]

  def double(i, o):
    per_conv = 2 * o if norm else 0  # scale and offset
    return conv(3, i, o, bias) + conv(3, o, o, bias) + 2 * per_conv

  total = double(cin, level[0])
  for i, o in itertools.pairwise(level):
    total += double(i, o)  # one level down
    total += conv(up, o, i)  # the up-convolution back
    total += double(2 * i, i)  # after the concatenation
  if extra:
    total += conv(3, width, width)
  return total + conv(1, width, classes)


BN = {"norm": "batch"}
BN_BIAS = {"norm": "batch", "conv_bias": True}
PETS = {"up": "tconv3"}
SMALL = {"up": "tconv3", "width": 32}
COUNTS = [
  ({}, 1, 2, 31_030_658),
  ({}, 3, 1, 31_031_745),
  ({}, 3, 2, 31_031_810),
  ({}, 3, 3, 31_031_875),
  ({}, 3, 19, 31_032_915),
  ({}, 3, 21, 31_033_045),
  ({}, 3, 23, 31_033_175),
  ({}, 3, 24, 31_033_240),
  (BN, 1, 1, 31_036_481),
  (BN, 1, 2, 31_036_546),
  (BN, 3, 1, 31_037_633),
  (BN, 3, 2, 31_037_698),
  (BN, 3, 3, 31_037_763),
  (BN, 3, 19, 31_038_803),
  (BN, 3, 21, 31_038_933),
  (BN, 3, 23, 31_039_063),
  (BN, 3, 24, 31_039_128),
  (BN_BIAS, 1, 1, 31_042_369),
  (BN_BIAS, 1, 2, 31_042_434),
  (BN_BIAS, 3, 1, 31_043_521),
  (BN_BIAS, 3, 2, 31_043_586),
  (BN_BIAS, 3, 3, 31_043_651),
  (BN_BIAS, 3, 19, 31_044_691),
  (BN_BIAS, 3, 21, 31_044_821),
  (BN_BIAS, 3, 23, 31_044_951),
  (BN_BIAS, 3, 24, 31_045_016),
  (PETS, 3, 1, 34_513_345),
  (PETS, 3, 3, 34_513_475),
  (PETS, 3, 19, 34_514_515),
  (PETS, 3, 21, 34_514_645),
  (PETS, 3, 23, 34_514_775),
  (SMALL, 3, 3, 8_630_563),
  (SMALL, 3, 23, 8_631_223),
  ({**SMALL, "extra_conv": True}, 3, 23, 8_640_471),
]


@pytest.mark.parametrize(("options", "cin", "classes", "want"), COUNTS)
def test_counts_follow_from_the_formula(options, cin, classes, want):
  norm = options.get("norm") == "batch"
  assert want == formula(
    cin,
    classes,
    width=options.get("width", 64),
    up=3 if options.get("up") == "tconv3" else 2,
    norm=norm,
    bias=not norm or options.get("conv_bias", False),
    extra=options.get("extra_conv", False),
  )


# One of each kind: every formula above, against the module.
@pytest.mark.parametrize("row", [0, 3, 9, 14, 18, 23, 26, 27, 31, 33])
def test_counts_of_the_module(row):
  options, cin, classes, want = COUNTS[row]
  model = UNet({"logits": classes}, **options)
  assert probe.parameters(model, channels=cin) == want


def test_heads_are_counted_by_name():
  model = UNet({"logits": 3, "border": 1}, width=4, depth=2)
  params = probe.variables(model)["params"]
  assert params["head_logits"]["kernel"].shape == (1, 1, 4, 3)
  assert params["head_border"]["kernel"].shape == (1, 1, 4, 1)
  assert isinstance(hash(model), int)  # may be a static argument of jit


@pytest.mark.parametrize(
  ("size", "out"), [(572, 388), (188, 4), (204, 20), (700, 516)]
)
def test_sizes_of_the_paper(size, out):
  assert unet.valid_output_size(size, 4) == out
  assert unet.valid_sizes(size, 4) == (size, size)


def walk(n, depth):
  """Follows one axis through the valid net; None if it does not fit."""
  skips = []
  for _ in range(depth):
    n -= 4
    if n <= 0 or n % 2:
      return None
    skips.append(n)
    n //= 2
  n -= 4
  for skip in reversed(skips):
    n *= 2
    if n <= 0 or (skip - n) % 2:
      return None
    n -= 4
  return n if n > 0 else None


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
def test_size_arithmetic_by_walking_through_the_net(depth):
  for n in range(1, 800):
    out = walk(n, depth)
    below, above = unet.valid_sizes(n, depth)
    if out is None:
      assert n not in (below, above)
      with pytest.raises(types.UserError, match=f"expected {below}"):
        unet.valid_output_size(n, depth)
    else:
      assert unet.valid_output_size(n, depth) == out
      assert (below, above) == (n, n)
    assert walk(below, depth)
    assert walk(above, depth)
    before, after = unet.mirror_pads(n, depth)
    assert walk(n + before + after, depth) >= n
    assert before == unet.valid_margin(depth) // 2


def test_maps_of_the_paper():
  """572: 568, 280, 136, 64, 28 down, 52, 100, 196, 388 up."""
  model = UNet({"logits": 2}, width=1, padding="valid", mirror=False)
  out, state = probe.shapes(model, 572, 1, capture_intermediates=True)
  assert out["logits"].shape == (1, 388, 388, 2)
  maps = state["intermediates"]
  sizes = {
    name: maps[name]["__call__"][0].shape[1]
    for name in maps
    if name.endswith(("_conv2", "_up"))
  }
  assert [sizes[f"down{i}_conv2"] for i in range(4)] == [568, 280, 136, 64]
  assert sizes["bottom_conv2"] == 28
  assert [sizes[f"up{i}_up"] for i in (3, 2, 1, 0)] == [56, 104, 200, 392]
  assert [sizes[f"up{i}_conv2"] for i in (3, 2, 1, 0)] == [52, 100, 196, 388]


def test_inadmissible_size_is_refused_with_its_neighbours():
  model = UNet({"logits": 2}, padding="valid", mirror=False)
  with pytest.raises(types.UserError, match="570 pixels; expected 556 or 572"):
    probe.shapes(model, (572, 570), 1)


@pytest.mark.parametrize(
  ("options", "text"),
  [
    ({"norm": "layer"}, "norm='layer'"),
    ({"up": "shuffle"}, "up='shuffle'"),
    ({"padding": "reflect"}, "padding='reflect'"),
    ({"dropout_at": "top"}, "dropout_at='top'"),
  ],
)
def test_unknown_options_are_named(options, text):
  with pytest.raises(types.UserError, match=text):
    UNet({"logits": 2}, **options).init(
      jax.random.key(0), jnp.zeros((1, 8, 8, 3)), train=False
    )


def build(random_variables, shape=(2, 21, 27, 3), **options):
  model = UNet({"logits": 3}, width=4, **{"depth": 2, **options})
  image = np.random.default_rng(0).random(shape, np.float32)
  variables = random_variables(model, image)
  apply = quick.jit(
    lambda v, x: model.apply(v, x, train=False)["logits"],
  )
  return model, variables, apply, image


def test_overlap_tile_is_the_one_shot_run(random_variables):
  """Raw tiles of the mirrored image, side by side, equal the inner mirror."""
  _, variables, whole, image = build(
    random_variables, shape=(1, 40, 33, 3), padding="valid"
  )
  raw = UNet({"logits": 3}, width=4, depth=2, padding="valid", mirror=False)
  tile = quick.jit(lambda v, x: raw.apply(v, x, train=False)["logits"])
  want = whole(variables, image)
  side, step = 60, 20  # 60 pixels in, 20 out at depth 2
  assert unet.valid_output_size(side, 2) == step
  pad = unet.valid_margin(2) // 2
  big = np.pad(
    image, ((0, 0), (pad, pad), (pad, pad + 7), (0, 0)), mode="reflect"
  )
  got = np.zeros((1, 40, 40, 3), np.float32)
  for y in (0, 20):
    for x in (0, 20):
      got[:, y : y + step, x : x + step] = tile(
        variables, big[:, y : y + side, x : x + side]
      )
  np.testing.assert_allclose(got[:, :, :33], want, atol=1e-5)


def test_padding_inside_is_the_repeated_edge(random_variables):
  """A width that divides by the stride already gives the same left part."""
  _, variables, apply, image = build(random_variables)
  big = np.pad(image, ((0, 0), (0, 3), (0, 1), (0, 0)), mode="edge")
  np.testing.assert_allclose(
    apply(variables, image), apply(variables, big)[:, :21, :27], atol=1e-6
  )


@pytest.mark.parametrize("place", ["bottom", "every"])
def test_dropout_is_random_in_training_and_off_otherwise(
  place, random_variables
):
  options = {"dropout": 0.5, "dropout_at": place}
  model, variables, _, image = build(random_variables, **options)
  plain = model.clone(dropout=0.0)

  @quick.jit
  def run(key):
    return model.apply(variables, image, train=True, rngs={"dropout": key})

  @quick.jit
  def evaluate():
    return [m.apply(variables, image, train=False) for m in (model, plain)]

  off, want = evaluate()
  np.testing.assert_allclose(off["logits"], want["logits"], atol=1e-5)
  a, b, c = (run(jax.random.key(i))["logits"] for i in (0, 1, 0))
  assert np.abs(a - b).max() > 1e-3
  np.testing.assert_array_equal(a, c)
