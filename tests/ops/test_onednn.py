"""oneDNN's convolution against XLA's, and where it stays away."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jaxseg.ops import fastconv, onednn
from tests.ops import test_fastconv
from tests.ops.test_fastconv import CASES

pytestmark = pytest.mark.skipif(
  not onednn.available(), reason="this jaxlib is not known to have oneDNN"
)
SAME = ((1, 1), (1, 1))
ONE = (1, 1)


def conv(x, kernel):
  return fastconv.convolve(x, kernel, ONE, SAME, ONE, 1)


def arrays():
  rng = np.random.default_rng(0)
  x = rng.normal(size=(8, 9, 11, 5)).astype(np.float32)
  return x, rng.normal(size=(3, 3, 5, 6)).astype(np.float32)


def holds(lowered):
  return onednn.TARGET in lowered.as_text()


def outside(stride, pads, dilation, groups, x, kernel):
  fields = (stride, pads, dilation, groups)
  return onednn.convolve(x, kernel, *fields, fastconv.plain)


@pytest.mark.parametrize("case", CASES)
def test_equals_xla(case):
  size, k, stride, padding, dilation, _, groups, _ = CASES[case]
  x, kernel = test_fastconv.arrays(case)
  window = (dilation * (k - 1) + 1,) * 2
  if isinstance(padding, str):
    pads = jax.lax.padtype_to_pads(size, window, (stride, stride), padding)
  else:
    pads = [(padding, padding)] * 2 if isinstance(padding, int) else padding
  pads = tuple(map(tuple, pads))
  fields = ((stride, stride), pads, (dilation, dilation), groups)
  f = jax.jit(functools.partial(outside, *fields)).lower(x, kernel)
  assert holds(f) == (min(map(min, pads)) >= 0)
  want = fastconv.plain(x, kernel, *fields)
  got = f.compile()(x, kernel)
  np.testing.assert_allclose(
    got, want, rtol=1e-5, atol=1e-5 * np.abs(want).max()
  )


def test_gradients_hold_it_too():
  """One call for the output, one back to the pixels."""
  x, kernel = arrays()
  f = jax.jit(lambda x, k: jax.vjp(conv, x, k)[1](x[..., :1] + jnp.zeros(6)))
  assert f.lower(x, kernel).as_text().count(onednn.TARGET) == 1
  f = jax.jit(lambda x, k: test_fastconv.value_and_gradients(conv, x, k))
  assert f.lower(x, kernel).as_text().count(onednn.TARGET) == 2


def test_several_devices_go_without():
  """The partitioner would gather the batch for what it does not know."""
  x, kernel = arrays()
  mesh = jax.make_mesh((8,), ("data",))
  x = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
  kernel = jax.device_put(kernel, NamedSharding(mesh, PartitionSpec()))
  f = jax.jit(conv).lower(x, kernel)
  assert not holds(f)
  compiled = f.compile()
  assert "all-gather" not in compiled.as_text()
  np.testing.assert_allclose(compiled(x, kernel), conv(x, kernel), atol=1e-4)


def test_an_exported_program_goes_without():
  shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in arrays()]
  exported = jax.export.export(jax.jit(conv), platforms=("cpu", "cuda"))(
    *shapes
  )
  assert onednn.TARGET not in exported.mlir_module()
  x, kernel = arrays()
  np.testing.assert_allclose(
    exported.call(x, kernel), conv(x, kernel), atol=1e-4
  )


def test_what_is_kept_on_disk_goes_without(tmp_path):
  x, kernel = arrays()
  before = jax.config.jax_compilation_cache_dir
  jax.config.update("jax_compilation_cache_dir", str(tmp_path))
  try:
    assert not holds(jax.jit(lambda *a: conv(*a)).lower(x, kernel))
    jax.config.update("jax_enable_compilation_cache", False)
    assert holds(jax.jit(lambda *a: conv(*a)).lower(x, kernel))
  finally:
    jax.config.update("jax_enable_compilation_cache", True)
    jax.config.update("jax_compilation_cache_dir", before)


def test_other_numbers_platforms_and_versions_go_without(monkeypatch):
  x, kernel = arrays()
  half = jax.jit(lambda *a: conv(*a))
  assert not holds(
    half.lower(*(jnp.asarray(a, jnp.bfloat16) for a in (x, kernel)))
  )
  assert not holds(jax.jit(lambda *a: conv(*a)).lower(x[:0], kernel))
  traced = jax.jit(lambda *a: conv(*a)).trace(x, kernel)
  assert not holds(traced.lower(lowering_platforms=("cuda",)))
  monkeypatch.setenv(onednn.VARIABLE, "0")
  assert not holds(jax.jit(lambda *a: conv(*a)).lower(x, kernel))
  monkeypatch.delenv(onednn.VARIABLE)
  monkeypatch.setattr(onednn, "VERIFIED", ("0.0.1",))
  assert not holds(jax.jit(lambda *a: conv(*a)).lower(x, kernel))


def test_many_at_once_and_one_by_one():
  """Under vmap, and outside of jit."""
  x, kernel = arrays()
  got = jax.jit(jax.vmap(conv, (None, 0)))(x, np.stack([kernel, -2 * kernel]))
  want = conv(x, kernel)
  np.testing.assert_allclose(got, np.stack([want, -2 * want]), atol=1e-4)
