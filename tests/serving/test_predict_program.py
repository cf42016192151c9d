"""python -m jaxseg.predict: with jax and numpy alone, and each mistake."""

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from jaxseg import anysize, export, predict
from jaxseg.inference import InferenceOptions

ROOT = pathlib.Path(__file__).parents[2]
PALETTE = ((9, 9, 9), (250, 10, 20), (30, 240, 40))


@dataclasses.dataclass(frozen=True)
class Brightest:
  """A task and its network at once: which of r, g, b is the brightest."""

  outputs = {"logits": 3}  # noqa: RUF012
  name = "semantic"
  classes = ("red", "green", "blue")
  palette = PALETTE

  def apply(self, variables, image, train):
    return {"logits": image * variables + BIAS}

  def inputs(self, batch):
    return (batch["image"],)

  def predict(self, out):
    label = jnp.argmax(out["logits"], -1).astype(jnp.int32)
    return {"label": label, "margin": out["logits"].max(-1)}

  def to_mean(self, out):
    return dict(out)

  from_mean = to_mean


TASK = Brightest()
WEIGHTS = jnp.array([1.0, 0.91, 1.07])
BIAS = np.array([0, 0.003, 0.006], np.float32) / 255  # never a tie


def _image(h, w, seed=0):
  return np.random.default_rng(seed).integers(0, 256, (h, w, 3), np.uint8)


def _logits(image):
  return image / 255 * np.array([1.0, 0.91, 1.07]) + BIAS.astype(np.float64)


def _label(image):
  """The network is local: what one look at the whole image gives."""
  return np.argmax(_logits(image), -1).astype(np.uint8)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  """Artifacts: of any size, and of 6 x 8 pixels."""
  folder = tmp_path_factory.mktemp("artifacts")
  options = InferenceOptions("slide", (16, 16), 0.5)
  program = anysize.build(TASK, TASK, options, WEIGHTS, None)
  export.export_any(program, WEIGHTS, folder / "any.stablehlo", task=TASK)

  def whole(variables, image):
    return TASK.predict(TASK.apply(variables, image, False))

  export.export_artifact(whole, WEIGHTS, (6, 8), folder / "one", task=TASK)
  return folder


def _run(*argv):
  return predict.main([str(a) for a in argv])


BLOCKED = """
import importlib.abc, runpy, sys
allowed = set(sys.stdlib_module_names) | {
  "jax", "jaxlib", "numpy", "jaxseg",
  # what jax itself is made of
  "ml_dtypes", "opt_einsum", "scipy", "flatbuffers", "_distutils_hack",
  %s
}
class Wall(importlib.abc.MetaPathFinder):
  def __init__(self, finder):
    self.finder = finder
  def find_spec(self, name, path=None, target=None):
    top = name.partition(".")[0]
    if top in allowed or top.startswith("_sysconfigdata"):
      return self.finder.find_spec(name, path, target)
sys.meta_path[:] = map(Wall, sys.meta_path)
sys.argv = ["predict", *sys.argv[1:]]
try:
  runpy.run_module("jaxseg.predict", run_name="__main__")
finally:
  heavy = {m.split(".")[1] for m in sys.modules if m.startswith("jaxseg.")}
  print("loaded", *sorted(heavy), file=sys.stderr)
"""


@pytest.mark.parametrize("pillow", [False, True], ids=["bare", "pillow"])
def test_it_runs_where_only_jax_and_numpy_are(saved, tmp_path, pillow):
  images = {"deep/a": _image(40, 23), "b": _image(16, 50, 1)}
  for name, image in images.items():
    path = tmp_path / "in" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if pillow:
      PIL.Image.fromarray(image).save(f"{path}.png")
    else:
      np.save(f"{path}.npy", image)
  env = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
  env["JAX_COMPILATION_CACHE_DIR"] = ""
  done = subprocess.run(
    [
      *(sys.executable, "-c", BLOCKED % ('"PIL"' if pillow else "")),
      *(saved / "any.stablehlo", tmp_path / "in", "--out", tmp_path / "out"),
    ],
    capture_output=True,
    text=True,
    env=env,
    timeout=200,
  )
  assert done.returncode == 0, done.stderr
  assert "2/2" in done.stderr
  assert "2 prediction(s) in" in done.stdout
  loaded = done.stderr.split("loaded ")[1].split()
  assert set(loaded) <= {
    *("predict", "serving", "ops", "types", "compiling", "host_memory"),
    *("process", "guard", "keyboard"),
  }
  for name, image in images.items():
    with PIL.Image.open(tmp_path / "out" / f"{name}.png") as png:
      np.testing.assert_array_equal(np.array(png), _label(image))
      colors = np.array(png.convert("RGB"))
    np.testing.assert_array_equal(colors, np.array(PALETTE)[_label(image)])
    overlay = np.array(PIL.Image.open(tmp_path / f"out/{name}_overlay.png"))
    half = (image.astype(int) + colors) / 2
    assert np.abs(overlay - half).max() <= 1
    margin = np.load(tmp_path / "out" / f"{name}_margin.npy")
    np.testing.assert_allclose(margin, _logits(image).max(-1), atol=1e-5)


