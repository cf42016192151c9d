"""Kept examples: the same batches, no second reading, never above the limit."""

import threading

import numpy as np
import pytest

from jaxseg import build, continuation, defaults
from jaxseg.data import cache, pipeline
from jaxseg.types import UserError
from tests.data import test_pipeline as base


class Counting(base.Memory):
  """Counts how often each example is read."""

  def __init__(self, n, **options):
    super().__init__(n, **options)
    self.reads = [0] * n
    self.lock = threading.Lock()

  def __getitem__(self, index):
    with self.lock:
      self.reads[index] += 1
    return super().__getitem__(index)


SIZE = 16 * 20 * 4  # bytes of image and label of one of its examples


@pytest.mark.parametrize("examples", [7, 3, 0])
def test_batches_are_the_same_to_the_byte(examples):
  """All kept, some kept, none: over four epochs of every augmentation."""
  plain = base.take(7, threads=2)
  source = Counting(7)
  data = cache.Examples(source, base.DECODER, 1)
  data._free = examples * SIZE  # what the check of the fit would refuse
  original = pipeline.Examples
  try:
    pipeline.Examples = lambda *unused: data
    kept = base.take(7, threads=2, source=source)
  finally:
    pipeline.Examples = original
  for a, b in zip(plain, kept, strict=True):
    assert a.keys() == b.keys()
    for key in a:
      assert a[key].dtype == b[key].dtype
      assert a[key].tobytes() == b[key].tobytes(), key


def test_every_example_is_read_once():
  source = Counting(7)
  before = base.take(21, source=Counting(7), threads=1)
  after = base.take(21, source=source, threads=1, cache_mb=1)
  assert all(base.equal(a, b) for a, b in zip(before, after, strict=True))
  assert source.reads == [1] * 7  # 12 epochs
  plain = Counting(7)
  base.take(21, source=plain, threads=1)
  assert min(plain.reads) >= 11


def test_a_resumed_run_with_a_cache_is_the_run_without():
  whole = base.take(9)
  for a, b in zip(whole[4:], base.take(5, start=4, cache_mb=1), strict=True):
    assert base.equal(a, b)


def test_the_limit_is_kept():
  data = cache.Examples(base.Memory(7), base.DECODER, 7 * SIZE / cache.MB)
  assert data.kept == 7  # all seven were decoded to tell their size
  for room, kept in ((3 * SIZE, 3), (3 * SIZE - 1, 2), (SIZE - 1, 0), (0, 0)):
    data = cache.Examples(base.Memory(7), base.DECODER)
    data._free = room
    for index in (4, 2, 2, 0, 6, 4):
      data[index]
    assert data.kept == kept
    assert data._free == room - kept * SIZE


def test_what_is_kept_cannot_be_written_to():
  data = cache.Examples(base.Memory(2), base.DECODER, 1)
  first = data[0]
  with pytest.raises(ValueError, match="read-only"):
    first["image"][0, 0] = 0
  first["image"] = np.zeros(3)
  first.pop("label")
  assert data[0]["image"].shape == (16, 20, 3)
  assert data[0]["label"].shape == (16, 20)


def test_examples_that_do_not_fit_are_refused_with_both_numbers():
  big = base.Memory(20, size=(200, 250))  # 200 kB each, 4 MB in all
  says = (
    r"cache_mb = 3 .* 20 decoded examples take about 4\.0 MB\. Raise it to 5 "
  )
  with pytest.raises(UserError, match=says):
    base.take(1, source=big, cache_mb=3)
  base.take(1, source=big, cache_mb=4.01)
  with pytest.raises(UserError, match=r"cache_mb = -1: expected megabytes"):
    base.take(1, cache_mb=-1)


def test_clips_are_kept_as_lists_of_frames():
  class Clips(base.Memory):
    def __getitem__(self, index):
      return [self.items[index], self.items[(index + 1) % len(self.items)]]

  kept = base.take(4, source=Clips(5), transform=base.PLAIN, cache_mb=1)
  plain = base.take(4, source=Clips(5), transform=base.PLAIN)
  assert plain[0]["image"].shape == (4, 2, 16, 20, 3)
  assert all(base.equal(a, b) for a, b in zip(plain, kept, strict=True))


def test_the_config_has_it_and_a_continuation_may_change_it(data):
  config = defaults.get_config()
  folders = {name: str(data / name) for name in ("images", "masks")}
  config.data.update(
    name="folder", classes="ground,square", size=(32, 32), **folders
  )
  config.update(steps=1, devices=1)
  config.model.update(width=2, depth=1)
  was = build.plain(config)
  config.data.cache_mb = 0.001
  says = r"cache_mb = 0\.001 .* 11 decoded examples take about 0.0 MB"
  with pytest.raises(UserError, match=says):
    build.experiment(config).train_batches(0)
  assert continuation.contradictions(was, build.plain(config)) == []
