"""One file of data, and trainings from nothing else."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import cv2
import jax
import numpy as np
import pytest

from benchmarks import data_file, export_data, gpu_train
from configs import unet_pets_34m
from jaxseg.data import decode, folder, geometry, sources
from jaxseg.types import IGNORE, UserError
from tests import cli, quick
from tests.benchmarks.test_gpu import run_blocked


def png(array):
  array = array[..., ::-1] if array.ndim == 3 else array
  return cv2.imencode(".png", array)[1].tobytes()


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
  """The file, of 6 + 5 pictures of 32x32; and the labels of the second."""
  rng = np.random.default_rng(0)
  labels = rng.choice([0, 1, 2, IGNORE], (11, 32, 32)).astype(np.uint8)
  images = rng.integers(0, 256, (11, 32, 32, 3), np.uint8)
  pairs = [(png(a), png(b)) for a, b in zip(images, labels)]
  path = tmp_path_factory.mktemp("squares") / "data.npz"
  about = {"pets": {"classes": ["a", "b", "c"], "palette": [[0, 0, 0]] * 3}}
  splits = {"pets/train": pairs[:6], "pets/test": pairs[6:]}
  data_file.write(path, splits, about)
  return path, images, labels


def test_what_is_written_is_read(squares):
  path, images, labels = squares
  for split, part in (("train", slice(0, 6)), ("test", slice(6, 11))):
    image, label = data_file.read(path, "pets", split)
    assert image.tobytes() == images[part].tobytes()
    assert label.tobytes() == labels[part].tobytes()
  few, _ = data_file.read(path, "pets", "test", 2)
  assert few.tobytes() == images[6:8].tobytes()
  assert data_file.about(path)["pets"]["classes"] == ["a", "b", "c"]


def test_what_is_lacking_is_named(squares, monkeypatch):
  path = squares[0]
  with pytest.raises(UserError, match="no pets/val: it has pets/test, pets/tr"):
    data_file.read(path, "pets", "val")
  with pytest.raises(UserError, match=r"none\.npz does not exist"):
    data_file.read("none.npz", "pets", "train")
  monkeypatch.setitem(sys.modules, "PIL", None)
  with pytest.raises(UserError, match=r"Pillow, which is not installed"):
    data_file.read(path, "pets", "train")


def test_export_keeps_files_and_stretches_others(data, tmp_path):
  spec = folder.folder_spec(
    images=str(data / "images"),
    masks=str(data / "masks"),
    classes="ground,square",
    val_fraction=0.25,
  )
  parts = {
    "kept": export_data.Part({"train": "train"}),
    "small": export_data.Part({"val": "val"}, (24, 20)),
  }
  out = tmp_path / "data.npz"

  specs = dict.fromkeys(parts, spec)
  places = dict.fromkeys(parts, "")
  sizes = export_data.export(out, places, parts, specs, limit_mb=1)
  with pytest.raises(UserError, match=r"more than --limit_mb = 0\.001 \(ke"):
    export_data.export(tmp_path / "b.npz", places, parts, specs, 0.001)
  assert not (tmp_path / "b.npz").exists()
  assert sizes["kept/train"] > sizes["small/val"] > 0
  decoder = decode.decoder_of(spec)
  for name, split, size in (
    ("kept", "train", None),
    ("small", "val", (24, 20)),
  ):
    source = sources.FolderSource(spec.pairs(split))
    images, labels = data_file.read(out, name, split)
    assert len(images) == len(source) > 2
    for i, (image, label) in enumerate(zip(images, labels)):
      want = decoder(source[i], lambda: "x")
      want = geometry.resize(want, size) if size else want
      assert image.tobytes() == want["image"].tobytes()
      assert label.tobytes() == want["label"].tobytes()


def test_the_recipe_is_that_of_the_config():
  c = unet_pets_34m.get_config()
  recipe = gpu_train.RECIPES["unet_pets_34m"]
  assert recipe.batch == c.data.batch_size
  assert recipe.steps == round(c.epochs * 3680 / c.data.batch_size)
  assert recipe.fields == {
    k: c.model[k] for k in ("width", "up", "dropout", "dropout_at")
  }
  values = c.optim.to_dict()
  assert dataclasses.asdict(recipe.optim) == values
  assert recipe.scale == (1.0, 1.0)
  assert c.data.augment == "resize|flip"


def test_without_zoom_pictures_are_whole_and_half_of_them_mirrored():
  rng = np.random.default_rng(1)
  image = rng.integers(0, 256, (40, 9, 12, 3), np.uint8)
  label = rng.integers(0, 5, (40, 9, 12), np.uint8)
  a, b = quick.jit(lambda k: gpu_train.augment(k, image, label, (1.0, 1.0)))(
    jax.random.key(0)
  )
  mirrored = 0
  for i in range(40):
    flip = (np.asarray(b[i]) == label[i, :, ::-1]).all()
    step = -1 if flip else 1
    np.testing.assert_array_equal(a[i], image[i, :, ::step])
    np.testing.assert_array_equal(b[i], label[i, :, ::step])
    mirrored += flip
  assert 10 < mirrored < 30


def test_zoomed_pictures_and_labels_stay_together():
  """Ramps: a bilinear sample of one tells where it was taken."""
  h, w = 40, 60
  rows, columns = np.mgrid[:h, :w]
  image = np.stack([4 * columns, 4 * rows, 0 * rows], -1).astype(np.uint8)
  image, label = (np.stack([x] * 32) for x in (image, columns.astype(np.uint8)))
  a, b = quick.jit(lambda k: gpu_train.augment(k, image, label, (0.5, 2.0)))(
    jax.random.key(3)
  )
  a, b = np.asarray(a).astype(float), np.asarray(b)
  inside = b != IGNORE
  x = a[..., 0] / 4
  # Half a pixel of the nearest label, an eighth of rounding.
  assert np.abs(x - b)[inside].max() <= 0.5 + 0.125 + 1e-3
  assert (a[~inside] == 128).all()
  factors = []
  for picture, known in zip(a, inside):
    ys, xs = np.nonzero(known)
    assert known[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1].all()
    row = picture[ys.min(), xs.min() + 4 : xs.max() - 4, 0] / 4
    slope = abs(np.polyfit(np.arange(len(row)), row, 1)[0])
    column = picture[ys.min() + 4 : ys.max() - 4, xs.min(), 1] / 4
    other = np.polyfit(np.arange(len(column)), column, 1)[0]
    np.testing.assert_allclose(slope, other, atol=0.05)  # one zoom for both
    factors.append(1 / slope)
    # Smaller than the cut: all of it is there, as large as the zoom says.
    if factors[-1] < 0.95:
      assert abs(known.any(0).sum() - w * factors[-1]) <= 2
      assert abs(known.any(1).sum() - h * factors[-1]) <= 2
    elif factors[-1] > 1.05:
      assert known.all()
  assert 0.49 < min(factors) < 0.7
  assert 1.5 < max(factors) < 2.05


def test_every_example_once_an_epoch_in_a_new_order():
  order = gpu_train.indices(0, 10, 4, 6)
  assert order.shape == (6, 4)
  epochs = order.reshape(-1)[:20].reshape(2, 10)
  assert (np.sort(epochs, 1) == np.arange(10)).all()
  assert (epochs[0] != epochs[1]).any()
  np.testing.assert_array_equal(order[:3], gpu_train.indices(0, 10, 4, 3))


def test_a_small_training_from_the_file_alone(squares, tmp_path):
  """Three steps where jax, flax, optax and Pillow are all there is."""
  path, _, labels = squares
  out = run_blocked(
    "benchmarks.gpu_train",
    f"--data={path}",
    f"--out={tmp_path}",
    "--runs=unet_pets_34m",
    "--small",
    but=("PIL",),
  )
  report = json.loads((tmp_path / "unet_pets_34m.json").read_text())
  assert report["steps"] == 3
  assert report["epochs"] == 3 * 2 / 4
  assert [at for at, _ in report["losses"]] == [1, 2, 3]
  # Three classes, random labels: about log 3 as long as nothing is learnt.
  assert all(0.5 < loss < 3 for _, loss in report["losses"])
  scores = report["scores"]
  counted = sum(scores[f"pixels/{name}"] for name in "abc")
  assert counted == (labels[6:10] != IGNORE).sum()  # each once, of 4 of the 5
  assert 0.1 < scores["pixel_accuracy"] < 0.6
  text = (tmp_path / "table.md").read_text()
  assert text in out
  assert f"pixel accuracy {scores['pixel_accuracy']:.3f}" in text
  assert "no accelerator" in out


def test_the_script_of_all_of_it():
  script = pathlib.Path(cli.ROOT, "benchmarks/gpu.sh")
  run = {"capture_output": True, "text": True, "check": False, "cwd": cli.ROOT}
  assert subprocess.run(["bash", script], **run).returncode != 0
  for argv, want in (
    (["o"], ["-m benchmarks.gpu --out=o"]),
    (["o", "--small"], ["-m benchmarks.gpu --out=o --small"]),
    (
      ["o", "d.npz", "--small"],
      [
        "-m benchmarks.gpu --out=o --small",
        "-m benchmarks.gpu_train --data=d.npz --out=o --small",
      ],
    ),
  ):
    done = subprocess.run(
      ["bash", script, *argv], env={"PYTHON": "/bin/echo"}, **run
    )
    assert done.returncode == 0, done.stderr
    told = [x for x in done.stdout.splitlines() if x.startswith("-m")]
    assert told == want
