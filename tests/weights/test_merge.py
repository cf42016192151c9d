"""Strict merging: everything fits or is named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from jaxseg.types import UserError
from jaxseg.weights import merge
from jaxseg.weights.merge import Allow

RNG = np.random.default_rng(0)


def variables(classes=3, channels=3):
  def x(*shape):
    return RNG.normal(size=shape).astype(np.float32)

  return {
    "params": {
      "encoder": {"stem": {"kernel": x(3, 3, channels, 4)}},
      "head": {"kernel": x(1, 1, 4, classes), "bias": x(classes)},
    },
    "batch_stats": {"encoder": {"norm": {"mean": x(4)}}},
  }


def file(**options):
  return merge.flatten(variables(**options))


def check_same(a, b):
  a, b = merge.flatten(a), merge.flatten(b)
  assert a.keys() == b.keys()
  for path in a:
    np.testing.assert_array_equal(a[path], b[path])


def test_all_fits():
  ours, loaded = variables(), file()
  before = merge.flatten(ours)
  tree, report = merge.merge(ours, loaded)
  check_same(tree, merge.unflatten(loaded))
  check_same(ours, merge.unflatten(before))  # the given tree is not touched
  assert report.loaded == tuple(sorted(loaded))
  assert (report.kept, report.dropped, report.adapted) == ((), (), {})
  assert str(report) == "4 arrays loaded"


def test_shapes_are_enough():
  ours = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, variables()))
  loaded = file()
  check_same(merge.merge(ours, loaded)[0], merge.unflatten(loaded))


def test_a_network_of_flax():
  """The merged tree is what `apply` takes: the bias answers."""
  model = nn.Dense(2)
  ours = jax.eval_shape(model.init, jax.random.key(0), jnp.ones((1, 3)))
  loaded = {
    "params/kernel": np.zeros((3, 2)),
    "params/bias": np.array([1.0, 2.0]),
  }
  tree, _ = merge.merge(ours, loaded)
  np.testing.assert_array_equal(model.apply(tree, jnp.ones((1, 3))), [[1, 2]])


@pytest.mark.parametrize("dtype", ["float16", "float64", "float32"])
def test_arrays_become_float32(dtype):
  loaded = {k: v.astype(dtype) for k, v in file().items()}
  tree, _ = merge.merge(variables(), loaded)
  for path, array in merge.flatten(tree).items():
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, loaded[path].astype(np.float32))


def error(ours, loaded, **options):
  with pytest.raises(UserError) as e:
    merge.merge(ours, loaded, **options)
  return str(e.value)


def test_the_diff():
  loaded = file(classes=5)
  del loaded["batch_stats/encoder/norm/mean"]
  loaded["params/fc/kernel"] = np.ones((4, 2))
  text = error(variables(), loaded)
  head, *lines = [line.strip() for line in text.splitlines()]
  assert "1 missing (-), 1 unexpected (+), 2 of another shape (!)" in head
  assert lines == [
    "- batch_stats/encoder/norm/mean (4,)",
    "+ params/fc/kernel (4, 2)",
    "! params/head/bias network (3,), weights (5,)",
    "! params/head/kernel network (1, 1, 4, 3), weights (1, 1, 4, 5)",
  ]


@pytest.mark.parametrize(
  ("missing", "unexpected"), [(90, 0), (90, 90), (3, 90), (90, 3), (20, 0)]
)
def test_long_diffs_are_cut(missing, unexpected):
  """Twenty lines, counts beside them, each kind with a share."""
  ours = {"params": {f"a{i:02}": np.zeros(1) for i in range(missing)}}
  theirs = {f"params/b{i:02}": np.zeros(1) for i in range(unexpected)}
  _, *lines = error(ours, theirs).splitlines()
  lines = [line.strip() for line in lines]
  more = [line for line in lines if "..." in line]
  shown = {s: [k for k in lines if k[0] == s and k not in more] for s in "-+"}
  assert sum(map(len, shown.values())) == min(20, missing + unexpected)
  for sign, name, n in (("-", "a", missing), ("+", "b", unexpected)):
    want = [f"{sign} params/{name}{i:02} (1,)" for i in range(n)]
    assert shown[sign] == want[: len(shown[sign])]
    rest = n - len(shown[sign])
    assert (f"{sign} ... and {rest} more" in more) == (rest > 0)
  assert not (missing and unexpected) or all(shown.values())


def test_missing_and_unexpected_by_name():
  ours, loaded = variables(), file()
  kept = {k: loaded.pop(k) for k in list(loaded) if "head" in k}
  loaded["params/fc/kernel"] = np.ones((4, 2), np.float32)
  allow = Allow(missing=("head",), unexpected=("fc",))
  tree, report = merge.merge(ours, loaded, allow=allow)
  assert tree["params"]["head"]["bias"] is ours["params"]["head"]["bias"]
  assert "fc" not in tree["params"]
  stem = tree["params"]["encoder"]["stem"]["kernel"]
  np.testing.assert_array_equal(stem, loaded["params/encoder/stem/kernel"])
  assert report.kept == tuple(sorted(kept))
  assert report.dropped == ("params/fc/kernel",)
  assert str(report) == "2 arrays loaded; 2 kept (head); 1 left out (fc)"
  # Each waiver is its own: the other side stays an error.
  assert "1 unexpected" in error(ours, loaded, allow=Allow(missing=("head",)))
  assert "2 missing" in error(ours, loaded, allow=Allow(unexpected=("fc",)))


def test_a_name_is_a_whole_module():
  loaded = file()
  loaded["params/head2/kernel"] = np.ones(1)
  text = error(variables(), loaded, allow=Allow(unexpected=("head",)))
  assert "+ params/head2/kernel (1,)" in text


def test_the_number_of_classes():
  ours, loaded = variables(classes=3), file(classes=5)
  tree, report = merge.merge(ours, loaded, allow=Allow(num_classes=("head",)))
  check_same(tree["params"]["head"], ours["params"]["head"])
  assert report.kept == report.dropped
  assert report.kept == ("params/head/bias", "params/head/kernel")
  # With equal classes there is nothing to waive: the head is loaded.
  loaded = file(classes=3)
  tree, _ = merge.merge(ours, loaded, allow=Allow(num_classes=("head",)))
  check_same(tree, merge.unflatten(loaded))


@pytest.mark.parametrize("field", ["missing", "num_classes"])
def test_a_waiver_that_names_nothing(field):
  text = error(variables(), file(), allow=Allow(**{field: ("haed",)}))
  assert f"{field} names 'haed'" in text
  assert "encoder, head" in text
  text = error(variables(), file(), allow=Allow(**{field: "head"}))
  assert "a tuple of module names" in text


@pytest.mark.parametrize(
  ("how", "n"),
  [("mean", 1), ("mean", 4), ("mean", 5), ("tile", 6), ("tile", 1)],
)
def test_other_input_channels_keep_the_answer_to_grey(how, n):
  """A convolution of an image whose channels are equal, before and after."""
  kernel = RNG.normal(size=(3, 3, 3, 4)).astype(np.float32)
  grey = RNG.normal(size=(1, 8, 8, 1)).astype(np.float32)

  def answer(kernel):
    x = np.repeat(grey, kernel.shape[2], -1)
    return jax.lax.conv_general_dilated(
      x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )

  got = merge.adapt_channels(kernel, n, how)
  assert got.shape == (3, 3, n, 4)
  if how == "tile" and n == 1:  # the first channel stands for three
    np.testing.assert_allclose(got, 3 * kernel[:, :, :1], rtol=1e-6)
  else:
    np.testing.assert_allclose(answer(got), answer(kernel), atol=1e-5)


def test_tiling_repeats_in_turn():
  kernel = np.arange(3, dtype=np.float32).reshape(1, 1, 3, 1)
  got = merge.adapt_channels(kernel, 5, "tile")[0, 0, :, 0]
  np.testing.assert_allclose(got, 0.6 * np.array([0, 1, 2, 0, 1]), rtol=1e-6)


@pytest.mark.parametrize("how", ["mean", "tile"])
def test_input_channels(how):
  ours, loaded = variables(channels=5), file(channels=3)
  path = "params/encoder/stem/kernel"
  assert f"! {path} network (3, 3, 5, 4)" in error(ours, loaded)
  tree, report = merge.merge(ours, loaded, allow=Allow(in_channels=how))
  want = merge.adapt_channels(loaded[path], 5, how)
  np.testing.assert_array_equal(merge.flatten(tree)[path], want)
  assert report.adapted == {path: f"3 input channels to 5 ({how})"}
  assert path not in report.loaded


def test_only_one_convolution_sees_the_image():
  """Two that differ are another network, and so is a wide one."""
  ours, loaded = variables(channels=5), file(channels=3)
  for tree, channels in ((ours["params"], 5), (loaded, 3)):
    other = np.ones((3, 3, channels, 2), np.float32)
    if tree is loaded:
      tree["params/other"] = other
    else:
      tree["other"] = other
  text = error(ours, loaded, allow=Allow(in_channels="mean"))
  assert "2 of another shape" in text
  ours, loaded = variables(channels=64), file(channels=48)
  text = error(ours, loaded, allow=Allow(in_channels="mean"))
  assert "1 of another shape" in text
  text = error(ours, loaded, allow=Allow(in_channels="median"))
  assert "'error', 'mean' or 'tile'" in text


def test_only_one_module():
  ours, loaded = variables(classes=7), file(classes=5)
  loaded["params/fc/kernel"] = np.ones((4, 2))
  tree, report = merge.merge(ours, loaded, only="encoder")
  check_same(tree["params"]["head"], ours["params"]["head"])
  assert set(report.loaded) == {k for k in loaded if "encoder" in k}
  assert set(report.dropped) == {k for k in loaded if "encoder" not in k}
  del loaded["params/encoder/stem/kernel"]
  text = error(ours, loaded, only="encoder")
  assert "1 missing (-), 0 unexpected (+), 0 of another shape" in text
  assert "no module 'decoder'" in error(ours, loaded, only="decoder")


def test_subtree():
  part = merge.subtree(file(), "encoder")
  assert set(part) == {"params/stem/kernel", "batch_stats/norm/mean"}
  assert merge.subtree(file(), "enc") == {}


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e39])
def test_numbers_that_are_not_finite(bad):
  """1e39 is finite in float64 alone."""
  loaded = file()
  loaded["params/head/bias"] = np.array([0, bad, 0])
  with np.errstate(over="ignore"):
    text = error(variables(), loaded)
  assert "params/head/bias of the weights holds values that are not" in text
