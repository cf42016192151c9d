"""The artifact predicts what the network predicts, with nothing but jax."""

import dataclasses
import hashlib
import io
import json
import subprocess
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

from jaxseg import export, inference
from jaxseg.types import UserError

SIZE = (24, 40)


class Net(nn.Module):
  """Two convolutions with batch statistics between them."""

  @nn.compact
  def __call__(self, image, train=False):
    x = nn.Conv(6, (3, 3), strides=2, name="c1")(image)
    x = nn.relu(nn.BatchNorm(use_running_average=not train, name="bn")(x))
    x = nn.Conv(4, (3, 3), name="c2", kernel_init=nn.initializers.normal())(x)
    return {"logits": x.repeat(2, 1).repeat(2, 2)}


@dataclasses.dataclass(frozen=True)
class Semantic:
  outputs = {"logits": 4}  # noqa: RUF012
  name = "semantic"
  classes = ("a", "b", "c", "d")
  palette = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0))

  def inputs(self, batch):
    return (batch["image"],)

  def predict(self, out):
    return {
      "label": jnp.argmax(out["logits"], -1).astype(jnp.int32),
      "probability": jax.nn.softmax(out["logits"]).max(-1),
    }

  def to_mean(self, out):
    return {k: jax.nn.softmax(v) for k, v in out.items()}

  def from_mean(self, out):
    return {k: jnp.log(v) for k, v in out.items()}

  def flip(self, out):
    return {k: v[:, :, ::-1] for k, v in out.items()}


class Depth:
  outputs = {"depth": 1}  # noqa: RUF012


@pytest.fixture(scope="module")
def variables():
  shape = (1, *SIZE, 3)
  return jax.jit(Net().init)(jax.random.key(0), jnp.zeros(shape))


@pytest.fixture(scope="module")
def saved(variables, tmp_path_factory):
  path = tmp_path_factory.mktemp("export") / "deep" / "net.stablehlo"
  predict = inference.build(Net(), Semantic())
  console = Console(file=io.StringIO(), soft_wrap=True)
  meta = export.export_artifact(
    predict,
    variables,
    SIZE,
    path,
    task=Semantic(),
    meta={"note": "first"},
    console=console,
  )
  assert f"{path} ({path.stat().st_size:,} bytes)" in console.file.getvalue()
  return path, meta


def _images(b, seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (b, *SIZE, 3), np.uint8)


def test_the_artifact_equals_the_network_for_any_batch(saved, variables):
  path, _ = saved
  loaded, meta = export.load_artifact(path)
  assert meta["batch"] == "any"
  live = jax.jit(inference.build(Net(), Semantic()))
  for b in (1, 3):
    images = _images(b, seed=b)
    got = loaded(images)
    want = live(variables, images.astype(np.float32) / 255)
    assert len(np.unique(want["label"])) > 1
    assert got["label"].dtype == jnp.uint8
    np.testing.assert_array_equal(got["label"], want["label"])
    np.testing.assert_allclose(
      got["probability"], want["probability"], atol=1e-6
    )


def test_the_description_tells_what_goes_in_and_comes_out(saved):
  path, meta = saved
  written = json.loads((path.parent / "net.stablehlo.json").read_text())
  assert written == meta
  assert written["task"] == "semantic"
  assert written["note"] == "first"
  assert written["classes"] == ["a", "b", "c", "d"]
  assert written["palette"] == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]
  assert written["size"] == [24, 40]
  assert written["input"]["shape"] == ["b", "24", "40", "3"]
  assert written["outputs"] == {
    "label": {"dtype": "uint8", "shape": ["b", "24", "40"]},
    "probability": {"dtype": "float32", "shape": ["b", "24", "40"]},
  }
  assert written["platforms"] == ["cpu", "cuda", "tpu"]
  # The weights are inside: 3*3*3*6 + 6 + 4*6 + 3*3*6*4 + 4 = 412 floats.
  assert path.stat().st_size == written["bytes"] > 412 * 4


def test_the_artifact_runs_without_this_project(saved, tmp_path):
  path, _ = saved
  np.save(tmp_path / "in.npy", _images(2))
  script = (
    "import sys, jax, jax.export, numpy as np\n"
    f"f = jax.export.deserialize(open({str(path)!r}, 'rb').read()).call\n"
    f"x = np.load({str(tmp_path / 'in.npy')!r})\n"
    f"np.save({str(tmp_path / 'out.npy')!r}, jax.jit(f)(x)['label'])\n"
    "assert not any(m.startswith(('jaxseg', 'flax')) for m in sys.modules)\n"
  )
  subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
  loaded, _ = export.load_artifact(path)
  want = loaded(_images(2))["label"]
  np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), want)


