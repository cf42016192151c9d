"""Clips: which frames, which motion, and transforms checked by geometry."""

import dataclasses
import itertools

import numpy as np
import pytest

from jaxseg.data import (
  cache,
  decode,
  pipeline,
  prepare,
  sequences,
  sources,
  transforms,
)
from jaxseg.data.builders import scenes as scenes_builder
from jaxseg.data.datasets import PETS, SCENES_CLIPS
from jaxseg.data.sequences import ClipOptions
from jaxseg.types import UserError

SIZE = (48, 64)
KEYS = ("image", "depth", "camera", "motion")


def test_windows_by_hand():
  assert sequences.windows([5, 3], ClipOptions(3, 1)) == [
    (0, 1, 2),
    (1, 2, 3),
    (2, 3, 4),
    (5, 6, 7),
  ]
  assert sequences.windows([5, 4], ClipOptions(2, 3)) == [
    (0, 3),
    (1, 4),
    (5, 8),
  ]
  # Interleaved by the step, then cut.
  assert sequences.windows([9], ClipOptions(2, 2, overlap=False)) == [
    (0, 2),
    (1, 3),
    (4, 6),
    (5, 7),
  ]
  assert sequences.windows([7, 2], ClipOptions(3, 1, overlap=False)) == [
    (0, 1, 2),
    (3, 4, 5),
  ]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_windows_stay_in_their_sequence(step):
  lengths = [11, 4, 7, 30]
  of = np.repeat(np.arange(4), lengths)
  for overlap in (False, True):
    clips = sequences.windows(lengths, ClipOptions(3, step, overlap))
    for clip in clips:
      assert len({of[i] for i in clip}) == 1
      assert set(np.diff(clip)) == {step}
    used = list(itertools.chain(*clips))
    if overlap:
      starts = sum(max(n - 2 * step, 0) for n in lengths)
      assert len(clips) == len(set(clips)) == starts
    else:
      assert len(used) == len(set(used))
      # Of every interleaved sequence fewer frames than a clip are left.
      assert sum(lengths) - len(used) <= 2 * step * len(lengths)


def test_later_frames_are_all_but_the_first_of_each_clip():
  clips = sequences.windows([50], ClipOptions(25, 2, overlap=False))
  assert sequences.later(clips) == list(range(2, 50))
  clips = sequences.windows([8, 8], ClipOptions(8, 1, overlap=False))
  assert sequences.later(clips) == [*range(1, 8), *range(9, 16)]


def test_too_short_sequences_are_refused():
  with pytest.raises(UserError, match=r"at least 7 frames.*longest has 6"):
    sequences.windows([6, 2], ClipOptions(4, 2))
  with pytest.raises(UserError, match="at least 2 frames"):
    ClipOptions(1)
  with pytest.raises(UserError, match=r"step = 0"):
    ClipOptions(4, 0)


def test_motion_takes_points_to_the_previous_camera():
  rng = np.random.default_rng(0)
  turns = np.linalg.qr(rng.normal(size=(4, 3, 3)))[0]
  turns *= np.linalg.det(turns)[:, None, None]
  poses = np.tile(np.eye(4), (4, 1, 1))
  poses[:, :3, :3], poses[:, :3, 3] = turns, 100 * rng.normal(size=(4, 3))
  got = sequences.motions(poses)
  np.testing.assert_array_equal(got[0], np.eye(4))
  world = rng.normal(size=(3,)) * 10
  for t in range(1, 4):
    here, before = (np.linalg.inv(poses[k]) @ [*world, 1] for k in (t, t - 1))
    np.testing.assert_allclose(got[t] @ here, before, atol=1e-3)
  poses[2, :3, :3] *= 1.1
  with pytest.raises(UserError, match="no rotation"):
    sequences.motions(poses)


