"""MobileNetV2 and V3: exact counts, strides against dilation, fields."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import quick

from jaxseg import encoders, types
from jaxseg.encoders import inverted_residual as ir
from jaxseg.encoders import mobilenet_v2, mobilenet_v3

NAMES = ("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small")


def shapes(model, size=64, channels=3):
  image = jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32)
  return jax.eval_shape(
    lambda x: model.init(jax.random.key(0), x, train=False), image
  )


def count(tree):
  return sum(x.size for x in jax.tree.leaves(tree))


def test_counts_of_v2():
  """Table 2 of the paper; Keras counts the running statistics too."""

  def conv(weights, features):
    return np.array([weights + 2 * features, 2 * features])

  total = conv(27 * 32, 32)
  last = 32
  for t, c, n in (
    (1, 16, 1),
    (6, 24, 2),
    (6, 32, 3),
    (6, 64, 4),
    (6, 96, 3),
    (6, 160, 3),
    (6, 320, 1),
  ):
    for _ in range(n):
      hidden = t * last
      total += conv(last * hidden, hidden) if t > 1 else 0
      total += conv(9 * hidden, hidden) + conv(hidden * c, c)
      last = c
  without = total[0]
  total += conv(320 * 1280, 1280)
  total[0] += 1280 * 1000 + 1000
  assert total[0] == 3_504_872
  assert total.sum() == 3_538_984
  encoder = encoders.ENCODERS["mobilenet_v2"]()
  tree = shapes(encoders.Classifier(encoder))
  assert count(tree["params"]) == 3_504_872
  assert count(tree) == 3_538_984
  assert count(shapes(encoder.clone(head=False))["params"]) == without


@pytest.mark.parametrize(
  ("name", "hidden", "want"),
  [
    ("mobilenet_v3_large", 1280, 5_483_032),
    ("mobilenet_v3_small", 1024, 2_542_856),
  ],
)
def test_counts_of_v3(name, hidden, want):
  """torchvision's, with its classifier of two layers."""
  encoder = encoders.ENCODERS[name]()
  model = encoders.Classifier(encoder, hidden=hidden)
  assert count(shapes(model)["params"]) == want


