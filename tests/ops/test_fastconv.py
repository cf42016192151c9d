"""The forms for CPUs against XLA's own convolution, values and gradients."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxseg.ops import conv, depthwise, fastconv
from tests import quick

# size, kernel, stride, padding, dilation, channels, groups, multiple
CASES = {
  "narrowing": ((7, 9), 3, 1, 1, 1, 5, 1, 0.4),
  "narrowing, dilated": ((9, 8), 3, 1, 3, 3, 4, 1, 0.5),
  "narrowing, valid": ((9, 8), 5, 1, "VALID", 1, 4, 1, 0.5),
  "narrowing, unequal pads": ((6, 8), 3, 1, ((2, 0), (1, 4)), 1, 4, 1, 0.5),
  "narrowing, one pixel": ((1, 1), 3, 1, 1, 1, 4, 1, 0.5),
  "few": ((7, 9), 3, 1, 1, 1, 3, 1, 2),
  "few, stride 2, SAME": ((8, 13), 3, 2, "SAME", 1, 3, 1, 4),
  "few, stride 3 of 2x2": ((10, 11), 2, 3, 0, 1, 3, 1, 1),
  "few, dilated": ((9, 8), 3, 1, 3, 3, 2, 1, 3),
  "few, strided and dilated": ((11, 9), 3, 2, 2, 2, 2, 1, 3),
  "few, unequal pads": ((6, 8), 3, 1, ((2, 0), (1, 4)), 1, 1, 1, 5),
  "few, 5x5 of one channel": ((6, 8), 5, 1, 2, 1, 1, 1, 7),
  "dense 1x1, many channels": ((5, 6), 1, 1, 0, 1, 40, 1, 0.1),
  "dense 1x1, many outputs": ((5, 6), 1, 1, 0, 1, 4, 1, 10),
  "dense 1x1": ((5, 6), 1, 1, 0, 1, 4, 1, 2),
  "dense 1x1, stride 2": ((5, 6), 1, 2, 0, 1, 4, 1, 1),
  "dense 1x1, stride 2, padded": ((5, 6), 1, 2, 1, 1, 4, 1, 1),
  "3x3": ((9, 11), 3, 1, 1, 1, 6, 6, 1),
  "3x3, stride 2, odd": ((9, 11), 3, 2, 1, 1, 6, 6, 1),
  "3x3, stride 2, even, SAME": ((8, 12), 3, 2, "SAME", 1, 5, 5, 1),
  "5x5, stride 2, SAME": ((13, 8), 5, 2, "SAME", 1, 4, 4, 1),
  "5x5": ((7, 6), 5, 1, 2, 1, 3, 3, 1),
  "dilated": ((12, 9), 3, 1, 4, 4, 4, 4, 1),
  "dilated beyond the map": ((5, 4), 3, 1, 12, 12, 4, 4, 1),
  "valid": ((9, 7), 3, 1, "VALID", 1, 4, 4, 1),
  "stride 3 of 2x2: pixels left out": ((10, 11), 2, 3, 0, 1, 3, 3, 1),
  "4x4, stride 3": ((11, 10), 4, 3, 1, 1, 3, 3, 1),
  "many rows": ((37, 5), 3, 1, 1, 1, 2, 2, 1),
  "two outputs a channel": ((6, 7), 3, 2, 1, 1, 4, 4, 2),
  "1x1": ((5, 6), 1, 1, 0, 1, 4, 4, 1),
  "one pixel": ((1, 1), 3, 2, 1, 1, 4, 4, 1),
  "unequal pads": ((6, 8), 3, 1, ((2, 0), (1, 3)), 1, 3, 3, 1),
  "groups": ((9, 8), 3, 1, 1, 1, 12, 4, 2),
  "groups, stride 2": ((9, 8), 3, 2, 1, 1, 8, 2, 1),
  "groups, dilated": ((9, 8), 3, 1, 2, 2, 8, 2, 1),
  "strided and dilated": ((11, 9), 3, 2, 2, 2, 6, 6, 1),
}


def arrays(case, dtype=np.float32):
  size, k, *_, channels, groups, multiple = CASES[case]
  rng = np.random.default_rng(0)
  x = rng.normal(size=(2, *size, channels)).astype(dtype)
  shape = (k, k, channels // groups, int(channels * multiple))
  return jnp.asarray(x), jnp.asarray(rng.normal(size=shape).astype(dtype))


def ours(case):
  _, _, stride, padding, dilation, _, groups, _ = CASES[case]
  return lambda x, kernel: conv.conv2d(
    x, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups
  )


def theirs(case):
  _, _, stride, padding, dilation, _, groups, _ = CASES[case]
  if isinstance(padding, int):
    padding = [(padding, padding)] * 2
  return lambda x, kernel: lax.conv_general_dilated(
    x,
    kernel,
    (stride, stride),
    padding,
    rhs_dilation=(dilation, dilation),
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
    feature_group_count=groups,
  )


def value_and_gradients(f, x, kernel):
  y, vjp = jax.vjp(f, x, kernel)
  dy = jnp.cos(jnp.arange(y.size, dtype=jnp.float32)).reshape(y.shape)
  return y, *vjp(dy.astype(y.dtype))


@pytest.mark.parametrize("small", [True, False], ids=["small", "large"])
@pytest.mark.parametrize("case", CASES)
def test_equals_the_plain_form(case, small, monkeypatch):
  """Both forms of the weight gradient, whatever the size is."""
  if not small:
    monkeypatch.setattr(depthwise, "_SMALL", 0)
  x, kernel = arrays(case)
  got, want = quick.jit(
    lambda *a: (
      value_and_gradients(ours(case), *a),
      value_and_gradients(theirs(case), *a),
    )
  )(x, kernel)
  for a, b in zip(got, want):
    assert a.shape == b.shape
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("case", ["3x3", "groups"])
def test_each_platform_lowers_to_its_own_form(case):
  """XLA's grouped convolution on GPUs and TPUs, none of it on CPUs."""
  f = jax.jit(lambda x, k: value_and_gradients(ours(case), x, k))
  traced = f.trace(*arrays(case))
  for platform, grouped in (("cpu", False), ("cuda", True), ("tpu", True)):
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    assert ("feature_group_count = 6" in text) == (grouped and case == "3x3")
    assert ("feature_group_count = 4" in text) == (grouped and case == "groups")


