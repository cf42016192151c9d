"""Direct convolution against XLA's, and where it stays away."""

import functools
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from jaxseg import process
from jaxseg.ops import cpp, direct, fastconv
from tests.ops import test_fastconv

pytestmark = pytest.mark.skipif(
  bool(direct.missing()), reason=f"not here: {direct.missing()}"
)
SAME = ((1, 1), (1, 1))
ONE = (1, 1)
# (in, out), (kh, kw), stride, dilation, pads, (h, w), calls: of the output, of
# the weight gradient and of that of the pixels
CASES = {
  "dense": ((16, 16), (3, 3), 1, 1, SAME, (9, 11), 3),
  "narrowing": ((48, 16), (3, 3), 1, 1, SAME, (16, 7), 3),
  "widening": ((32, 80), (3, 3), 1, 1, SAME, (7, 40), 3),
  "whole tiles": ((16, 32), (3, 3), 1, 1, SAME, (4, 48), 3),
  "one column": ((16, 16), (3, 3), 1, 1, SAME, (70, 1), 3),
  "one row": ((16, 16), (3, 3), 1, 1, SAME, (1, 70), 3),
  "colours": ((3, 16), (3, 3), 1, 1, SAME, (9, 11), 3),
  "seventeen": ((17, 32), (3, 3), 1, 1, SAME, (9, 11), 3),
  "5x5": ((16, 32), (5, 5), 1, 1, ((2, 2), (2, 2)), (9, 11), 3),
  "1x7": ((16, 32), (1, 7), 1, 1, ((0, 0), (3, 3)), (9, 11), 3),
  "2x2": ((16, 32), (2, 2), 1, 1, ((0, 1), (0, 1)), (9, 11), 3),
  "no padding": ((16, 32), (3, 3), 1, 1, ((0, 0), (0, 0)), (10, 11), 3),
  "unequal pads": ((16, 32), (3, 3), 1, 1, ((2, 0), (1, 2)), (9, 11), 3),
  "wide pads": ((16, 32), (3, 3), 1, 1, ((4, 9), (14, 3)), (9, 11), 2),
  "dilated": ((16, 32), (3, 3), 1, 2, ((2, 2), (2, 2)), (9, 11), 3),
  "beyond": ((32, 16), (3, 3), 1, 12, ((12, 12), (12, 12)), (9, 11), 3),
  "stride 2": ((16, 32), (3, 3), 2, 1, SAME, (9, 12), 2),
  "stride 2, SAME": ((32, 16), (3, 3), 2, 1, ((0, 1), (0, 1)), (10, 12), 2),
  "both": ((32, 16), (3, 3), 2, 2, ((2, 2), (2, 2)), (30, 29), 2),
  "many sums": ((64, 64), (3, 3), 1, 1, SAME, (9, 11), 2),
  # Of the last vector a part, and sums of one's own for up to four outputs.
  "mask": ((16, 1), (3, 3), 1, 1, SAME, (9, 50), 3),
  "flow": ((32, 2), (3, 3), 1, 1, SAME, (9, 11), 3),
  "three classes": ((48, 3), (3, 3), 1, 1, SAME, (9, 20), 3),
  "four, stride 2": ((16, 4), (5, 3), 2, 1, SAME, (9, 12), 2),
  "three, dilated": ((16, 3), (3, 3), 1, 2, ((2, 2), (2, 2)), (9, 11), 3),
  "five": ((16, 5), (3, 3), 1, 1, SAME, (9, 30), 3),
  "twenty-one": ((48, 21), (3, 3), 1, 1, SAME, (9, 11), 3),
  "twenty-four": ((17, 24), (3, 3), 1, 1, SAME, (9, 11), 2),
  "150": ((16, 150), (3, 3), 1, 2, ((2, 2), (2, 2)), (40, 13), 3),
}
ALONE = {  # only where more is done to what they write
  "1x1": ((24, 40), (1, 1), 1, 1, ((0, 0), (0, 0)), (9, 11), 0),
  "1x1, stride 2": ((24, 16), (1, 1), 2, 1, ((0, 0), (1, 0)), (9, 11), 0),
}


@pytest.fixture(autouse=True)
def small(monkeypatch):
  """Maps may be as small as these tests'."""
  monkeypatch.setattr(direct, "LEAST", 1)


@pytest.fixture(params=["widest", "avx2"])
def vectors(request, tmp_path_factory, monkeypatch):
  """The library of this processor, and that of one without AVX-512."""
  if request.param == "widest":
    return
  library = _avx2(tmp_path_factory.getbasetemp().parent / "kernels")
  names = {name: f"{name}_avx2" for name in direct.NAMES}
  monkeypatch.setattr(direct, "target", names.__getitem__)
  assert library


@functools.cache
def _avx2(folder):
  path = folder / f"avx2-{os.getpid()}.so"
  cpp.build(direct.SOURCE, path, tuple(f"-m{name}" for name in cpp.AVX2))
  library = cpp.ctypes.CDLL(str(path))
  for name in direct.NAMES:
    handler = jax.ffi.pycapsule(getattr(library, name))
    jax.ffi.register_ffi_target(f"{name}_avx2", handler, platform="cpu")
  return library


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
  text = lowered.as_text()
  return sum(text.count(f"@{direct.target(name)}(") for name in direct.NAMES)


@pytest.mark.parametrize("case", CASES)
def test_equals_xla(case, vectors):
  """Values and both gradients."""
  channels, window, stride, dilation, pads, size, count = CASES[case]
  x, kernel = arrays(*channels, size, window)
  rest = ((stride,) * 2, pads, (dilation,) * 2, 1)

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
  assert calls(lowered) == count
  got, want = lowered.compile()(x, kernel), both(theirs).compile()(x, kernel)
  for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b).max())


