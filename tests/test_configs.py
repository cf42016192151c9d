"""Every shipped config builds, counts right, and runs on a miniature."""

import dataclasses
import functools
import importlib.util
import itertools
import pathlib
import re

import cv2
import jax
import numpy as np
import pytest

from jaxseg import build, defaults, encoders, models, networks, train
from jaxseg.models import kit
from jaxseg.state import count
from jaxseg.types import UserError
from jaxseg.weights.published import PUBLISHED
from tests import quick, tiny
from tests.config_counts import COUNTS

ROOT = pathlib.Path(__file__).parent.parent
CONFIGS = sorted((ROOT / "configs").glob("*.py"))


def module_of(path):
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


# Methods without parameters: tests/methods has them.
UNLEARNED = {"gpb_bsds", "mcg_bsds", "slic_bsds", "ucm_bsds"}
# (file, what --config=FILE:NAME has behind the colon)
CASES = [
  pytest.param(path, name, id=":".join(filter(None, (path.stem, name))))
  for path in CONFIGS
  if path.stem not in UNLEARNED
  for name in getattr(module_of(path), "VARIANTS", (None,))
]
# Auxiliary heads and the poly schedule, another task. The others run among the
# slow tests.
SOON = {
  "deeplabv3_resnet50_cityscapes",
  "unet_camvid",
  "unet_scenes",
  "unet_scenes_depth",
}
RUNS = [
  pytest.param(
    *c.values, marks=() if c.id in SOON else pytest.mark.slow, id=c.id
  )
  for c in CASES
]


def load(path, variant=None):
  get_config = module_of(path).get_config
  config = get_config(variant) if variant else get_config()
  if path.stem == "unet_folder":
    config.data.images, config.data.masks = "images", "masks"
    config.data.classes = "ground,cat"
    config.data.val_fraction = 0.2
  return config


class Miniature:
  """Six examples in the encoding of a data set."""

  def __init__(self, spec, keys):
    self.keys = keys
    self.ids = list(spec.label_table) or [0]
    self.points = len(spec.points.names) if getattr(spec, "points", 0) else 1

  def __len__(self):
    return 6

  def __getitem__(self, index):
    rng = np.random.default_rng(index)
    image = rng.integers(0, 256, (40, 48, 3), np.uint8)
    mask = rng.choice(self.ids, (40, 48)).astype(np.uint8)
    things = np.zeros((40, 48), np.uint8)
    things[5:20, 8:30] = 1
    people = (rng.random((3, 40, 48)) < 0.2).astype(np.uint8)
    fields = {
      "image": cv2.imencode(".png", image)[1].tobytes(),
      "label": cv2.imencode(".png", mask)[1].tobytes(),
      "instance": cv2.imencode(".png", things)[1].tobytes(),
      "depth": rng.uniform(1, 20, (40, 48)).astype(np.float32),
      "normal": np.full((40, 48, 3), [0, 0.6, -0.8], np.float32),
      "keypoints": rng.uniform(1, 39, (1, self.points, 3)).astype(np.float32),
      "boundary": cv2.imencode(".png", people.reshape(-1, 48))[1].tobytes(),
      "region": cv2.imencode(".png", mask)[1].tobytes(),
      "camera": np.float32([40, 40, 24, 20]),
    }
    return {key: fields[key] for key in self.keys}

  def name_of(self, index):
    return f"miniature {index}"


class MiniatureClips:
  """Clips of its images; the camera goes to the right."""

  def __init__(self, stills, frames):
    self.stills, self.frames = stills, frames

  def __len__(self):
    return len(self.stills)

  def __getitem__(self, index):
    motion = np.eye(4, dtype=np.float32)
    motion[0, 3] = 0.3
    return [
      {**self.stills[index + t], "motion": motion} for t in range(self.frames)
    ]

  def name_of(self, index):
    return self.stills.name_of(index)


@pytest.fixture
def miniatures(monkeypatch):
  """Opens a Miniature in place of every data set."""

  def open_source(spec, split, data_dir, keys, clips):
    del split, data_dir
    if "motion" in keys:
      return MiniatureClips(Miniature(spec, keys[:-1]), clips.frames)
    return Miniature(spec, keys)

  monkeypatch.setattr(build.sources, "open_source", open_source)


