"""Every shipped config builds, counts right, and runs on a miniature."""

import importlib.util
import itertools
import pathlib

import cv2
import jax
import numpy as np
import pytest

from jaxseg import build, defaults, train
from jaxseg.state import count
from jaxseg.types import UserError

ROOT = pathlib.Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs").glob("*.py"))


def unet_count(width, classes, depth=4):
  """U-Net with BatchNorm: 3x3 convolutions without bias, 2x2 up with one."""

  def double(a, b):
    return 9 * a * b + 9 * b * b + 2 * 2 * b

  c = [width * 2**i for i in range(depth + 1)]
  down = double(3, c[0]) + sum(double(c[i], c[i + 1]) for i in range(depth))
  up = sum(
    4 * c[i + 1] * c[i] + c[i] + double(2 * c[i], c[i]) for i in range(depth)
  )
  return down + up + c[0] * classes + classes


# Parameters, as the header of the config has them.
COUNTS = {
  "fcn8s_cityscapes": 134_353_017,
  "unet_camvid": unet_count(16, 11),
  "unet_pets": unet_count(16, 3, 5),  # 7,778,643
  "unet_pets_34m": 34_513_475,
  "unet_scenes": unet_count(16, 8),
  "unet_scenes_depth": unet_count(16, 1),
}


def load(path):
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  config = module.get_config()
  if path.stem == "unet_folder":
    config.data.images, config.data.masks = "images", "masks"
    config.data.classes = "ground,cat"
    config.data.val_fraction = 0.2
  return config


class Miniature:
  """Six examples in the encoding of a data set."""

  def __init__(self, spec, keys):
    self.keys = keys
    self.ids = list(spec.label_table)

  def __len__(self):
    return 6

  def __getitem__(self, index):
    rng = np.random.default_rng(index)
    image = rng.integers(0, 256, (40, 48, 3), np.uint8)
    mask = rng.choice(self.ids, (40, 48)).astype(np.uint8)
    fields = {
      "image": cv2.imencode(".png", image)[1].tobytes(),
      "label": cv2.imencode(".png", mask)[1].tobytes(),
      "depth": rng.uniform(1, 20, (40, 48)).astype(np.float32),
    }
    return {key: fields[key] for key in self.keys}

  def name_of(self, index):
    return f"miniature {index}"


@pytest.fixture
def miniatures(monkeypatch):
  """Opens a Miniature in place of every data set."""

  def open_source(spec, split, data_dir, keys):
    del split, data_dir
    return Miniature(spec, keys)

  monkeypatch.setattr(build.sources, "open_source", open_source)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_counts_and_header(path, miniatures):
  config = load(path)
  config.data.batch_size = config.eval.batch_size = 8
  built = build.experiment(config)
  params = built.abstract_state().params
  if path.stem in COUNTS:
    assert count(params) == COUNTS[path.stem]
  header = path.read_text().split('"""')[1]
  for word in ("Command:", "Data:", "--config=configs/" + path.name):
    assert word in header


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_runs_on_a_miniature(path, miniatures, tmp_path):
  config = load(path)
  config.model.width = 2
  if config.model.name.startswith("fcn"):
    config.model.fc_width = 8
  else:
    config.model.depth = 1
  config.data.augment = config.data.augment.replace("crop(512, 1024)", "crop")
  config.data.augment = config.data.augment.replace("crop(176, 240)", "crop")
  config.data.size = (40, 48)
  config.data.batch_size = config.eval.batch_size = 2
  config.devices = 1
  config.epochs, config.steps = None, 2
  config.optim.warmup_steps = 1
  config.tensorboard = False
  built = build.experiment(config)
  state, result = train.train(built, tmp_path)
  assert int(state.step) == 2
  assert np.isfinite(result[built.best[0]])
  moved = jax.tree.map(
    lambda a, b: bool(np.any(np.asarray(a) != np.asarray(b))),
    state.params,
    built.initial_state().params,
  )
  assert any(jax.tree.leaves(moved))


def test_every_key_is_read_or_refused(miniatures):
  """A key that the chosen model, task or loss lacks is an error."""
  for key, value, says in (
    ("model.fc_width", 3, "not an option of UNet"),
    ("task.min_m", 3.0, "not an option of Semantic"),
    ("data.images", "x", "kind 'folder' only"),
    ("data.ids", (1,), "kind 'folder' only"),
  ):
    config = load(ROOT / "configs/unet_scenes.py")
    section, name = key.split(".")
    config[section][name] = value
    with pytest.raises(UserError, match=says):
      build.experiment(config)
  config = load(ROOT / "configs/unet_scenes.py")
  config.task.losses = ("dice",)
  config.task.label_smoothing = 0.1
  with pytest.raises(UserError, match="label_smoothing is an option of cross"):
    build.experiment(config)


def test_every_default_key_is_read_somewhere():
  """No dead keys: each name of defaults.py stands in the code that builds."""
  code = "".join(
    (ROOT / "jaxseg" / name).read_text() for name in ("build.py", "run.py")
  )
  whole = {"optim", "inference", "model", "task"}  # read as a section
  dead = []
  for key, value in defaults.get_config().items():
    if key in whole:
      continue
    names = value.keys() if hasattr(value, "keys") else [key]
    for name in names:
      ways = (f".{name}", f'"{name}"', f'"{key}.{name}"')
      split = name.removesuffix("_split") in ("train", "val", "test")
      if not any(way in code for way in ways) and not split:
        dead.append(f"{key}.{name}")
  assert not dead


def test_epochs_become_steps_once(miniatures):
  config = load(ROOT / "configs/unet_scenes.py")
  config.data.batch_size = 8
  config.eval.batch_size = 8
  config.steps, config.epochs = None, 4
  assert build.experiment(config).steps == 3  # 4 * 6 / 8
  config.steps = 5
  with pytest.raises(UserError, match="both of config"):
    build.experiment(config)


def test_same_seed_same_parameters_another_seed_others(miniatures):
  config = load(ROOT / "configs/unet_scenes.py")
  config.model.width, config.model.depth = 2, 1
  config.data.batch_size = config.eval.batch_size = 8
  states = []
  for seed in (0, 0, 1):
    config.seed = seed
    states.append(build.experiment(config).initial_state().params)
  same = jax.tree.map(lambda a, b: bool((a == b).all()), states[0], states[1])
  other = jax.tree.map(lambda a, b: bool((a == b).all()), states[0], states[2])
  assert all(jax.tree.leaves(same))
  assert not all(jax.tree.leaves(other))


def test_config_files_do_not_share_state():
  for a, b in itertools.pairwise([defaults.get_config() for _ in range(2)]):
    a.optim.lr = 7.0
    assert b.optim.lr != 7.0