@pytest.fixture(scope="module")
def spec_and_place(tmp_path_factory):
  """Two short clips of scenes, as records."""

  class JaxsegFew(scenes_builder.JaxsegScenes):  # TFDS keeps configs by class
    """Scenes in small."""

    VERSION = scenes_builder.JaxsegScenes.VERSION
    BUILDER_CONFIGS = (
      scenes_builder.ScenesConfig(
        name="clips", train=2, val=1, test=0, frames=5, size=SIZE
      ),
    )

  place = str(tmp_path_factory.mktemp("clips"))
  spec = dataclasses.replace(SCENES_CLIPS, tfds_name="jaxseg_few/clips")
  with pytest.MonkeyPatch.context() as patch:
    patch.setitem(sources.OWN_BUILDERS, "jaxseg_few", JaxsegFew)
    prepare.prepare(spec, place)
    yield spec, place


def fields(spec, place, options, text, split="train", index=0, seed=0):
  """One clip through decoder and transforms, as the pipeline stacks it."""
  source = sources.open_source(spec, split, place, KEYS, options)
  size = (48, 48) if "transpose" in text else SIZE
  one = transforms.parse(text, size)
  examples = cache.Examples(source, decode.decoder_of(spec))
  return pipeline._example(examples, index, one, np.random.default_rng(seed))


def mismatch(clip, t):
  """Median error of depth, moved to the frame before, relative.

  Brute force in float64: back-project, move, project, nearest pixel.
  """
  depth, old = (clip["depth"][k].astype(np.float64) for k in (t, t - 1))
  h, w = depth.shape
  fx, fy, cx, cy = clip["camera"][t]
  y, x = np.mgrid[:h, :w] + 0.5
  rays = np.stack([(x - cx) / fx, (y - cy) / fy, np.ones_like(x)], -1)
  points = depth[..., None] * rays
  points = points @ clip["motion"][t][:3, :3].T + clip["motion"][t][:3, 3]
  z = np.where(points[..., 2] > 0.1, points[..., 2], np.inf)
  u = np.floor(points[..., 0] / z * fx + cx).astype(int)
  v = np.floor(points[..., 1] / z * fy + cy).astype(int)
  use = (depth > 0) & (u >= 0) & (u < w) & (v >= 0) & (v < h)
  use &= np.isfinite(z)
  there = old[v[use], u[use]]
  z, there = z[use][there > 0], there[there > 0]
  assert len(z) > 100
  return np.median(np.abs(there / z - 1))


PARTS = {
  "nothing": "resize",
  "mirror": "flip(1.0)",
  "backwards": "reverse(1.0)",
  "window": "crop(40, 50)",
  "zoom": "random_scale(1.3, 1.3)",
  "shrink": "resize(24, 40)",
  "diagonal": "crop(48, 48)|transpose(1.0)",
  "all": "random_scale(0.8, 1.3)|crop|flip(1.0)|reverse(1.0)|photometric",
}


@pytest.mark.parametrize("text", PARTS.values(), ids=PARTS)
def test_geometry_holds_after_transforms(text, spec_and_place):
  """Depth, camera and motion still tell where a point was before."""
  for seed in range(2):
    clip = fields(*spec_and_place, ClipOptions(4), text, seed=seed)
    for t in range(1, 4):
      assert mismatch(clip, t) < 0.03
      # It would not hold with the motion of the other way.
      wrong = {**clip, "motion": np.linalg.inv(clip["motion"])}
      assert mismatch(wrong, t) > 1.5 * mismatch(clip, t)


def test_frames_of_a_step_apart_and_their_shapes(spec_and_place):
  near = fields(*spec_and_place, ClipOptions(5, 1), "")
  far = fields(*spec_and_place, ClipOptions(3, 2), "")
  for key in ("image", "depth", "camera"):
    np.testing.assert_array_equal(far[key], near[key][::2])
  for t in (1, 2):
    both = near["motion"][2 * t - 1] @ near["motion"][2 * t]
    np.testing.assert_allclose(far["motion"][t], both, atol=1e-5)
  assert far["image"].shape == (3, *SIZE, 3)
  assert far["image"].dtype == np.uint8
  assert far["camera"].shape == (3, 4)