def test_importing_the_package_imports_nothing_else():
  code = (
    "import sys, jaxseg; print('jax' in sys.modules, 'flax' in sys.modules)"
  )
  done = subprocess.run(
    [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT
  )
  assert done.stdout.split() == ["False", "False"]


def test_an_artifact_of_one_size_arrays_and_globs(saved, tmp_path, capsys):
  images = [_image(6, 8, seed) for seed in range(3)]
  for i, image in enumerate(images):
    PIL.Image.fromarray(image).save(tmp_path / f"x{i}.png")
  np.save(tmp_path / "odd.npy", _image(8, 6))
  out = tmp_path / "out"
  assert _run(saved / "one", tmp_path / "x*.png", "--out", out, "--npy") == 0
  assert sorted(p.name for p in out.iterdir()) == [
    f"x{i}_{key}.npy" for i in range(3) for key in ("label", "margin")
  ]
  for i, image in enumerate(images):
    got = np.load(out / f"x{i}_label.npy")
    np.testing.assert_array_equal(got, _label(image))
  capsys.readouterr()
  # One of another size: the others are done, and it is named.
  again = tmp_path / "again"
  argv = (saved / "one", tmp_path, "--out", again, "--no-overlay", "--quiet")
  (tmp_path / "out").rename(tmp_path.parent / f"{tmp_path.name}_moved")
  assert _run(*argv) == 2
  text = capsys.readouterr().err
  assert "1 of 4 images" in text
  assert "odd.npy: the image has 8 x 6 pixels (h x w), and the artifact" in text
  assert "--config.export.sizes=any" in text
  assert len(list(again.glob("*.png"))) == 3
  assert not list(again.glob("*overlay*"))


def _copied(saved, folder, change=None, half=False):
  path = folder / "net"
  data = (saved / "one").read_bytes()
  path.write_bytes(data[: len(data) // 2] if half else data)
  description = json.loads((saved / "one.json").read_text())
  description.update(change or {})
  (folder / "net.json").write_text(json.dumps(description))
  return path


MISTAKES = {
  "no artifact": (lambda s, t: t / "none", "none is not a file"),
  "its description": (lambda s, t: s / "one.json", "is a description, not"),
  "no description": (
    lambda s, t: t / "x.npy",
    r"description .*x\.npy\.json .* cannot be read",
  ),
  "half a file": (
    lambda s, t: _copied(s, t, half=True),
    r"net is damaged .* has [\d,]+ of [\d,]+ bytes",
  ),
  "from the future": (
    lambda s, t: _copied(s, t, {"format": "jaxseg-export-9"}),
    "format 'jaxseg-export-9', and this program reads",
  ),
  "something else": (
    lambda s, t: _copied(s, t, {"sha256": "0"}),
    "its checksum differs",
  ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_no_artifact_is_said_in_a_sentence(
  saved, tmp_path, capsys, name
):
  make, text = MISTAKES[name]
  np.save(tmp_path / "x.npy", _image(6, 8))
  argv = (make(saved, tmp_path), tmp_path / "x.npy", "--out", tmp_path / "o")
  assert _run(*argv) == 2
  _one_sentence(capsys, text)


def _one_sentence(capsys, text):
  err = capsys.readouterr().err
  lines = [line for line in err.splitlines() if line.startswith("error: ")]
  assert len(lines) == 1
  assert "Traceback" not in err
  assert re.search(text, lines[0]), lines[0]


def test_inputs_and_outputs_that_cannot_be_are_said(saved, tmp_path, capsys):
  one = saved / "one"
  assert _run(one, tmp_path / "*.png") == 2
  _one_sentence(capsys, r"no image found in .*\*\.png")
  np.save(tmp_path / "x.npy", _image(6, 8)[..., :2])
  assert _run(one, tmp_path / "x.npy", "--out", tmp_path / "o") == 2
  _one_sentence(capsys, r"x\.npy has the shape \(6, 8, 2\)")
  np.save(tmp_path / "x.npy", _image(6, 8))
  (tmp_path / "file").write_text("in the way")
  assert _run(one, tmp_path / "x.npy", "--out", tmp_path / "file") == 2
  _one_sentence(capsys, "cannot be written to .*file")
  PIL.Image.fromarray(_image(6, 8)).save(tmp_path / "y.png")
  assert _run(one, tmp_path / "y.png", "--out", tmp_path) == 2
  _one_sentence(capsys, "would overwrite an input")


def test_help_is_for_strangers(capsys):
  with pytest.raises(SystemExit) as e:
    _run("--help")
  assert e.value.code == 0
  text = capsys.readouterr().out
  for word in ("ARTIFACT", "DIR/a/cat.png", "jax and numpy", "exit status"):
    assert word in text
