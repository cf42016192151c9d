"""One contract for every family of encoders, at small widths."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import types
from jaxseg.encoders import ENCODERS
from tests import probe, quick

# Compiling is what takes the time: as few blocks as every part needs.
pytestmark = pytest.mark.usefixtures("few_blocks")

XCEPTION = {"width": 1 / 16, "middle": 0}  # all its blocks are made alike
# Fields of ENCODERS: one of each family; VGG's biases are used without norms.
SMALL = {
  "alexnet": {"width": 8},
  "efficientnet_b0": {"width": 0.25, "depth": 0.25},
  "mobilenet_v2": {"width": 0.1},
  "mobilenet_v3_large": {"width": 0.1},
  "resnet50_deep": {"width": 4, "blocks": (1, 1, 1, 2)},
  "vgg16": {"width": 4},
  "vgg16_bn": {"width": 4},
  "xception": XCEPTION,
  "xception41": XCEPTION,
}
CASES = sorted(SMALL)


def make(case, **fields):
  return ENCODERS[case](normalization="none", **SMALL[case], **fields)


def strides(case):
  """The output strides that it offers; none: it has no such field."""
  few = {"alexnet": (32,), "xception": (32,), "vgg16": (), "vgg16_bn": ()}
  return few.get(case, (32, 16, 8))


class Built(NamedTuple):
  """Variables for an image, and its maps.

  Fields: plain, in evaluation; frozen, in training with frozen statistics,
  which then are `after`; half, in evaluation in half precision.
  """

  variables: Any
  image: np.ndarray
  plain: dict
  frozen: dict
  after: dict
  half: dict


@pytest.fixture(scope="module")
def built(random_variables):
  return functools.cache(functools.partial(build, random_variables))


def build(random_variables, case):
  encoder = make(case)
  image = np.random.default_rng(0).random((3, 65, 83, 4), np.float32)
  variables = random_variables(encoder, image)
  normed = "batch_stats" in variables
  frozen = encoder.clone(frozen_norm=True) if normed else encoder
  half = encoder.clone(dtype="bfloat16")

  @quick.jit
  def run(variables):
    return (
      encoder.apply(variables, image, train=False),
      *frozen.apply(variables, image, train=True, mutable=["batch_stats"]),
      half.apply(variables, image, train=False),
    )

  return Built(variables, image, *jax.device_get(run(variables)))


def test_every_family_has_a_small_form():
  families = {type(make()) for make in ENCODERS.values()}
  assert {type(make(case)) for case in CASES} == families


@pytest.mark.parametrize("case", CASES)
def test_every_parameter_is_used(case, built):
  """It moves the last map; and training moves every running statistic.

  Dilated, where the encoder can: all else here runs its strides.
  """
  encoder = make(case)
  if 8 in strides(case):
    encoder = encoder.clone(output_stride=8)
  variables, image = built(case)[:2]

  @quick.jit
  def gradients(params):
    def project(params):
      maps, new = encoder.apply(
        {**variables, "params": params},
        image,
        train=True,
        mutable=["batch_stats"],
      )
      weight = np.random.default_rng(1).normal(size=maps["c5"].shape)
      return (maps["c5"] * weight.astype(np.float32)).sum(), new

    return jax.grad(project, has_aux=True)(params)

  grads, new = jax.device_get(gradients(variables["params"]))
  for path, g in jax.tree_util.tree_leaves_with_path(grads):
    name = jax.tree_util.keystr(path)
    assert np.isfinite(g).all(), name
    # The mean that a normalisation subtracts takes the bias along.
    if not probe.subtracted_again(grads, path):
      assert np.abs(g).max() > 0, name
  old = variables.get("batch_stats", {})
  moved = new.get("batch_stats", {})
  assert jax.tree.structure(old) == jax.tree.structure(moved)
  for a, b in zip(jax.tree.leaves(old), jax.tree.leaves(moved)):
    assert np.abs(a - b).max() > 0


@pytest.mark.parametrize("case", CASES)
def test_frozen_norms(case, built):
  """In training as in evaluation; the statistics stay to the bit."""
  got = built(case)
  jax.tree.map(
    np.testing.assert_array_equal,
    got.after.get("batch_stats", {}),
    got.variables.get("batch_stats", {}),
  )
  assert got.frozen.keys() == got.plain.keys()
  for k, want in got.plain.items():
    np.testing.assert_allclose(
      got.frozen[k], want, atol=1e-5 * np.abs(want).max()
    )


@pytest.mark.parametrize("case", CASES)
def test_half_precision(case, built):
  """Maps of 8 bits, near those of 24; parameters: see the next test."""
  got = built(case)
  assert got.half.keys() == got.plain.keys()
  for k, want in got.plain.items():
    assert want.dtype == jnp.float32
    assert got.half[k].dtype == jnp.bfloat16
    error = np.abs(got.half[k].astype(np.float32) - want).max()
    assert 0 < error < 0.06 * np.abs(want).max(), k


def side(case, n, stride):
  """Pixels of a map: VGG's poolings round down, all else rounds up."""
  return n // stride if case.startswith("vgg") else -(-n // stride)


@pytest.mark.parametrize("case", CASES)
def test_only_the_channels_of_the_image_change_the_parameters(case, built):
  """Not output stride, batch, size, precision: one tree, of float32."""
  want = jax.tree_util.tree_leaves_with_path(built(case).variables)
  assert {x.dtype for _, x in want} == {jnp.dtype("float32")}
  forms = (
    ({"output_stride": 16}, (96, 67), {"batch": 1, "channels": 1}),
    (
      {"output_stride": 8, "dtype": "bfloat16"},
      (127, 70),
      {"batch": 3, "channels": 6},
    ),
  )
  for fields, size, image in forms:
    if fields["output_stride"] not in strides(case):
      del fields["output_stride"]
    maps, tree = probe.shapes(make(case, **fields), size, **image)
    got = jax.tree_util.tree_leaves_with_path(tree)
    assert [path for path, _ in got] == [path for path, _ in want]
    assert {x.dtype for _, x in got} == {jnp.dtype("float32")}
    changed = [
      (path, a.shape, b.shape)
      for (path, a), (_, b) in zip(want, got)
      if a.shape != b.shape
    ]
    assert len(changed) == 1, changed
    _, (*kernel, four, features), shape = changed[0]  # it reads the image
    assert four == 4
    assert shape == (*kernel, image["channels"], features)
    if case == "alexnet":  # no zeros around its poolings; sizes: its own test
      continue
    for k in range(1, 6):
      stride = min(2**k, fields.get("output_stride", 32))
      sides = (side(case, n, stride) for n in size)
      assert maps[f"c{k}"].shape[:3] == (image["batch"], *sides)


@pytest.mark.parametrize("case", CASES)
def test_other_output_strides_are_refused(case):
  if not strides(case):
    assert not hasattr(make(case), "output_stride")
  else:
    for stride in {4, 8, 16, 64} - set(strides(case)):
      with pytest.raises(types.UserError, match=f"ide={stride}.* expected.*32"):
        probe.shapes(make(case, output_stride=stride))


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_the_normalization_of_its_weights_has_three_channels(name):
  for channels in (1, 5):
    with pytest.raises(types.UserError, match=f"have {channels} channels"):
      probe.shapes(ENCODERS[name](), channels=channels)
