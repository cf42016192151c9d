"""Predictions at an image's own size: exact, and compiled once per bucket."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import native


class Net(nn.Module):
  """A 3x3 convolution to three classes."""

  @nn.compact
  def __call__(self, image, train=False):
    logits = nn.Conv(3, (3, 3), kernel_init=nn.initializers.normal(1.0))(image)
    return {"logits": logits, "aux": logits[:, ::2, ::2]}


@dataclasses.dataclass(frozen=True)
class Semantic:
  """Argmax over probabilities; counts how often `predict` is traced."""

  traced: list = dataclasses.field(default_factory=list)
  outputs = {"logits": 3}  # noqa: RUF012

  def predict(self, out):
    self.traced.append(out["logits"].shape)
    return {
      "label": jnp.argmax(out["logits"], -1).astype(jnp.int32),
      "probability": jax.nn.softmax(out["logits"]),
    }


def _setup():
  net = Net()
  return net, jax.jit(net.init)(jax.random.key(0), np.zeros((1, 8, 8, 3)))


SIZES = [(40, 50), (64, 64), (33, 47), (1, 64), (64, 2), (61, 35)]


def _fit(image, size):
  """Nearest neighbour, enough for a test."""
  y = np.arange(size[0]) * image.shape[0] // size[0]
  x = np.arange(size[1]) * image.shape[1] // size[1]
  return image[y][:, x]


def _pixels(h, w):
  return np.random.default_rng(h * w).integers(0, 256, (h, w, 3), np.uint8)


def _linear(x, axis, size):
  """Half-pixel linear interpolation in float64; np.interp clamps the ends."""
  n = x.shape[axis]
  at = (np.arange(size) + 0.5) * n / size - 0.5
  return np.apply_along_axis(
    lambda line: np.interp(at, np.arange(n), line), axis, x
  )


def test_native_size_equals_resizing_exactly_and_compiles_once():
  net, variables = _setup()
  task = Semantic()
  traced = []

  def forward(variables, image):
    traced.append(image.shape)
    return net.apply(variables, image)

  run = native.native(forward, task, (16, 24), _fit, bucket=64, rows=16)
  results = [(_pixels(*size), run(variables, _pixels(*size))) for size in SIZES]
  # Once for the network; `predict` once for its shape and once in the strip.
  assert traced == [(1, 16, 24, 3)]
  assert task.traced == [(1, 16, 64, 3)] * 2
  assert run(variables, _pixels(65, 10))["label"].shape == (65, 10)
  assert len(traced) == 1
  assert len(task.traced) == 4  # another bucket
  apply = jax.jit(net.apply)
  for pixels, got in results:
    h, w = pixels.shape[:2]
    small = _fit(pixels, (16, 24)).astype(np.float32)[None] / 255
    logits = np.asarray(apply(variables, small)["logits"][0])
    want = _linear(_linear(logits, 0, h), 1, w)
    if (h, w) == SIZES[0]:  # one compilation per size: once is enough
      theirs = jax.image.resize(logits, (h, w, 3), "linear", antialias=False)
      np.testing.assert_allclose(theirs, want, atol=1e-5)
    want = np.exp(want - want.max(-1, keepdims=True))
    want /= want.sum(-1, keepdims=True)
    np.testing.assert_allclose(got["probability"], want, atol=1e-5)
    assert got["label"].dtype == np.uint8
    assert got["label"].shape == pixels.shape[:2]
    top = np.sort(want, -1)
    sure = top[..., 2] - top[..., 1] > 1e-4
    assert sure.mean() > 0.9
    np.testing.assert_array_equal(got["label"][sure], np.argmax(want, -1)[sure])


def test_native_positions_stay_exact_in_large_images():
  # Rows of 0 and 1 in turn: the value is the fraction of the position, which
  # float32 arithmetic on positions near 1000 would miss by 3e-5.
  class Turns(Semantic):
    def predict(self, out):
      return dict(out)

  line = np.arange(1000) % 2

  def forward(_, image):
    x = jnp.asarray(line, jnp.float32)[None, :, None, None]
    return {"logits": jnp.broadcast_to(x, (1, 1000, 1, 3))}

  run = native.native(forward, Turns(), (1000, 1), _fit, bucket=64)
  got = run(None, np.zeros((7013, 1, 3), np.uint8))["logits"][:, 0]
  want = _linear(line[:, None].repeat(3, 1), 0, 7013)
  np.testing.assert_allclose(got, want, atol=1e-6)


def test_native_strips_are_not_used_where_the_answer_is_not_a_map():
  class Peak(Semantic):
    def predict(self, out):
      flat = out["logits"][..., 0].reshape(1, -1)
      width = out["logits"].shape[2]
      at = jnp.argmax(flat, 1)
      return {"keypoints": jnp.stack([at % width, at // width], -1)}

  def forward(_, image):
    return {"logits": image}

  image = np.zeros((32, 32, 3), np.uint8)
  image[25, 6] = 255
  run = native.native(forward, Peak(), (32, 32), _fit, bucket=64, rows=16)
  assert run(None, image)["keypoints"].tolist() == [6, 25]


def test_native_without_a_size_runs_on_the_image_itself():
  net, variables = _setup()
  task = Semantic()
  run = native.native(net.apply, task, bucket=32)
  whole = jax.jit(lambda v, x: task.predict(net.apply(v, x)))
  for size in ((32, 32), (20, 31), (33, 5)):
    pixels = _pixels(*size)
    got = run(variables, pixels)
    image = pixels.astype(np.float32)[None] / 255
    want = whole(variables, image)["probability"][0]
    assert got["probability"].shape == want.shape
    # A 3x3 kernel sees the border of the image one pixel away at most.
    inner = (slice(0, size[0] - 1), slice(0, size[1] - 1))
    np.testing.assert_allclose(
      got["probability"][inner], want[inner], atol=1e-5
    )


def test_labels_stay_wide_where_a_byte_is_too_small():
  class Many(Semantic):
    outputs = {"logits": 300}  # noqa: RUF012

  pred = {"label": jnp.array([299], jnp.int32)}
  assert native.narrow(pred, Many())["label"].tolist() == [299]
  assert native.narrow(pred, Semantic())["label"].dtype == jnp.uint8


class Corner(nn.Module):
  """One map: the image's own first channel."""

  @nn.compact
  def __call__(self, image, train=False):
    return {"map": image[..., :1]}


