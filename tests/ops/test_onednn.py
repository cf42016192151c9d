"""oneDNN's convolution against XLA's, and where it stays away."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jaxseg import process
from jaxseg.ops import fastconv, onednn
from tests.ops import test_fastconv

pytestmark = pytest.mark.skipif(
  not onednn.available(), reason=f"no oneDNN to call: {onednn.missing()}"
)
SAME = ((1, 1), (1, 1))
ONE = (1, 1)
# (in, out, groups), (kh, kw), stride, dilation, pads, (h, w)
CASES = {
  "dense": ((16, 16, 1), (3, 3), 1, 1, SAME, (9, 11)),
  "narrowing": ((48, 16, 1), (3, 3), 1, 1, SAME, (16, 7)),
  "widening": ((32, 80, 1), (3, 3), 1, 1, SAME, (7, 40)),
  "5x5": ((16, 32, 1), (5, 5), 1, 1, ((2, 2), (2, 2)), (9, 11)),
  "1x7": ((16, 32, 1), (1, 7), 1, 1, ((0, 0), (3, 3)), (9, 11)),
  "no padding": ((16, 32, 1), (3, 3), 1, 1, ((0, 0), (0, 0)), (9, 11)),
  "unequal pads": ((16, 32, 1), (3, 3), 1, 1, ((2, 0), (1, 2)), (9, 11)),
  "dilated": ((16, 32, 1), (3, 3), 1, 2, ((2, 2), (2, 2)), (9, 11)),
  "more dilated": ((32, 16, 1), (3, 3), 1, 4, ((4, 4), (4, 4)), (20, 11)),
  "stride 2": ((16, 32, 1), (3, 3), 2, 1, SAME, (9, 12)),
  "stride 2, SAME": ((32, 16, 1), (3, 3), 2, 1, ((0, 1), (0, 1)), (10, 12)),
  "depthwise": ((32, 32, 32), (3, 3), 1, 1, SAME, (9, 11)),
  "depthwise, 5x5": ((16, 16, 16), (5, 5), 1, 1, ((2, 2), (2, 2)), (9, 11)),
  "depthwise, stride 2": ((48, 48, 48), (3, 3), 2, 1, SAME, (9, 12)),
  "depthwise, dilated": ((16, 16, 16), (3, 3), 1, 2, ((2, 2),) * 2, (9, 11)),
}


@pytest.fixture
def asked():
  with process.convolutions("onednn"):
    yield


def conv(x, kernel):
  return fastconv.convolve(x, kernel, ONE, SAME, ONE, 1)


def lower(function, *arrays):
  """Of a function of its own: jit would find what it traced before."""
  return jax.jit(lambda *a: function(*a)).lower(*arrays)


def arrays(channels=16, outputs=32, size=(9, 11), kernel=(3, 3), batch=4):
  rng = np.random.default_rng(0)
  x = rng.normal(size=(batch, *size, channels)).astype(np.float32)
  shape = (*kernel, channels, outputs)
  return x, rng.normal(size=shape).astype(np.float32)


def calls(lowered):
  return lowered.as_text().count(onednn.TARGET)


@pytest.mark.parametrize("case", CASES)
def test_equals_xla(asked, case):
  """Values and both gradients; one call each for the output and the pixels."""
  channels, window, stride, dilation, pads, size = CASES[case]
  x, kernel = arrays(channels[0] // channels[2], channels[1], size, window)
  if channels[2] > 1:
    x = np.random.default_rng(1).normal(size=(4, *size, channels[0]))
    x = x.astype(np.float32)
  rest = ((stride,) * 2, pads, (dilation,) * 2, channels[2])

  def ours(x, kernel):
    return fastconv.convolve(x, kernel, *rest)

  def theirs(x, kernel):
    return fastconv.plain(x, kernel, *rest)

  def both(function):
    return lower(
      lambda *a: test_fastconv.value_and_gradients(function, *a), x, kernel
    )

  lowered = both(ours)
  assert calls(lower(ours, x, kernel)) == 1
  assert calls(lowered) == (2 if stride == 1 else 1)
  got, want = lowered.compile()(x, kernel), both(theirs).compile()(x, kernel)
  for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())


def test_not_without_being_asked():
  """And what was traced inside is not what is called outside."""
  x, kernel = arrays()
  f = jax.jit(conv)
  assert not calls(f.lower(x, kernel))
  with process.convolutions("onednn"):
    assert calls(f.lower(x, kernel)) == 1
  assert not calls(f.lower(x, kernel))


@pytest.mark.parametrize(
  "change",
  [
    {"channels": 15},
    {"outputs": 24},
    {"channels": 3},
    {"size": (6, 30)},
    {"kernel": (1, 1)},
  ],
  ids=str,
)
def test_shapes_that_onednn_may_have_no_kernel_for_go_without(asked, change):
  assert not calls(lower(conv, *arrays(**change)))


def test_nan_stays_nan(asked):
  x, kernel = arrays()
  x[1, 4, 5, 6] = np.nan
  got = np.asarray(lower(conv, x, kernel).compile()(x, kernel))
  assert np.isnan(got[1, 3:6, 4:7]).all()
  assert np.isnan(got).sum() == 9 * 32


def test_several_devices_go_without(asked):
  """The partitioner would gather the batch for what it does not know."""
  x, kernel = arrays(batch=8)
  mesh = jax.make_mesh((8,), ("data",))
  x = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
  kernel = jax.device_put(kernel, NamedSharding(mesh, PartitionSpec()))
  f = lower(conv, x, kernel)
  assert not calls(f)
  assert "all-gather" not in f.compile().as_text()


def test_an_exported_program_goes_without(asked):
  shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in arrays()]
  exported = jax.export.export(jax.jit(conv), platforms=("cpu", "cuda"))(
    *shapes
  )
  assert onednn.TARGET not in exported.mlir_module()


def test_what_is_kept_on_disk_goes_without(asked, tmp_path):
  x, kernel = arrays()
  before = jax.config.jax_compilation_cache_dir
  jax.config.update("jax_compilation_cache_dir", str(tmp_path))
  try:
    jax.config.update("jax_enable_compilation_cache", True)
    assert not calls(lower(conv, x, kernel))
    jax.config.update("jax_enable_compilation_cache", False)
    assert calls(lower(conv, x, kernel))
  finally:
    jax.config.update("jax_compilation_cache_dir", before)


def test_other_numbers_platforms_and_versions_go_without(asked, monkeypatch):
  x, kernel = arrays()
  assert not calls(
    lower(conv, *(jnp.asarray(a, "bfloat16") for a in (x, kernel)))
  )
  assert not calls(lower(conv, x[:0], kernel))
  traced = jax.jit(lambda *a: conv(*a)).trace(x, kernel)
  assert not calls(traced.lower(lowering_platforms=("cuda",)))
  monkeypatch.setattr(onednn, "VERIFIED", ("0.0.1",))
  assert not calls(lower(conv, x, kernel))


def test_many_at_once_and_one_by_one(asked):
  """Under vmap, and outside of jit."""
  x, kernel = arrays()
  got = jax.jit(jax.vmap(conv, (None, 0)))(x, np.stack([kernel, -2 * kernel]))
  want = fastconv.plain(x, kernel, ONE, SAME, ONE, 1)
  np.testing.assert_allclose(got, np.stack([want, -2 * want]), atol=2e-4)
  np.testing.assert_allclose(conv(x, kernel), want, atol=1e-4)
