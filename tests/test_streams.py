"""Frames in, depth out, one by one; and what is said of bad input."""

import json
import types as namespaces

import cv2
import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from rich.console import Console

from jaxseg import build, clips, defaults, run
from jaxseg.data import cameras, images, sequences
from jaxseg.models.m4depth import M4Depth
from jaxseg.tasks import VideoDepth
from jaxseg.types import UserError
from tests import quick, tiny

SIZE, FRAMES = (24, 32), 5
TASK = VideoDepth(0.01, 900.0)
RNG = np.random.default_rng(0)


def pose(t):
  out = np.eye(4)
  c, s = np.cos(0.02 * t), np.sin(0.02 * t)
  out[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
  out[:3, 3] = [0.2 * t, 0.03 * t * t, 0.1 * t]
  return out


def write_stream(folder, n=FRAMES):
  """Frames 8, 9, 10, 11 ...: names in the order of numbers, not of letters."""
  (folder / "rgb").mkdir(parents=True)
  h, w = (2 * k for k in SIZE)
  camera = {"width": w, "height": h, "fx": 60, "fy": 62, "cx": 31, "cy": 25}
  (folder / "camera.json").write_text(json.dumps(camera))
  lines = ["frame," + ",".join(cameras.COLUMNS)]
  for t in range(n):
    picture = cv2.resize(
      RNG.integers(0, 256, (6, 8, 3)).astype(np.uint8), (w, h)
    )
    cv2.imwrite(str(folder / f"rgb/{t + 8}.png"), picture)
    lines.append(
      f"{t + 8}," + ",".join(map(repr, pose(t)[:3].ravel().tolist()))
    )
  lines[1:] = lines[:0:-1]  # the order of the table does not matter
  (folder / "poses.csv").write_text("\n".join(lines) + "\n")
  return folder


@pytest.fixture(scope="module")
def built():
  """(experiment, variables): a small network with random weights."""
  model = M4Depth({"depth": 1}, **tiny.CLIP_TINY["m4depth"])
  experiment = namespaces.SimpleNamespace(model=model, task=TASK, size=SIZE)
  inputs = [np.ones(s, "f4") for s in ((1, 2, *SIZE, 3), (1, 2, 4))]
  motion = np.tile(np.eye(4, dtype="f4"), (1, 2, 1, 1))
  shapes = jax.eval_shape(
    lambda *x: model.init(jax.random.key(0), *x, train=False), *inputs, motion
  )
  rng = np.random.default_rng(0)
  return experiment, jax.tree.map(
    lambda x: (0.4 * rng.normal(size=x.shape)).astype("f4"), shapes
  )


def config_of(**predict):
  c = defaults.get_config()
  c.task.name, c.model.name = "video_depth", "m4depth"
  c.data.step = predict.pop("step", 1)
  for key, value in predict.items():
    c.predict[key] = value
  return c


def stream(built, folder, out, **options):
  return clips.predict(
    config_of(**options), *built, [str(folder)], str(out), Console(quiet=True)
  )


@pytest.mark.parametrize("step", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_stream_of_files_is_a_clip(built, step, tmp_path):
  """By brute force: the clip at once, resized and scaled by hand."""
  folder, out = write_stream(tmp_path / "in"), tmp_path / "out"
  assert stream(built, folder / "rgb", out, step=step) == FRAMES
  experiment, variables = built
  apply = quick.jit(lambda v, *x: experiment.model.apply(v, *x, train=False))
  for phase in range(step):
    chosen = list(range(phase, FRAMES, step))
    pixels = [
      cv2.resize(
        images.read_image(folder / f"rgb/{t + 8}.png"),
        SIZE[::-1],
        interpolation=cv2.INTER_AREA,
      )
      for t in chosen
    ]
    image = np.stack(pixels)[None].astype("f4") / 255
    camera = np.float32([[30, 31, 15.5, 12.5]])
    motion = sequences.motions(np.stack([pose(t) for t in chosen]))[None]
    want = np.exp(apply(variables, image, camera, motion)["depth"])[0, ..., 0]
    want = want.clip(0.01, 900)
    for t, small in list(zip(chosen, want))[1:]:
      got = np.load(out / f"{t + 8}.npy")
      assert got.shape == tuple(2 * k for k in SIZE)
      np.testing.assert_allclose(got[::2, ::2], small, rtol=2e-4)
      np.testing.assert_array_equal(got[::2, ::2], got[1::2, 1::2])
  for t in range(step):  # nothing is known yet
    assert (np.load(out / f"{t + 8}.npy") == 0).all()


def test_files_of_a_stream(built, tmp_path):
  folder, out = write_stream(tmp_path / "in"), tmp_path / "out"
  stream(built, folder / "rgb", out, limit=3)
  names = sorted(p.name for p in out.iterdir())
  want = {f"{t}{e}" for t in (8, 9, 10) for e in (".npy", ".png", "_depth.jpg")}
  assert names == sorted(want | {"contact_sheet.jpg"})
  for t in (9, 10):
    depth = np.load(out / f"{t}.npy")
    stored = cv2.imread(str(out / f"{t}.png"), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    want = np.where(depth > 65.535, 0, np.rint(depth * 1000))
    np.testing.assert_array_equal(stored, want)
    shown = images.read_image(out / f"{t}_depth.jpg")
    assert shown.shape == (depth.shape[0], depth.shape[1] + 64, 3)  # a scale
    assert np.ptp(shown[:, -64:].astype(int), -1).max() > 100  # in colours
  nothing = images.read_image(out / "8_depth.jpg").astype(int)
  assert np.ptp(nothing, -1).max() < 20  # the grey picture alone


def spoil_short(folder):
  for t in range(1, FRAMES):
    (folder / f"rgb/{t + 8}.png").unlink()
  return r"holds 1 frame\(s\): expected at least 2", {}


def spoil_limit(folder):
  return r"holds 5 frame\(s\): expected at least 9.*limit asks for 9", {
    "limit": 9
  }


def spoil_camera(folder):
  (folder / "camera.json").unlink()
  return r"camera.json is not there, and without intrinsics", {}


def spoil_named_camera(folder):
  return r"none.json is not there", {"camera": str(folder / "none.json")}


def spoil_shape(folder):
  camera = json.loads((folder / "camera.json").read_text())
  camera["width"] *= 2
  (folder / "camera.json").write_text(json.dumps(camera))
  return r"of another shape", {}


def spoil_poses(folder):
  (folder / "poses.csv").unlink()
  return r"poses.csv is not there, and without poses", {}


def spoil_frame(folder):
  path = folder / "poses.csv"
  path.write_text(path.read_text().replace("\n10,", "\n99,"))
  return r"no pose of the frame '10'", {}


def spoil_rotation(folder):
  path = folder / "poses.csv"
  path.write_text(path.read_text().replace("\n8,1.0,", "\n8,1.5,"))
  return r"poses.csv line 6: .*no rotation", {}


def spoil_split(folder):
  return "streams one folder", {"split": "test"}


def spoil_out(folder):
  return "would overwrite an input", {}


@pytest.mark.parametrize(
  "spoil",
  [v for k, v in sorted(globals().items()) if k.startswith("spoil_")],
)
def test_mistakes(spoil, tmp_path):
  """Said before anything is computed, but for the shape of the images."""
  folder = write_stream(tmp_path / "in")
  says, options = spoil(folder)
  out = folder / "rgb" if spoil is spoil_out else tmp_path / "out"
  experiment = namespaces.SimpleNamespace(model=None, task=TASK, size=SIZE)
  with pytest.raises(UserError, match=says) as error:
    stream((experiment, None), folder / "rgb", out, **options)
  assert "\n" not in str(error.value)


def test_how_sequences_are_cut():
  moving = ("image", "depth", "camera", "motion")
  c = config_of()
  assert clips.options(c, moving, training=True).frames == 4
  assert clips.options(c, moving, training=True).overlap
  assert clips.options(c, moving[:2], training=False) is None
  c.data.frames, c.data.eval_frames, c.data.step = 3, 9, 2
  got = clips.options(c, moving, training=False)
  assert (got.frames, got.step, got.overlap) == (9, 2, False)
  # Single images: all to train on, the later ones of clips to evaluate.
  assert clips.options(c, moving[:2], training=True) is None
  assert clips.options(c, moving[:2], training=False).frames == 9
  c.data.frames = None
  with pytest.raises(UserError, match="are of clips"):
    clips.options(c, moving[:2], training=True)


def test_networks_and_tasks_that_do_not_fit():
  for model, task in (("unet", "video_depth"), ("m4depth", "depth")):
    c = defaults.get_config()
    c.model.name, c.task.name = model, task
    with pytest.raises(UserError, match=r"reads image.* gives image"):
      build.experiment(c, with_data=False)
  c = defaults.get_config()
  c.model.encoder.name, c.task.name = "resnet18", "video_depth"
  with pytest.raises(UserError, match="'unet' reads image, and"):
    build.experiment(c, with_data=False)


def test_export_is_refused(tmp_path):
  with pytest.raises(UserError, match=r"reads image, camera, motion"):
    run.export(ConfigDict(config_of()), str(tmp_path))
