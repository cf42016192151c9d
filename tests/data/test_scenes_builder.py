"""The TFDS builder writes what the renderer makes, and reads it back."""

import sys

import cv2
import numpy as np
import pytest

from jaxseg.data import scenes
from jaxseg.data.builders import scenes as builder
from jaxseg.types import UserError

SIZE = (32, 40)
STILLS = builder.ScenesConfig(
  name="few", description="", train=3, val=1, test=1, size=SIZE
)
CLIPS = builder.ScenesConfig(
  name="few_clips", description="", train=1, val=1, test=0, frames=3, size=SIZE
)


@pytest.fixture(scope="module")
def stills(tmp_path_factory):
  return builder.prepare(str(tmp_path_factory.mktemp("tfds")), STILLS)


def test_stills_round_trip_to_the_bit(stills):
  people = set()
  for split, count in (("train", 3), ("val", 1), ("test", 1)):
    source = stills.as_data_source(split)
    assert len(source) == count
    for i in range(count):
      expected = scenes.render_scene(builder.seed_of(split, i), SIZE)
      people.add(len(expected["keypoints"]))
      record = source[i]
      assert set(record) == set(expected)
      for key, value in expected.items():
        got = np.asarray(record[key])
        if key in ("label", "instance"):
          assert got.shape == (*SIZE, 1)
          got = got[..., 0]
        assert got.dtype == value.dtype
        np.testing.assert_array_equal(got, value)
  assert 0 in people  # empty arrays survive


def test_images_can_stay_png(stills):
  record = stills.as_data_source("train", decoders=builder.SKIP)[0]
  expected = scenes.render_scene(0, SIZE)
  for key in builder.IMAGES:
    data = np.frombuffer(record[key], np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    image = image[..., ::-1] if image.ndim == 3 else image
    np.testing.assert_array_equal(image, expected[key])


def test_clips_round_trip_to_the_bit(tmp_path):
  made = builder.prepare(str(tmp_path), CLIPS)
  assert set(made.info.splits) == {"train", "val"}
  record = made.as_data_source("val")[0]
  expected = scenes.render_clip(builder.seed_of("val", 0), 3, SIZE)
  for key, value in expected.items():
    np.testing.assert_array_equal(record[key], value)


def test_what_is_there_is_not_made_again(stills, monkeypatch):
  monkeypatch.setattr(builder, "example", None)
  again = builder.prepare(
    str(stills.data_dir).split("/jaxseg_scenes")[0], STILLS
  )
  assert again.data_dir == stills.data_dir
  assert len(again.as_data_source("train")) == 3


def test_splits_share_no_seed():
  counts = {"train": 600, "val": 100, "test": 100}
  seeds = {builder.seed_of(s, i) for s, n in counts.items() for i in range(n)}
  assert len(seeds) == 800


def test_no_tensorflow(stills):
  assert "tensorflow" not in sys.modules


def test_an_unknown_config_is_named(tmp_path):
  with pytest.raises(UserError, match=r"'movies'.*stills, clips"):
    builder.prepare(str(tmp_path), "movies")