@pytest.mark.parametrize("batch", [1, 3, 17])
def test_any_batch(batch, vectors):
  x, kernel = arrays(batch=batch)
  got = lower(conv, x, kernel).compile()(x, kernel)
  want = fastconv.plain(x, kernel, ONE, SAME, ONE, 1)
  np.testing.assert_allclose(got, want, atol=1e-4)


def test_not_where_it_is_not_wanted():
  """And what was traced inside is not what is called outside."""
  x, kernel = arrays()
  f = jax.jit(lambda *a: conv(*a))
  assert calls(f.lower(x, kernel)) == 1
  with process.convolutions("xla"):
    assert not calls(f.lower(x, kernel))
  with process.convolutions("direct"):
    assert calls(f.lower(x, kernel)) == 1


@pytest.mark.parametrize(
  "change",
  [
    {"channels": 24, "outputs": 3},
    {"kernel": (1, 1)},
    {"channels": 1024, "outputs": 256},
  ],
  ids=str,
)
def test_shapes_that_gain_nothing_go_without(change):
  assert not calls(lower(conv, *arrays(**change)))


def test_few_pixels_go_without(monkeypatch):
  """The kernel is packed in every call."""
  monkeypatch.undo()
  assert not calls(lower(conv, *arrays(size=(7, 9))))
  assert calls(lower(conv, *arrays(size=(8, 8)))) == 1


def test_nan_stays_nan(vectors):
  x, kernel = arrays()
  x[1, 4, 5, 6] = np.nan
  got = np.asarray(lower(conv, x, kernel).compile()(x, kernel))
  assert np.isnan(got[1, 3:6, 4:7]).all()
  assert np.isnan(got).sum() == 9 * 32


def test_several_devices_go_without():
  """The partitioner would gather the batch for what it does not know."""
  x, kernel = arrays(batch=8)
  mesh = jax.make_mesh((8,), ("data",))
  x = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
  kernel = jax.device_put(kernel, NamedSharding(mesh, PartitionSpec()))
  f = lower(conv, x, kernel)
  assert not calls(f)
  assert "all-gather" not in f.compile().as_text()


def test_an_exported_program_goes_without():
  shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in arrays()]
  exported = jax.export.export(jax.jit(conv), platforms=("cpu", "cuda"))(
    *shapes
  )
  assert direct.NAMES[0] not in exported.mlir_module()


def test_other_numbers_and_platforms_go_without():
  x, kernel = arrays()
  assert not calls(
    lower(conv, *(jnp.asarray(a, "bfloat16") for a in (x, kernel)))
  )
  assert not calls(lower(conv, x[:0], kernel))
  rest = (ONE, ((0, 0), (0, 0)), ONE, 1)  # the kernel is higher than the map
  f = lower(lambda *a: fastconv.convolve(*a, *rest), x[:, :2], kernel)
  assert not calls(f)
  assert f.compile()(x[:, :2], kernel).shape == (4, 0, 9, 32)
  traced = jax.jit(lambda *a: conv(*a)).trace(x, kernel)
  assert not calls(traced.lower(lowering_platforms=("cuda",)))


def test_many_at_once_and_one_by_one():
  """Under vmap, and outside of jit."""
  x, kernel = arrays()
  got = jax.jit(jax.vmap(conv, (None, 0)))(x, np.stack([kernel, -2 * kernel]))
  want = fastconv.plain(x, kernel, ONE, SAME, ONE, 1)
  np.testing.assert_allclose(got, np.stack([want, -2 * want]), atol=2e-4)
  np.testing.assert_allclose(conv(x, kernel), want, atol=1e-4)


# Prints a digest of the output and both gradients, and whether the program was
# read from the compilation cache.
PROGRAM = """
import hashlib, os, sys
os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:int(sys.argv[1])]))
import jax, numpy as np
from jaxseg import process
from jaxseg.ops import direct, fastconv
from tests.ops import test_direct, test_fastconv
process.compilation_cache()
hits = []
jax.monitoring.register_event_listener(
  lambda name, **_: hits.append(name) if "cache_hits" in name else None)
x, kernel = test_direct.arrays(size=(40, 30))
both = lambda *a: test_fastconv.value_and_gradients(test_direct.conv, *a)
lowered = test_direct.lower(both, x, kernel)
assert test_direct.calls(lowered) == 3
out = jax.tree.leaves(lowered.compile()(x, kernel))
print(hashlib.sha256(b"".join(np.asarray(a).tobytes() for a in out))
      .hexdigest(), len(hits))
"""


def run(cores, cache):
  root = pathlib.Path(__file__).parents[2]
  env = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(cache), "XLA_FLAGS": ""}
  done = subprocess.run(
    [sys.executable, "-c", PROGRAM, str(cores)],
    env={**env, "PYTHONPATH": str(root)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout.split()


def test_the_cache_keeps_it_and_threads_do_not_matter(tmp_path):
  first = run(2, tmp_path / "two")
  again = run(2, tmp_path / "two")
  alone = run(1, tmp_path / "one")
  assert first[1] == "0"
  assert int(again[1]) > 0
  assert first[0] == again[0] == alone[0]


def test_wanted_where_it_cannot_be_had(monkeypatch):
  monkeypatch.setattr(direct, "_missing", lambda: "it needs a compiler")
  with (
    pytest.raises(process.UserError, match=r"it needs a compiler\. Use 'auto'"),
    process.convolutions("direct"),
  ):
    pass
  x, kernel = arrays()
  assert not calls(lower(conv, x, kernel))