# Channels of the last map of each stride, and of the map before the head.
WIDTHS = {
  "mobilenet_v2": ((16, 24, 32, 96, 1280), 320),
  "mobilenet_v3_large": ((16, 24, 40, 112, 960), 160),
  "mobilenet_v3_small": ((16, 16, 24, 48, 576), 96),
}


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_one_tree(name):
  widths, bare = WIDTHS[name]
  trees = []
  for output_stride in (32, 16, 8):
    encoder = encoders.ENCODERS[name](output_stride=output_stride)
    maps, tree = jax.eval_shape(
      lambda x, e=encoder: e.init_with_output(
        jax.random.key(0), x, train=False
      ),
      jax.ShapeDtypeStruct((2, 224, 513, 3), jnp.float32),
    )
    for k, width in enumerate(widths, 1):
      s = min(2**k, output_stride)
      want = (2, 224 // s, 512 // s + 1, width)
      assert maps[f"c{k}"].shape == want
    blocks = sum(k.startswith("block") for k in tree["params"])
    assert maps[f"b{blocks}"].shape == (*want[:3], bare)
    assert maps[f"b{blocks + 1}"].shape == want
    trees.append(tree)
  assert trees[0] == trees[1] == trees[2]


def test_schedule():
  """Strides in, (stride, dilation) out; by hand."""
  strides = (2, 1, 2, 2, 1, 2, 1)

  def pairs(output_stride, first):
    steps = ir.schedule(strides, output_stride, first)
    assert [s.level for s in steps] == [1, 1, 2, 3, 3, 4, 4]
    return [(s.stride, s.dilation) for s in steps]

  assert pairs(16, False) == [(s, 1) for s in strides]
  assert pairs(8, False)[-3:] == [(1, 1), (1, 1), (1, 2)]
  assert pairs(8, True)[-3:] == [(1, 1), (1, 2), (1, 2)]
  assert pairs(4, False)[2:] == [(2, 1), (1, 1), (1, 2), (1, 2), (1, 4)]
  assert pairs(4, True)[2:] == [(2, 1), (1, 2), (1, 2), (1, 4), (1, 4)]


@pytest.mark.parametrize(
  ("channels", "want"), [(3.2, 8), (12, 16), (19, 24), (20.8, 24), (33, 32)]
)
def test_round_channels(channels, want):
  """The nearest multiple of 8, unless more than a tenth gets lost (19)."""
  assert ir.round_channels(channels) == want


def run(encoder, variables, image):
  return quick.jit(lambda v, x: encoder.apply(v, x, train=False))(
    variables, image
  )


TINY = {"width": 0.1, "normalization": "none"}


@pytest.fixture
def short(monkeypatch):
  """One or two blocks per stride: their gradients are slow to compile."""
  groups = ((1, 16, 1, 1), (6, 24, 1, 2), (6, 32, 1, 2), (6, 96, 1, 2))
  monkeypatch.setattr(mobilenet_v2, "GROUPS", (*groups, (6, 160, 2, 2)))
  large = mobilenet_v3.LARGE
  rows = tuple(large[i] for i in (0, 1, 3, 6, 12, 13))
  monkeypatch.setattr(mobilenet_v3, "BLOCKS", {"large": rows})


@pytest.mark.parametrize("padding", ["torch", "tf"])
def test_dilation_is_the_same_function_at_more_places(
  padding, random_variables, short
):
  """Exact at the borders too. TensorFlow's padding is symmetric at sizes of
  32 m + 1 only, and elsewhere the strided net looks at other places. V3 has
  means over whole maps, which see more places: no such identity."""
  make = functools.partial(
    encoders.MobileNetV2, **TINY, padding=padding, head_width=16
  )
  size = (33, 97) if padding == "tf" else (50, 97)
  image = np.random.default_rng(0).random((1, *size, 3), np.float32)
  variables = random_variables(make(), image)
  want = run(make(), variables, image)["c5"]
  scale = np.abs(want).max()
  dense = make(output_stride=8)
  got = run(dense, variables, image)["c5"][:, ::4, ::4]
  np.testing.assert_allclose(got, want, atol=1e-5 * scale)
  if padding == "tf":
    return
  # Dilating the convolution that strode is another function.
  other = run(dense.clone(dilate_first=True), variables, image)["c5"]
  assert np.abs(other[:, ::4, ::4] - want).max() > 1e-2 * scale


@pytest.mark.parametrize("name", NAMES[:2])
def test_every_parameter_is_used(name, random_variables, short):
  encoder = encoders.ENCODERS[name](**TINY, output_stride=16)
  image = np.random.default_rng(0).random((2, 65, 50, 3), np.float32)
  variables = random_variables(encoder, image)

  @quick.jit
  def gradients(params):
    def project(params):
      maps, new = encoder.apply(
        {**variables, "params": params},
        image,
        train=True,
        mutable=["batch_stats"],
      )
      rng = np.random.default_rng(1)
      total = sum(
        (maps[f"c{k}"] * rng.normal(size=maps[f"c{k}"].shape)).sum()
        for k in range(1, 6)
      )
      return total.astype(jnp.float32), new

    return jax.grad(project, has_aux=True)(params)

  grads, new = gradients(variables["params"])
  for path, g in jax.tree_util.tree_leaves_with_path(grads):
    assert np.abs(g).max() > 0, jax.tree_util.keystr(path)
  old = variables["batch_stats"]
  for a, b in zip(
    jax.tree.leaves(new["batch_stats"]), jax.tree.leaves(old), strict=True
  ):
    assert np.abs(a - b).max() > 0


def test_frozen_norm(random_variables, short):
  """In training as in evaluation; the statistics stay to the bit."""
  encoder = encoders.MobileNetV3(**TINY, frozen_norm=True)
  image = np.random.default_rng(0).random((2, 65, 50, 3), np.float32)
  variables = random_variables(encoder, image)
  out, new = quick.jit(
    lambda v: encoder.apply(v, image, train=True, mutable=["batch_stats"])
  )(variables)
  old = variables["batch_stats"]
  jax.tree.map(np.testing.assert_array_equal, new["batch_stats"], old)
  want = run(encoder.clone(frozen_norm=False), variables, image)["c5"]
  np.testing.assert_allclose(out["c5"], want, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_channels(name):
  encoder = encoders.ENCODERS[name](normalization="none")
  kernel = shapes(encoder, channels=5)["params"]["stem"]["conv"]["kernel"]
  assert kernel.shape[:3] == (3, 3, 5)


@pytest.mark.parametrize(
  ("name", "fields", "message"),
  [
    ("mobilenet_v2", {"output_stride": 4}, "output_stride=4 .*32, 16, 8"),
    ("mobilenet_v3_large", {"output_stride": 64}, "output_stride=64 "),
    ("mobilenet_v3_large", {"size": "huge"}, "size='huge' .*'large', 'small'"),
    ("mobilenet_v2", {"padding": "caffe"}, "padding='caffe'"),
  ],
)
def test_mistakes_are_named(name, fields, message):
  with pytest.raises(types.UserError, match=message):
    shapes(encoders.ENCODERS[name](**fields))
