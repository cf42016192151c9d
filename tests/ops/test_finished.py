"""A convolution with its normalisation and activation, against the three."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jaxseg import process
from jaxseg.ops import direct, fastconv, finished
from tests.ops import test_direct
from tests.ops.test_direct import lower

small = test_direct.small
vectors = test_direct.vectors
pytestmark = test_direct.pytestmark
# As in test_direct: tiles of one and of two vectors, at edges, of few pixels.
CASES = (
  "dense",
  "widening",
  "one column",
  "colours",
  "dilated",
  "stride 2",
  "three classes",
  "twenty-one",
  "1x1",
  "1x1, stride 2",
)
ALL = test_direct.CASES | test_direct.ALONE


def arrays(case="dense", batch=4):
  """x, kernel, mean, gain, bias, and the rest of the arguments."""
  channels, window, stride, dilation, pads, size, _ = ALL[case]
  x, kernel = test_direct.arrays(*channels, size, window, batch)
  rng = np.random.default_rng(1)
  affine = rng.normal(size=(3, channels[1])).astype(np.float32)
  return (x, kernel, *affine), ((stride,) * 2, pads, (dilation,) * 2, 1)


def ours(act, rest):
  def f(x, kernel, *affine):
    return finished.convolve(x, kernel, finished.Affine(*affine), act, *rest)

  return f


def theirs(act, rest):
  """Written out, on XLA's convolution."""

  def f(x, kernel, mean, gain, bias):
    y = (fastconv.plain(x, kernel, *rest) - mean) * gain + bias
    low, high = {"none": (None, None), "relu": (0, None), "relu6": (0, 6)}[act]
    return jnp.clip(y, low, high)

  return f


def finishes(lowered):
  return lowered.as_text().count(f"@{direct.target(direct.NAMES[1])}(")


@pytest.mark.parametrize("act", finished.ACTIVATIONS)
@pytest.mark.parametrize("case", CASES)
def test_equals_the_three(case, act, vectors):
  """And is one call."""
  args, rest = arrays(case)
  lowered = lower(ours(act, rest), *args)
  assert finishes(lowered) == 1
  got, want = lowered.compile()(*args), theirs(act, rest)(*args)
  # What is clipped to 6 says nothing about sums that are far from it.
  far = np.abs(theirs("none", rest)(*args)).max()
  np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * far)
  if act != "none":
    assert (got == 0).any()
    assert (got > 0).any()


def test_gradients_to_everything():
  """They are those of the parts, of which none is a finished one."""
  args, rest = arrays("widening")

  def everything(f):
    def score(*args):
      y = f(*args)
      return jnp.sum(y * jnp.cos(jnp.arange(y.size)).reshape(y.shape))

    return lower(jax.grad(score, range(5)), *args)

  lowered = everything(ours("relu", rest))
  assert finishes(lowered) == 0
  got = lowered.compile()(*args)
  want = everything(theirs("relu", rest)).compile()(*args)
  for a, b in zip(got, want, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())


def test_nan_stays_nan(vectors):
  args, rest = arrays()
  args[0][1, 4, 5, 6] = np.nan
  for act in finished.ACTIVATIONS:
    got = lower(ours(act, rest), *args).compile()(*args)
    assert np.isnan(got[1, 3:6, 4:7]).all()
    assert np.isnan(got).sum() == 9 * 16


@pytest.mark.parametrize("change", ["xla", "half", "grouped"])
def test_elsewhere_the_parts(change):
  """The same numbers, without a call."""
  args, rest = arrays()
  if change == "half":
    args = tuple(jnp.asarray(a, "bfloat16") for a in args)
  if change == "grouped":
    args = (args[0], args[1][:, :, :1], *args[2:])
    rest = (*rest[:3], 16)
  with process.convolutions("xla" if change == "xla" else "auto"):
    lowered = lower(ours("relu6", rest), *args)
  assert finishes(lowered) == 0
  got, want = lowered.compile()(*args), theirs("relu6", rest)(*args)
  near = 0.1 if change == "half" else 1e-4
  np.testing.assert_allclose(*(np.float32(a) for a in (got, want)), atol=near)


def test_many_devices_exports_and_vmap_have_the_parts():
  args, rest = arrays(batch=8)
  f = ours("relu", rest)
  want = theirs("relu", rest)(*args)
  mesh = jax.make_mesh((8,), ("data",))
  spread = NamedSharding(mesh, PartitionSpec("data"))
  whole = NamedSharding(mesh, PartitionSpec())
  x, *others = args
  placed = (jax.device_put(x, spread), *jax.device_put(others, whole))
  lowered = lower(f, *placed)
  assert finishes(lowered) == 0
  np.testing.assert_allclose(lowered.compile()(*placed), want, atol=1e-4)

  shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in args]
  exported = jax.export.export(jax.jit(f), platforms=("cpu", "cuda"))(*shapes)
  assert direct.NAMES[1] not in exported.mlir_module()

  twice = jax.jit(jax.vmap(f, (0, *[None] * 4)))(np.stack([x, -x]), *others)
  np.testing.assert_allclose(twice[0], want, atol=1e-4)


def test_biases_are_an_affine_map():
  bias = jnp.asarray([1.0, -2.0])
  y = jnp.asarray([[3.0, 4.0]])
  np.testing.assert_array_equal(finished.with_bias(bias)(y), y + bias)
  affine = finished.Affine(*(jnp.full(2, a) for a in (0.5, 2.0, 7.0)))
  got = finished.with_bias(bias, affine)(y)
  np.testing.assert_allclose(got, affine(y + bias), rtol=1e-6)
