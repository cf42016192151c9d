"""Windows, tiles, views and sizes: composed runs equal what they stand for."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxseg import inference, windows
from jaxseg.models import unet
from jaxseg.types import UserError


class Net(nn.Module):
  """A convolution to three classes; kernel 1 makes it purely local."""

  kernel: int = 1

  @nn.compact
  def __call__(self, image, train=False):
    size = (self.kernel, self.kernel)
    logits = nn.Conv(3, size, kernel_init=nn.initializers.normal(3.0))(image)
    return {"logits": logits, "aux": logits[:, ::2, ::2]}


@dataclasses.dataclass(frozen=True)
class Semantic:
  """Argmax over probabilities; counts how often `predict` is traced."""

  traced: list = dataclasses.field(default_factory=list)
  outputs = {"logits": 3}  # noqa: RUF012

  def inputs(self, batch):
    return (batch["image"],)

  def predict(self, out):
    self.traced.append(out["logits"].shape)
    return {
      "label": jnp.argmax(out["logits"], -1).astype(jnp.int32),
      "probability": jax.nn.softmax(out["logits"]),
    }

  def to_mean(self, out):
    return {k: jax.nn.softmax(v) for k, v in out.items()}

  def from_mean(self, out):
    return {k: jnp.log(v) for k, v in out.items()}

  def flip(self, out):
    return {k: v[:, :, ::-1] for k, v in out.items()}


@dataclasses.dataclass(frozen=True)
class Plain(Semantic):
  """Averages outputs as they are."""

  def predict(self, out):
    return dict(out)

  def to_mean(self, out):
    return dict(out)

  def from_mean(self, out):
    return dict(out)


def _image(h, w, b=1, seed=0):
  return np.random.default_rng(seed).random((b, h, w, 3), np.float32)


def _setup(kernel=1):
  net = Net(kernel)
  return net, jax.jit(net.init)(jax.random.key(0), _image(8, 8))


@pytest.mark.parametrize(
  ("size", "window", "overlap"),
  [
    ((40, 52), (16, 16), 0.5),
    ((37, 41), (16, 20), 0.3),
    ((9, 33), (16, 16), 0.0),  # smaller than the window
    ((3, 5), (16, 16), 0.9),
  ],
)
def test_sliding_a_local_network_equals_the_whole_image(size, window, overlap):
  net, variables = _setup()
  task = Semantic()
  options = inference.InferenceOptions("slide", window, overlap)
  image = _image(*size, b=2)
  got = jax.jit(inference.build(net, task, options))(variables, image)
  want = jax.jit(inference.build(net, task))(variables, image)
  assert got["probability"].shape == (2, *size, 3)
  np.testing.assert_allclose(got["probability"], want["probability"], atol=1e-6)
  np.testing.assert_array_equal(got["label"], want["label"])


@pytest.mark.parametrize(
  ("n", "window", "overlap", "count"),
  # Starts 0, 4, 8, ... ; (n - window) / step rounded up, and one more.
  [(24, 8, 0.5, 5), (25, 8, 0.5, 6), (8, 8, 0.5, 1), (17, 8, 0, 3)],
)
def test_window_weights_are_a_partition_of_unity(n, window, overlap, count):
  starts, weights = windows.window_plan(n, window, overlap)
  assert len(starts) == count
  assert starts[0] == 0
  assert starts[-1] == n - window
  assert weights.min() > 0
  total = np.zeros(n)
  for start, weight in zip(starts, weights):
    total[start : start + window] += weight
  np.testing.assert_allclose(total, 1, atol=1e-6)


def test_blend_of_windows_that_disagree_equals_a_plain_loop():
  # Each window answers with its own mean: only the blend makes pixels differ.
  def forward(_, x):
    mean = x.mean((1, 2), keepdims=True)
    return {"logits": jnp.broadcast_to(mean, x.shape)}

  image = _image(11, 14)
  run = windows.sliding_window(forward, Plain(), (6, 8), 0.5)
  got = jax.jit(run)(None, image)["logits"][0]

  total, weight = np.zeros((11, 14, 3)), np.zeros((11, 14, 1))
  tent = np.outer([1, 2, 3, 3, 2, 1], [1, 2, 3, 4, 4, 3, 2, 1])[..., None]
  for y in (0, 3, 5):
    for x in (0, 4, 6):
      piece = (slice(y, y + 6), slice(x, x + 8))
      total[piece] += image[0][piece].mean((0, 1)) * tent
      weight[piece] += tent
  np.testing.assert_allclose(got, total / weight, atol=1e-6)


def test_memory_does_not_grow_with_the_number_of_windows():
  image = _image(96, 96)
  kernels = (jnp.ones((3, 3, 3, 64)), jnp.ones((1, 1, 64, 3)))

  def forward(variables, x):
    for kernel in variables:
      x = lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
      )
    return {"logits": x}

  def bytes_for(window, overlap):
    run = windows.sliding_window(forward, Plain(), window, overlap)
    compiled = jax.jit(run).lower(kernels, image).compile()
    return compiled.memory_analysis().temp_size_in_bytes

  few = bytes_for((24, 24), 0.0)  # 4 * 4 = 16 windows
  many = bytes_for((24, 24), 0.75)  # 13 * 13 = 169 windows
  whole = bytes_for((96, 96), 0.0)
  assert many <= few * 1.02
  # 96 * 96 * 64 float32 of features in the whole image, a 16th in a window.
  assert whole - few > 96 * 96 * 64 * 4 / 2


def _pooled(_, x):
  """Valid 3x3 mean, two poolings, x4 nearest, valid 3x3 max: stride 4.

  n -> n - 2 -> (n - 2) / 2 - 2 -> half of it -> times 4 -> n - 8: margin 4,
  and the output is 2 modulo 4, as 388 is 4 modulo 16.
  """

  def window(x, op, init, k, s):
    return lax.reduce_window(x, init, op, (1, k, k, 1), (1, s, s, 1), "VALID")

  x = window(x, lax.add, 0.0, 3, 1)
  x = window(x, lax.max, -jnp.inf, 2, 2)
  x = window(x, lax.add, 0.0, 3, 1)
  x = window(x, lax.max, -jnp.inf, 2, 2)
  x = x.repeat(4, 1).repeat(4, 2)
  return {"logits": window(x, lax.max, -jnp.inf, 3, 1)}


@pytest.mark.parametrize("size", [(26, 34), (23, 40), (5, 7)])
def test_overlapping_tiles_equal_one_pass_over_the_mirrored_image(size):
  image = _image(*size, b=2)
  tiled = windows.overlap_tile(_pooled, (10, 14), 4, stride=4)
  got = jax.jit(tiled)(None, image)["logits"]
  assert got.shape == image.shape
  # The next size that the network admits: 2 modulo 4.
  more = [(2 - n) % 4 for n in size]
  pads = ((0, 0), (4, 4 + more[0]), (4, 4 + more[1]), (0, 0))
  once = jax.jit(_pooled)(None, np.pad(image, pads, mode="reflect"))["logits"]
  want = once[:, : size[0], : size[1]]
  np.testing.assert_allclose(got, want, atol=1e-6)


def test_overlapping_tiles_of_a_unet_equal_one_pass():
  # Depth 1 without padding: stride 2, n -> n - 16, n even.
  outputs = {"logits": 3}
  net = unet.UNet(outputs, width=4, depth=1, padding="valid", mirror=False)
  options = inference.InferenceOptions("tile", (10, 14), margin=8, stride=2)
  image = _image(23, 30)
  once = np.pad(image, ((0, 0), (8, 9), (8, 8), (0, 0)), mode="reflect")
  shapes = jax.eval_shape(
    lambda: net.init(jax.random.key(0), jnp.asarray(once), train=False)
  )
  rng = np.random.default_rng(0)
  variables = jax.tree.map(
    lambda s: rng.normal(0, 0.3, s.shape).astype(np.float32), shapes
  )
  tiled = inference.build(net, Plain(), options)
  got, want = jax.jit(
    lambda v: (tiled(v, image), net.apply(v, once, train=False))
  )(variables)
  want = want["logits"][:, :23, :30]
  assert want.std() > 0.1
  np.testing.assert_allclose(got["logits"], want, atol=1e-5, rtol=1e-5)


def test_tiles_that_ignore_the_stride_would_show():
  image = _image(26, 34)
  right = windows.overlap_tile(_pooled, (10, 14), 4, stride=4)
  wrong = windows.overlap_tile(_pooled, (10, 14), 4, stride=1)
  gap = jax.jit(lambda x: right(None, x)["logits"] - wrong(None, x)["logits"])(
    image
  )
  assert np.abs(gap).max() > 0.01


def test_views_of_a_symmetric_local_network_change_nothing():
  net, variables = _setup()
  image = np.broadcast_to(_image(1, 1, b=2), (2, 12, 17, 3))  # of any scale
  image = image * np.linspace(0.9, 1, 2, dtype=np.float32)[:, None, None, None]
  options = inference.InferenceOptions(scales=(0.5, 1.75), flip=True)
  got = jax.jit(inference.build(net, Semantic(), options))(variables, image)
  want = jax.jit(inference.build(net, Semantic()))(variables, image)
  np.testing.assert_allclose(got["probability"], want["probability"], atol=1e-6)


def test_views_are_averaged_as_probabilities_after_flipping_back():
  net, variables = _setup(3)
  task = Semantic()
  image = _image(12, 18)
  run = inference.multi_scale(
    inference.build_forward(net, task), task, (0.5, 1.0), True
  )
  got = jax.jit(run)(variables, image)
  assert set(got) == {"logits"}

  def resized(x, h, w):
    return jax.image.resize(x, (1, h, w, 3), "linear", antialias=False)

  @jax.jit
  def separate(variables, image):
    views = []
    for h, w in ((6, 9), (12, 18)):
      small = resized(image, h, w)
      plain = net.apply(variables, small)["logits"]
      back = net.apply(variables, small[:, :, ::-1])["logits"][:, :, ::-1]
      views += [jax.nn.softmax(resized(v, 12, 18)) for v in (plain, back)]
    return views

  views = separate(variables, image)
  np.testing.assert_allclose(np.exp(got["logits"]), sum(views) / 4, atol=2e-6)
  assert np.abs(views[2] - views[3]).max() > 0.01  # the flip matters here


@pytest.mark.parametrize(
  ("kwargs", "text"),
  [
    ({"mode": "slid"}, "mode 'slid' .* whole, slide, tile"),
    ({"window": (0, 5)}, r"window \(0, 5\)"),
    ({"overlap": 1.0}, "overlap 1.0"),
    ({"scales": ()}, r"scales \(\)"),
    ({"scales": (1.0, -1.0)}, "positive"),
    ({"margin": -1}, "margin -1"),
  ],
)
def test_impossible_options_are_refused(kwargs, text):
  with pytest.raises(UserError, match=text):
    inference.InferenceOptions(**kwargs)


def test_a_network_that_does_not_fit_the_mode_is_refused():
  image = _image(30, 30)
  sliding = windows.sliding_window(_pooled, Plain(), (18, 18))
  with pytest.raises(UserError, match=r"\(1, 10, 10, 3\).* another inference"):
    sliding(None, image)
  tiled = windows.overlap_tile(_pooled, (10, 10), 6)
  with pytest.raises(UserError, match="margin of 6"):
    tiled(None, image)
  with pytest.raises(UserError, match="smaller than the stride 16"):
    windows.overlap_tile(_pooled, (10, 10), 6, stride=16)
