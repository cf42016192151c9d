"""The command line as a user meets it: what works, and each mistake's sentence.

A mistake is exit status 2 and one line on stderr, without a traceback.
"""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from jaxseg import predict
from tests import cli


def training(data, workdir):
  """Two epochs, with everything switched on."""
  return [
    *cli.folder_flags(
      data, steps=0, epochs=2.0, log_every=2, tensorboard=True, audit=True
    ),
    f"--workdir={workdir}",
  ]


@pytest.fixture(scope="module")
def run(server, data):
  """A trained workdir, with what training printed."""
  workdir = data.parent / "run"
  status, out, err = server.run(training(data, workdir))
  assert status == 0, err
  return workdir, out


def test_run_of_another_config(server, data, run):
  workdir, _ = run
  argv = [
    *cli.folder_flags(data, steps=0, epochs=3.0, model__width=3),
    f"--workdir={workdir}",
  ]
  cli.check_refused(
    server, argv, "model.width: 2 in the checkpoint, 3 now", "--workdir"
  )


def test_predict_without_images(server, data, run):
  argv = [*cli.folder_flags(data), f"--workdir={run[0]}", "--mode=predict"]
  cli.check_refused(server, argv, "needs images")
  cli.check_refused(server, [*argv, "/none/*.png"], "/none/*.png")


def test_summary_wants_neither_data_nor_workdir(server):
  argv = ["--config=configs/fcn8s_cityscapes.py", "--mode=summary"]
  status, out, err = server.run(argv)
  assert status == 0, err
  assert "134,353,017 parameters" in out
  assert "encoder" in out


def test_training_tells_what_it_does(run):
  workdir, out = run
  assert "training labels, 11 masks" in out
  assert "loss" in out
  lines = cli.metrics(workdir)
  # Eleven examples in batches of four, twice: six steps.
  train = [line for line in lines if line["split"] == "train"]
  assert [line["step"] for line in train] == [2, 4, 6]
  assert all(line["loss"] > 0 for line in train)
  val = [line for line in lines if line["split"] == "val"]
  assert [line["step"] for line in val] == [6]
  assert all(line["compilations"] == 1 for line in lines)
  assert "Compiled: the train step 1 time(s), the eval step 1 time(s)." in out
  want = {"miou", "pixel_accuracy", "iou/ground", "iou/square"}
  assert want <= val[0].keys()
  config = json.loads((workdir / "config.json").read_text())
  assert config["epochs"] == 2.0
  assert config["model"]["width"] == 2
  assert list(workdir.glob("tensorboard/*/events*"))


def test_eval_prints_a_table_and_writes_a_line(server, data, run):
  workdir, _ = run
  before = cli.metrics(workdir)
  argv = [*cli.folder_flags(data), f"--workdir={workdir}", "--mode=eval"]
  status, out, err = server.run(argv)
  assert status == 0, err
  assert "square" in out
  assert "pixel accuracy" in out
  after = cli.metrics(workdir)
  assert after[:-1] == before
  # The same checkpoint on the same split: the line that training wrote.
  assert after[-1] == next(x for x in before if x["split"] == "val")


def odd_inputs(folder):
  """name -> (h, w) as a viewer shows it."""
  folder.mkdir()
  rng = np.random.default_rng(0)
  rgb = rng.integers(0, 256, (20, 37, 3), np.uint8)
  picture = Image.fromarray(rgb)
  alpha = Image.fromarray(np.dstack([rgb, rgb[..., :1]]))
  alpha.save(folder / "rgba.png")
  picture.quantize(16).save(folder / "palette.png")
  picture.convert("L").save(folder / "grey.png")
  picture.save(folder / "jpeg.JPG", quality=90)
  cv2.imwrite(str(folder / "deep.png"), rgb.astype(np.uint16) * 257)
  exif = Image.Exif()
  exif[0x0112] = 6  # a quarter turn
  picture.save(folder / "turned.jpg", exif=exif.tobytes())
  sizes = dict.fromkeys(("rgba", "palette", "grey", "jpeg", "deep"), (20, 37))
  return {**sizes, "turned": (37, 20)}


def test_predict_keeps_the_size_of_all_kinds_of_images(
  server, data, run, tmp_path
):
  sizes = odd_inputs(tmp_path / "in")
  argv = [
    *cli.folder_flags(data),
    f"--workdir={run[0]}",
    "--mode=predict",
    f"--config.predict.out={tmp_path / 'out'}",
    tmp_path / "in",
  ]
  status, _, err = server.run(argv)
  assert status == 0, err
  for name, size in sizes.items():
    picture = Image.open(tmp_path / "out" / f"{name}.png")
    assert picture.mode == "P", name
    assert picture.size == size[::-1], name
    assert set(np.unique(picture)) <= {0, 1}


def test_export_writes_an_artifact_that_agrees(server, data, run):
  workdir, _ = run
  argv = [*cli.folder_flags(data), f"--workdir={workdir}", "--mode=export"]
  status, _, err = server.run(argv)
  assert status == 0, err
  (artifact,) = workdir.glob("export/*.stablehlo")
  (sidecar,) = workdir.glob("export/*.json")
  assert artifact.stat().st_size > 1000
  assert "square" in json.dumps(json.loads(sidecar.read_text()))


def test_an_artifact_for_any_size_predicts_what_mode_predict_predicts(
  server, data, run, tmp_path
):
  workdir = run[0]
  sizes = odd_inputs(tmp_path / "in")
  resized = cli.folder_flags(data, data__eval="resize")
  flags = [*resized, f"--workdir={workdir}"]
  argv = [*flags, "--mode=export", "--config.export.sizes=any"]
  status, _, err = server.run(argv)
  assert status == 0, err
  argv = [*flags, "--mode=predict", tmp_path / "in"]
  status, _, err = server.run(
    [*argv, f"--config.predict.out={tmp_path / 'live'}"]
  )
  assert status == 0, err
  artifact = workdir / "export/unet_folder_any.stablehlo"
  served = [artifact, tmp_path / "in", "--out", tmp_path / "served"]
  assert predict.main(list(map(str, served))) == 0
  for name, size in sizes.items():
    live = np.array(Image.open(tmp_path / "live" / f"{name}.png"))
    got = np.array(Image.open(tmp_path / "served" / f"{name}.png"))
    assert got.shape == size
    # Resizing rounds a level up or down, and decoders of JPEG differ by one.
    assert (got != live).mean() < 0.02, name
  refused = [*flags, "--mode=export", "--config.export.sizes=all"]
  cli.check_refused(server, refused, "'all'", "'any'")


def test_training_without_tensorflow(server, data, run, tmp_path):
  """A `tensorflow` that cannot be imported, first on the path."""
  fake = tmp_path / "path" / "tensorflow"
  fake.mkdir(parents=True)
  (fake / "__init__.py").write_text("raise ImportError('no TensorFlow here')")
  env = cli.environment(
    PYTHONPATH=f"{fake.parent}:{cli.ROOT}",
    JAX_COMPILATION_CACHE_DIR=server.compiled,
  )
  done = subprocess.run(
    [sys.executable, "-m", "jaxseg.main", *training(data, tmp_path)],
    cwd=cli.ROOT,
    env=env,
    capture_output=True,
    text=True,
    timeout=120,
  )
  assert done.returncode == 0, done.stderr
  assert cli.without_speed(cli.metrics(tmp_path)) == cli.without_speed(
    cli.metrics(run[0])[:4]  # what --mode=eval adds comes after
  )
  assert list(tmp_path.glob("tensorboard/*/events*"))