@pytest.mark.parametrize(("path", "variant"), CASES)
def test_counts_and_header(path, variant, miniatures, request):
  config = load(path, variant)
  config.data.batch_size = config.eval.batch_size = 8
  config.accumulate = 1
  built = build.experiment(config)
  # A published network keeps its own decoder; see networks.make_model.
  on_kit = "lite0" in path.stem or path.stem in (
    "drone_landing",
    "multi_scenes",
  )
  assert isinstance(built.model, kit.EncoderDecoder) == on_kit
  params = built.abstract_state().params
  header = path.read_text().split('"""')[1]
  case = request.node.callspec.id
  if case in COUNTS:
    assert count(params) == COUNTS[case]
    if not path.stem.startswith("unet_scenes"):
      assert f"{count(params):,} parameters" in " ".join(header.split())
  if variant != next(iter(getattr(module_of(path), "VARIANTS", {None: 0}))):
    assert all(word in header for word in variant.split("-"))
  for word in ("Command:", "Data:", "--config=configs/" + path.name):
    assert word in header


def test_every_number_is_of_a_config():
  assert {case.id for case in CASES} >= set(COUNTS) | SOON


def test_unknown_variant():
  with pytest.raises(UserError, match=r"'linknte'.*Did you mean 'linknet'"):
    load(ROOT / "configs/lite0_camvid.py", "linknte")


def test_every_published_network_has_a_config():
  named = {load(*case.values).model.name for case in CASES}
  # One file for both depths of a ResNet says how to change it.
  named |= {name.replace("resnet50", "resnet101") for name in named}
  assert named >= set(models.MODELS) | set(models.CLIP_MODELS)


def test_every_weight_that_a_config_names_is_known():
  wanted = {load(*case.values).model.encoder.weights for case in CASES}
  wanted -= {None}
  assert {"efficientnet_lite0", "resnet50"} <= wanted <= set(PUBLISHED)


@pytest.fixture
def small_networks(monkeypatch):
  """Makes all networks and encoders tiny; what a config sets still holds."""
  entries = {
    name: dataclasses.replace(
      entry,
      fields={
        **entry.fields,
        **{k: v for k, v in tiny.TINY[name].items() if k != "zero_init"},
      },
    )
    for name, entry in models.MODELS.items()
  }
  clip_entries = {
    name: dataclasses.replace(entry, fields=tiny.CLIP_TINY[name])
    for name, entry in models.CLIP_MODELS.items()
  }
  # One encoder stands for all: with the real ones compiling takes minutes.
  small = functools.partial(encoders.ENCODERS["resnet18"], **tiny.RESNET)
  monkeypatch.setattr(jax, "jit", quick.jit)  # two steps are run
  monkeypatch.setattr(networks, "MODELS", entries)
  monkeypatch.setattr(networks, "CLIP_MODELS", clip_entries)
  monkeypatch.setattr(
    networks, "ENCODERS", dict.fromkeys(encoders.ENCODERS, small)
  )


def shrink(config):
  """The config on the miniature: small sizes, two steps, no weights."""
  model = config.model
  kit_of = model.encoder.name and model.name in models.KIT
  small = {**tiny.TINY, **tiny.CLIP_TINY}
  fields = tiny.DECODERS[model.name] if kit_of else small[model.name]
  for key, value in fields.items():
    if kit_of or (key != "encoder" and model.get(key) is not None):
      model[key] = value
  model.weights = model.encoder.weights = None
  model.missing = ()
  if model.encoder.get("multi_grid"):
    model.encoder.multi_grid = model.encoder.multi_grid[:1]  # of one block
  # Windows and sizes of the real images: the network's own instead.
  config.data.augment = re.sub(
    r"(crop|resize)\([^)]*\)", r"\1", config.data.augment
  )
  config.data.size = config.inference.window = (40, 48)
  config.data.batch_size = config.eval.batch_size = 2
  config.accumulate = config.devices = 1
  config.epochs, config.steps = None, 2
  config.optim.warmup_steps = 1
  config.tensorboard = False


@pytest.mark.parametrize(("path", "variant"), RUNS)
def test_runs_on_a_miniature(
  path, variant, miniatures, small_networks, tmp_path, monkeypatch
):
  config = load(path, variant)
  shrink(config)
  built = build.experiment(config)
  first = {}
  create = type(built).initial_state

  def initial_state(self, *args):
    state = create(self, *args)
    first.update(jax.device_get(state.params))  # the step donates them
    return state

  monkeypatch.setattr(type(built), "initial_state", initial_state)
  state, result = train.train(built, tmp_path)
  assert int(state.step) == 2
  assert np.isfinite(result[built.best[0]])
  moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), state.params, first)
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
    (ROOT / "jaxseg" / name).read_text()
    for name in (
      "build.py",
      "clicked.py",
      "clips.py",
      "networks.py",
      "run.py",
      "unlearned.py",
    )
  )
  # Read as a section.
  whole = {"application", "method", "optim", "inference", "model", "task"}
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