@dataclasses.dataclass(frozen=True)
class Brightest:
  """The centre of the brightest pixel."""

  outputs = {"map": 1}  # noqa: RUF012

  def predict(self, out):
    b, _, w = out["map"].shape[:3]
    best = jnp.argmax(out["map"].reshape(b, -1), 1)
    x, y = best % w + 0.5, best // w + 0.5
    return {"keypoints": jnp.stack([x, y, x * 0 + 1], -1)[:, None, None]}


def test_points_are_found_where_they_are_in_the_given_image():
  """An odd size, nothing padded: a bright last row stays the last row."""

  def forward(variables, image):
    return Corner().apply(variables, image)

  for h, w in ((33, 47), (128, 61)):
    image = np.zeros((h, w, 3), np.uint8)
    image[h - 1, w - 5] = 255
    at = native.points(forward, Brightest())({}, image)["keypoints"]
    np.testing.assert_allclose(at, [[[w - 4.5, h - 0.5, 1]]])
    # Seen at another size, told in pixels of the image all the same.
    double = native.points(forward, Brightest(), (2 * h, 3 * w), _fit)(
      {}, image
    )["keypoints"]
    np.testing.assert_allclose(
      double, [[[w - 5 + 0.5 / 3, h - 1 + 0.25, 1]]], rtol=1e-6
    )