def test_every_frame_gets_the_same_draws(spec_and_place):
  """A still clip stays still, and the next draws do not repeat."""
  clip = fields(*spec_and_place, ClipOptions(4), "")
  frame = {k: clip[k][0] for k in ("image", "depth", "camera", "motion")}
  one = transforms.parse("random_scale(0.5, 2)|crop|flip|photometric", SIZE)
  rng = np.random.default_rng(3)
  first = one([dict(frame) for _ in range(4)], rng)
  again = one([dict(frame) for _ in range(4)], rng)
  for key in ("image", "depth", "camera"):
    for other in first[1:]:
      np.testing.assert_array_equal(first[0][key], other[key])
  assert (first[0]["image"] != again[0]["image"]).any()


def test_backwards_twice_is_forwards(spec_and_place):
  clip = fields(*spec_and_place, ClipOptions(4), "")
  once = fields(*spec_and_place, ClipOptions(4), "reverse(1.0)")
  twice = fields(*spec_and_place, ClipOptions(4), "reverse(1.0)|reverse(1.0)")
  np.testing.assert_array_equal(once["image"], clip["image"][::-1])
  np.testing.assert_allclose(twice["motion"], clip["motion"], atol=1e-6)
  assert np.abs(once["motion"] - clip["motion"]).max() > 1e-3


def test_single_images_of_the_same_frames(spec_and_place):
  """What temporal depth is evaluated on, frame by frame."""
  spec, place = spec_and_place
  options = ClipOptions(5, overlap=False)
  clips = sources.open_source(spec, "val", place, KEYS, options)
  stills = sources.open_source(spec, "val", place, ("image", "depth"), options)
  later = [frame for i in range(len(clips)) for frame in clips[i][1:]]
  assert len(stills) == len(later) == 4
  for i, frame in enumerate(later):
    np.testing.assert_array_equal(stills[i]["image"], frame["image"])
    np.testing.assert_array_equal(stills[i]["depth"], frame["depth"])
  everything = sources.open_source(spec, "train", place, ("image", "depth"))
  assert len(everything) == 10


def test_batches_of_clips(spec_and_place):
  spec, place = spec_and_place
  source = sources.open_source(spec, "train", place, KEYS, ClipOptions(4))
  assert len(source) == 4  # two records of five frames
  options = {"batch_size": 2, "seed": 0, "threads": 1}
  decoder, one = decode.decoder_of(spec), transforms.parse("flip", SIZE)
  batches = pipeline.train_batches(source, decoder, one, **options)
  first, second = next(batches), next(batches)
  assert first["image"].shape == (2, 4, *SIZE, 3)
  assert first["motion"].shape == (2, 4, 4, 4)
  assert first["motion"].dtype == np.float32
  ids = {*first["_id"].tolist(), *second["_id"].tolist()}
  assert ids == set(range(4))
  resumed = next(
    pipeline.train_batches(source, decoder, one, start=1, **options)
  )
  for key, value in second.items():
    np.testing.assert_array_equal(value, resumed[key])
  assert "frame 1" in source.name_of(1)


def test_what_is_refused(spec_and_place):
  spec, place = spec_and_place
  with pytest.raises(UserError, match="longest has 5"):
    sources.open_source(spec, "train", place, KEYS, ClipOptions(6))
  for keys, options in ((KEYS, None), (("image",), ClipOptions(3))):
    with pytest.raises(UserError, match="single images and no motion"):
      sources.open_source(PETS, "train", place, keys, options)
  still = transforms.parse("reverse", SIZE)
  with pytest.raises(UserError, match="reverse needs a clip"):
    still({"image": np.zeros((4, 4, 3), np.uint8)}, np.random.default_rng(0))
  with pytest.raises(UserError, match=r"rotate cannot turn '(camera|motion)'"):
    fields(spec, place, ClipOptions(3), "rotate")
