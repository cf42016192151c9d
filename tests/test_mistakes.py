"""Mistakes on the command line: each is exit status 2 and one sentence."""

import shutil
import time

import cv2
import numpy as np
import pytest

from tests import cli

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
  "variant of none": (
    ["--config=configs/unet_pets.py:small"],
    ["unet_pets.py:small", "no argument after a colon"],
  ),
  "unknown variant": (
    ["--config=configs/lite0_camvid.py:linknte"],
    ["'linknte'", "'linknet'"],
  ),
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
  "decision weights": (
    ["--config.task.decision_weights=(1., 2., 3.)"],
    ["config.task.decision_weights", "3 entries", "2 classes"],
  ),
  "decision weight of zero": (
    ["--config.task.decision_weights=(1., 0.)"],
    ["config.task.decision_weights", "at least 1e-06"],
  ),
  "random field": (
    ["--config.inference.crf.iterations=-1"],
    ["crf iterations = -1", "at least 1"],
  ),
  "random field of another option": (
    [
      "--config.inference.crf.iterations=5",
      "--config.inference.crf.color_deviation=0.",
    ],
    ["crf color_deviation = 0.0", "levels of 255"],
  ),
  "random field behind the network": (
    [
      "--config.model.crf.iterations=5",
      "--config.model.crf.test_iterations=0",
    ],
    ["crf test_iterations = 0"],
  ),
  "convolutions": (
    ["--config.convolutions=cudnn"],
    ["'cudnn'", "auto, direct, xla"],
  ),
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


def test_unknown_normalization(server):
  argv = ["--config=configs/lite0_camvid.py", "--mode=summary"]
  argv.append("--config.model.encoder.normalization=bytes")
  cli.check_refused(server, argv, "'bytes'", "'imagenet'")


def test_workdir_or_config_missing(server, data):
  cli.check_refused(server, cli.folder_flags(data), "--workdir is missing")
  cli.check_refused(server, ["--workdir=/tmp/x"], "--config is missing")


def test_config_file_with_a_syntax_error(server, tmp_path):
  path = tmp_path / "mine.py"
  path.write_text("def get_config(:\n")
  argv = [f"--config={path}", f"--workdir={tmp_path}"]
  cli.check_refused(server, argv, "SyntaxError", "mine.py", "line 1")
  path.write_text("from jaxseg import nothing\n")
  cli.check_refused(server, argv, "ImportError", "nothing")
  path.write_text(
    "from jaxseg import defaults\ndef get_config():\n"
    "  c = defaults.get_config()\n  c.optim.rl = 1\n  return c\n"
  )
  cli.check_refused(server, argv, "no key 'rl'")


def test_data_that_is_not_there(server, tmp_path):
  """Within seconds, and with what to do: no attempt to download."""
  began = time.time()
  cli.check_refused(
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
  cli.check_refused(server, [*argv, f"--workdir={tmp_path / 'run'}"], *parts)


@pytest.mark.parametrize("mode", ["eval", "predict", "export"])
def test_no_checkpoint(server, data, tmp_path, mode):
  argv = [*cli.folder_flags(data), f"--workdir={tmp_path}", f"--mode={mode}"]
  if mode == "predict":
    argv.append(data / "images")
  cli.check_refused(server, argv, tmp_path, "no checkpoint", "--mode=train")
