"""The command line as a user meets it: what works, and each mistake's sentence.

A mistake is exit status 2 and one line on stderr, without a traceback.
"""

import json
import shutil
import subprocess
import sys
import time

import cli
import cv2
import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def server(tmp_path_factory):
  with cli.Server(tmp_path_factory.mktemp("commands")) as server:
    yield server


@pytest.fixture(scope="module")
def data(tmp_path_factory):
  return cli.write_folder(tmp_path_factory.mktemp("commands_data") / "data")


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


def check_refused(server, argv, *parts, timeout=30):
  """Exit status 2, one sentence, and all the parts in it."""
  status, _, err = server.run(argv, timeout)
  assert "Traceback" not in err
  assert status == 2, err
  assert err.startswith("error: "), err
  assert err.count("\n") == 1, err
  for part in parts:
    assert str(part) in err, (part, err)


SIMPLE = {
  "unknown key": (["--config.optim.rl=1"], ["'rl'", "--config.optim.rl"]),
  "unknown model": (["--config.model.name=unett"], ["'unett'", "'unet'"]),
  "unknown data": (["--config.data.name=pet"], ["'pet'", "'pets'"]),
  "unknown task": (["--config.task.name=semantik"], ["'semantic'"]),
  "unknown transform": (["--config.data.augment=flop"], ["'flop'", "flip"]),
  "unknown loss": (["--config.task.losses=('dise',)"], ["'dise'", "'dice'"]),
  "unknown optimizer": (["--config.optim.name=adan"], ["'adan'", "adam"]),
  "wrong type": (["--config.steps=many"], ["steps", "many"]),
  "option the model lacks": (
    ["--config.model.name=fcn8s", "--config.model.depth=3"],
    ["config.model.depth", "it takes"],
  ),
  "no config": (["--config=configs/none.py"], ["configs/none.py"]),
  "mode": (["--mode=trian"], ["trian", "train, eval, predict, export"]),
  "flag": (["--wrkdir=x"], ["wrkdir"]),
  "batch": (
    ["--config.data.batch_size=3"],
    ["batch_size = 3", "2 device", "multiple of 2"],
  ),
  "devices": (["--config.devices=5"], ["config.devices = 5", "2 cpu"]),
  "size": (["--config.data.size=1,2,3"], ["config.data.size"]),
  "image smaller than the network's minimum": (
    [
      "--config.model.padding=valid",
      "--config.model.mirror=False",
      "--config.model.depth=4",
    ],
    ["cannot take 32 pixels", "expected 188"],
  ),
  "logits smaller than the labels": (
    [
      "--config.model.padding=valid",
      "--config.model.mirror=False",
      "--config.model.depth=1",
    ],
    ["'logits' of 16x16", "32x32", "config.model.mirror=True"],
  ),
  "neither": (["--config.steps=0"], ["neither", "config.epochs"]),
  "both": (
    ["--config.epochs=2", "--config.steps=2"],
    ["both", "config.steps"],
  ),
  "never": (["--config.eval.every=0"], ["config.eval.every = 0"]),
  "images": (["--config.data.images=/none"], ["data.images", "/none"]),
  "classes": (["--config.data.classes=one"], ["data.classes", "two"]),
  "argument": (["surplus"], ["'surplus'"]),
  "process": (["--process=1"], ["--coordinator"]),
}


@pytest.mark.parametrize("name", SIMPLE)
def test_mistake(server, data, tmp_path, name):
  changes, parts = SIMPLE[name]
  argv = [*cli.folder_flags(data), f"--workdir={tmp_path}", *changes]
  status, _, err = server.run(
    argv, 30, XLA_FLAGS="--xla_force_host_platform_device_count=2"
  )
  assert "Traceback" not in err
  assert status == 2, err
  assert err.startswith("error: "), err
  assert err.count("\n") == 1, err
  for part in parts:
    assert part in err
  assert not (tmp_path / "metrics.jsonl").exists()


def test_workdir_or_config_missing(server, data):
  check_refused(server, cli.folder_flags(data), "--workdir is missing")
  check_refused(server, ["--workdir=/tmp/x"], "--config is missing")


