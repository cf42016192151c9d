"""Pieces of an image, put together, are what evaluation says of the whole."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import anysize, export, inference, native
from jaxseg.data import geometry
from jaxseg.serving import artifact, pieces
from jaxseg.types import UserError


class Net(nn.Module):
  """Two convolutions and the mean of all pixels: what a window sees counts."""

  pad: str = "SAME"

  @nn.compact
  def __call__(self, image, train=False):
    init = nn.initializers.normal(2.0)
    x = nn.Conv(5, (3, 3), padding=self.pad, kernel_init=init)(image)
    x = nn.tanh(x + 3 * image.mean((1, 2), keepdims=True)[..., :1])
    return {"logits": nn.Conv(3, (3, 3), padding=self.pad)(x)}


@dataclasses.dataclass(frozen=True)
class Semantic:
  outputs = {"logits": 3}  # noqa: RUF012
  name = "semantic"
  method = "argmax"
  classes = ("a", "b", "c")
  palette = ((1, 0, 0), (0, 250, 0), (0, 0, 99))

  def inputs(self, batch):
    return (batch["image"],)

  def predict(self, out):
    return {
      "label": jnp.argmax(out["logits"], -1).astype(jnp.int32),
      "share": jax.nn.softmax(out["logits"]).max(-1),
    }

  def compose(self, pred, image):
    return {**pred, "lit": pred["share"] * image.mean(-1)}

  def to_mean(self, out):
    return {k: jax.nn.softmax(v) for k, v in out.items()}

  def from_mean(self, out):
    return {k: jnp.log(jnp.maximum(v, 1e-30)) for k, v in out.items()}

  def flip(self, out):
    return {k: v[:, :, ::-1] for k, v in out.items()}


TASK = Semantic()


def _image(h, w, seed=0):
  """Blocks of colour with noise: smooth enough to have regions."""
  rng = np.random.default_rng(seed)
  blocks = rng.integers(0, 200, (-(-h // 5), -(-w // 5), 3))
  noise = rng.integers(0, 56, (h, w, 3))
  image = blocks.repeat(5, 0).repeat(5, 1)[:h, :w] + noise
  return image.astype(np.uint8)


def _variables(net):
  return jax.jit(net.init)(jax.random.key(1), jnp.zeros((1, 12, 12, 3)))


def _live(program, variables):
  """The program as an artifact has it, without a file."""
  _, state = program.arguments[:2]
  windows = program.plan["how"] == "windows"
  sizes = {k: v.shape[3] if windows else v.shape[1:] for k, v in state.items()}
  call = jax.jit(lambda *arguments: program.run(variables, *arguments))
  description = {"any_size": {**program.plan, "state": sizes}}
  return artifact.Artifact(call, description, None)


def assert_same(got, want):
  np.testing.assert_array_equal(got["label"], want["label"])
  np.testing.assert_allclose(got["share"], want["share"], atol=1e-5)
  np.testing.assert_allclose(got["lit"], want["lit"], atol=1e-5)
  assert len(np.unique(want["label"])) == 3
  assert got["label"].dtype == np.uint8


VIEWS = {
  "windows": inference.InferenceOptions("slide", (16, 20), 0.4),
  "views": inference.InferenceOptions(
    "slide", (16, 16), 0.5, scales=(0.75, 1.0), flip=True, views="window"
  ),
  "tiles": inference.InferenceOptions("tile", (14, 10), margin=2, stride=4),
}


@pytest.mark.parametrize("name", VIEWS)
def test_windows_equal_evaluation_of_the_whole_image(name):
  options = VIEWS[name]
  net = Net("VALID" if name == "tiles" else "SAME")
  variables = _variables(net)
  program = anysize.build(net, TASK, options, variables, None)
  served = _live(program, variables)
  predict = jax.jit(inference.build(net, TASK, options))
  for size in [(41, 53), (9, 33)]:  # the last windows shifted; mirrored
    image = _image(*size)
    want = predict(variables, image[None].astype(np.float32) / 255)
    got = pieces.whole(served, pieces.Pixels(image))
    assert_same(got, {key: value[0] for key, value in want.items()})


def test_an_enlarged_answer_is_that_of_mode_predict():
  net, size = Net(), (24, 32)
  variables = _variables(net)
  options = inference.InferenceOptions(flip=True)
  forward = inference.build_forward(net, TASK, options)
  program = anysize.enlarge(variables, forward, TASK, size, (20, 36))
  served = _live(program, variables)

  def fit(image, size):
    return pieces.fit(pieces.Pixels(image), size)

  predict = native.native(forward, TASK, size, fit, bucket=32)
  for own in [(61, 75), (11, 13), size]:
    image = _image(*own, seed=2)
    got = pieces.whole(served, pieces.Pixels(image))
    assert got["label"].shape == own
    assert_same(got, predict(variables, image))


@pytest.mark.parametrize(
  ("own", "share"),
  # Shrunk by areas, by whole and by broken factors; OpenCV rounds linear
  # weights to 1/2048, and so a level up or down now and then.
  [((64, 96), 0.01), ((75, 61), 0.01), ((11, 13), 0.2), ((300, 20), 0.2)],
)
def test_images_are_resized_as_evaluation_does(own, share):
  image, size = _image(*own, seed=3), (32, 24)
  got = pieces.fit(pieces.Pixels(image), size).astype(int)
  want = geometry.resize({"image": image}, size)["image"]
  gap = np.abs(got - want)
  assert gap.max() <= 1
  assert (gap > 0).mean() < share


class Rows(pieces.Pixels):
  """Counts what is asked for."""

  def __init__(self, image):
    super().__init__(image)
    self.most = 0

  def rows(self, start, stop):
    self.most = max(self.most, stop - start)
    return super().rows(start, stop)


def test_a_long_image_is_read_a_window_at_a_time():
  net = Net()
  variables = _variables(net)
  program = anysize.build(net, TASK, VIEWS["windows"], variables, None)
  source = Rows(_image(200, 21))
  found = list(pieces.strips(_live(program, variables), source))
  assert source.most == 16  # a window's height
  starts = [y for y, _ in found]
  heights = [len(strip["label"]) for _, strip in found]
  # Windows 10 rows apart, rounded from 9.6; the last ends with the image.
  assert starts == [*range(0, 190, 10), 184]
  assert sum(heights) == 200
  assert max(heights) <= 16


def test_the_artifact_for_any_size_equals_the_network(tmp_path):
  net = Net()
  variables = _variables(net)
  options = VIEWS["windows"]
  program = anysize.build(net, TASK, options, variables, None)
  path = tmp_path / "net.stablehlo"
  meta = export.export_any(program, variables, path, task=TASK)
  assert meta["format"] == "jaxseg-export-2"
  assert meta["any_size"]["window"] == [16, 20]
  assert meta["outputs"]["label"] == {
    "dtype": "uint8",
    "shape": ["1", "16", "20"],
  }
  loaded, read = export.load_artifact(path)
  assert read == meta
  images = np.stack([_image(30, 45, 5), _image(30, 45, 6)])
  want = jax.jit(inference.build(net, TASK, options))(
    variables, images.astype(np.float32) / 255
  )
  assert_same(loaded(images), want)
  with pytest.raises(UserError, match=r"float32 \(30, 45, 3\)"):
    loaded(images.astype(np.float32))


def test_what_cannot_be_served_by_pieces_is_refused():
  net = Net()
  variables = _variables(net)

  def refused(text, options, size=None, task=TASK):
    with pytest.raises(UserError, match=text):
      anysize.build(net, task, options, variables, size)

  refused("inference.mode = 'slide'", inference.InferenceOptions())
  flip = inference.InferenceOptions("slide", (16, 16), flip=True)
  refused("inference.views = 'window'", flip)

  class Points(Semantic):
    compose = None

    def predict(self, out):
      return {"keypoints": out["logits"].mean(1)}

  refused(r"'keypoints' .*\(1, 16, 3\)", VIEWS["views"], task=Points())
  with pytest.raises(UserError, match="answer less than they read"):
    dataclasses.replace(VIEWS["tiles"], views="window")