def test_half_precision_stays_half():
  x, kernel = arrays("3x3", jnp.bfloat16)
  out = jax.eval_shape(
    lambda *a: value_and_gradients(ours("3x3"), *a), x, kernel
  )
  assert {o.dtype for o in out} == {jnp.dtype(jnp.bfloat16)}


def test_the_form_is_chosen_by_shape():
  def kind(groups, k=3, stride=(1, 1), dilation=(1, 1), channels=8, outputs=0):
    kernel = jnp.zeros((k, k, channels // groups, outputs or channels))
    x = jnp.zeros((1, 8, 8, channels))
    return fastconv.kind(x, kernel, stride, dilation, groups)

  assert kind(1) == "plain"
  assert kind(1, outputs=7) == "narrowing"
  assert kind(1, outputs=7, stride=(2, 1)) == "plain"
  assert kind(1, k=1, stride=(2, 2)) == "pointwise"
  assert kind(8) == "depthwise"
  assert kind(8, k=9) == "grouped"
  assert kind(8, stride=(2, 2), dilation=(2, 2)) == "grouped"
  assert kind(4) == "grouped"
  assert kind(128, k=9, channels=256) == "plain"


def test_runs_over_devices_as_over_one():
  """The batch split over eight devices: the same gradients."""
  mesh = jax.make_mesh(
    (8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,)
  )
  spec = jax.sharding.PartitionSpec
  rng = np.random.default_rng(0)
  x = rng.normal(size=(8, 6, 7, 4)).astype(np.float32)
  kernel = rng.normal(size=(3, 3, 1, 4)).astype(np.float32)

  def put(a, *axes):
    return jax.device_put(a, jax.sharding.NamedSharding(mesh, spec(*axes)))

  def convolve(x, kernel):
    return conv.conv2d(x, kernel, padding=1, groups=4)

  run = jax.jit(functools.partial(value_and_gradients, convolve))
  one, many = run(x, kernel), run(put(x, "data"), put(kernel))
  for a, b in zip(one, many):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