def test_config_file_with_a_syntax_error(server, tmp_path):
  path = tmp_path / "mine.py"
  path.write_text("def get_config(:\n")
  argv = [f"--config={path}", f"--workdir={tmp_path}"]
  check_refused(server, argv, "SyntaxError", "mine.py", "line 1")
  path.write_text("from jaxseg import nothing\n")
  check_refused(server, argv, "ImportError", "nothing")
  path.write_text(
    "from jaxseg import defaults\ndef get_config():\n"
    "  c = defaults.get_config()\n  c.optim.rl = 1\n  return c\n"
  )
  check_refused(server, argv, "no key 'rl'")


def test_data_that_is_not_there(server, tmp_path):
  """Within seconds, and with what to do: no attempt to download."""
  began = time.time()
  check_refused(
    server,
    [
      "--config=configs/unet_pets.py",
      f"--workdir={tmp_path}",
      f"--config.data.data_dir={tmp_path}",
    ],
    "'pets'",
    tmp_path / "oxford_iiit_pet",
    "python -m jaxseg.data.prepare --dataset=pets",
    "--config.data.data_dir",
    timeout=15,
  )
  assert time.time() - began < 15


def broken(data, tmp_path, name):
  """A copy of the data with one thing wrong; (flags, parts of the error)."""
  copy = shutil.copytree(data, tmp_path / "data")
  image, mask = copy / "images/03.png", copy / "masks/03.png"
  if name == "truncated image":
    image.write_bytes(image.read_bytes()[:300])
    return [image]
  if name == "not an image":
    image.write_text("hello")
    return [image]
  if name == "other size":
    cv2.imwrite(str(mask), np.zeros((16, 20), np.uint8))
    return [image, "32x32", "16x20"]
  if name == "unknown ids":
    bad = np.zeros((32, 32), np.uint8)
    bad[:2, :5], bad[9, 9] = 7, 9
    cv2.imwrite(str(mask), bad)
    return [image, "7 (10 pixels)", "9 (1 pixels)", "config.data.ids"]
  if name == "no masks":
    for path in (copy / "masks").iterdir():
      if path.stem < "05":
        path.unlink()
    return ["4 of 11 images have no mask", "00.png"]
  shutil.rmtree(copy / "images")
  (copy / "images").mkdir()
  return ["no images in", copy / "images"]


@pytest.mark.parametrize(
  "name",
  [
    "truncated image",
    "not an image",
    "other size",
    "unknown ids",
    "no masks",
    "empty folder",
  ],
)
def test_bad_data(server, data, tmp_path, name):
  parts = broken(data, tmp_path, name)
  argv = cli.folder_flags(tmp_path / "data", data__split_dir=tmp_path)
  if name in ("no masks", "empty folder"):
    argv = cli.folder_flags(tmp_path / "data", data__val_fraction=0.01)
  # The bad example is in the training split.
  stems = [path.stem for path in (data / "images").iterdir()]
  (tmp_path / "train.txt").write_text("\n".join(sorted(stems)))
  (tmp_path / "val.txt").write_text("00\n01\n")
  check_refused(server, [*argv, f"--workdir={tmp_path / 'run'}"], *parts)


@pytest.mark.parametrize("mode", ["eval", "predict", "export"])
def test_no_checkpoint(server, data, tmp_path, mode):
  argv = [*cli.folder_flags(data), f"--workdir={tmp_path}", f"--mode={mode}"]
  if mode == "predict":
    argv.append(data / "images")
  check_refused(server, argv, tmp_path, "no checkpoint", "--mode=train")


def test_run_of_another_config(server, data, run):
  workdir, _ = run
  argv = [
    *cli.folder_flags(data, steps=0, epochs=3.0, model__width=3),
    f"--workdir={workdir}",
  ]
  check_refused(
    server, argv, "model.width: 2 in the checkpoint, 3 now", "--workdir"
  )


def test_predict_without_images(server, data, run):
  argv = [*cli.folder_flags(data), f"--workdir={run[0]}", "--mode=predict"]
  check_refused(server, argv, "needs images")
  check_refused(server, [*argv, "/none/*.png"], "/none/*.png")


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