def test_windows_and_views_are_exported_too(variables, tmp_path):
  options = inference.InferenceOptions(
    "slide", (16, 16), overlap=0.25, scales=(0.75, 1.0), flip=True
  )
  predict = inference.build(Net(), Semantic(), options)
  path = tmp_path / "net"
  meta = export.export_artifact(predict, variables, SIZE, path, task=Semantic())
  assert meta["batch"] == "any"
  loaded, _ = export.load_artifact(path)
  images = _images(2)
  want = jax.jit(predict)(variables, images.astype(np.float32) / 255)
  got = loaded(images)["label"]
  assert got.dtype == np.uint8
  assert len(np.unique(got)) > 1
  np.testing.assert_array_equal(got, want["label"])


def test_a_network_that_needs_its_batch_gets_a_batch_of_one(tmp_path):
  def predict(scale, image):
    each = [image[i] * scale for i in range(image.shape[0])]
    return {"depth": jnp.stack(each)[..., 0]}

  path = tmp_path / "net"
  meta = export.export_artifact(predict, 2.0, (4, 6), path, task=Depth())
  assert meta["batch"] == 1
  loaded, _ = export.load_artifact(path)
  image = np.full((1, 4, 6, 3), 51, np.uint8)
  np.testing.assert_allclose(loaded(image)["depth"], 0.4, rtol=1e-6)
  with pytest.raises(UserError, match=r"\(2, 4, 6, 3\): expected uint8 \(1,"):
    loaded(image.repeat(2, 0))


def test_wrong_images_are_refused(saved):
  loaded, _ = export.load_artifact(saved[0])
  with pytest.raises(UserError, match=r"float32 .* uint8 \(b, 24, 40, 3\)"):
    loaded(_images(1).astype(np.float32))
  with pytest.raises(UserError, match=r"\(1, 40, 24, 3\)"):
    loaded(_images(1).transpose(0, 2, 1, 3))


def test_an_artifact_that_differs_is_an_error_and_removed(
  tmp_path, monkeypatch
):
  path = tmp_path / "net"
  original = export.load_artifact

  def wrong(path):
    loaded, meta = original(path)
    return lambda x: {"label": loaded(x)["label"].at[0, 0, 0].add(1)}, meta

  monkeypatch.setattr(export, "load_artifact", wrong)
  with pytest.raises(UserError, match=r"'label' differs in 4\.17%"):  # 1 / 24
    export.export_artifact(
      lambda v, x: {"label": (x[..., 0] > v).astype(jnp.int32)},
      0.5,
      (4, 6),
      path,
      task=Semantic(),
    )
  assert list(tmp_path.iterdir()) == []


def test_missing_and_damaged_files_are_named(saved, tmp_path):
  with pytest.raises(UserError, match="none"):
    export.load_artifact(tmp_path / "none")
  path = tmp_path / "net"
  data = bytearray(saved[0].read_bytes())
  data[len(data) // 2] ^= 1
  path.write_bytes(bytes(data))
  with pytest.raises(UserError, match=r"net\.json"):
    export.load_artifact(path)
  sidecar = saved[0].parent / "net.stablehlo.json"
  (tmp_path / "net.json").write_bytes(sidecar.read_bytes())
  with pytest.raises(UserError, match=r"net is damaged .* checksum"):
    export.load_artifact(path)


def test_an_artifact_of_another_jax_says_so(tmp_path):
  (tmp_path / "net").write_bytes(b"from the future")
  digest = hashlib.sha256(b"from the future").hexdigest()
  meta = {"sha256": digest, "jax": "9.9", "size": [1, 1], "batch": 1}
  (tmp_path / "net.json").write_text(json.dumps(meta))
  with pytest.raises(UserError, match=r"written by jax 9\.9"):
    export.load_artifact(tmp_path / "net")


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
  (tmp_path / "file").write_text("in the way")
  with pytest.raises(UserError, match=r"net cannot be written"):
    export.export_artifact(
      lambda v, x: {"depth": x[..., 0] * v},
      1.0,
      (4, 6),
      tmp_path / "file" / "net",
      task=Depth(),
    )
