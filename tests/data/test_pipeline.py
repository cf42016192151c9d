"""The order is a function of (seed, position), on any number of hosts."""

import itertools

import cv2
import numpy as np
import pytest

from jaxseg.data import audit, decode, pipeline, transforms
from jaxseg.data.pipeline import Shard
from jaxseg.types import IGNORE, UserError

AUGMENT = transforms.parse(
  "random_scale(0.5, 2)|crop|flip|photometric", (16, 16)
)
PLAIN = transforms.parse("", (16, 20))


class Memory:
  """A source of n encoded examples in memory."""

  def __init__(self, n, size=(16, 20), ids=(0, 1, 2)):
    self.items = []
    for i in range(n):
      r = np.random.default_rng(i)
      image = r.integers(0, 256, (*size, 3), np.uint8)
      label = r.choice(ids, size).astype(np.uint8)
      self.items.append(
        {
          "image": cv2.imencode(".png", image[..., ::-1])[1].tobytes(),
          "label": cv2.imencode(".png", label)[1].tobytes(),
        }
      )

  def __len__(self):
    return len(self.items)

  def __getitem__(self, index):
    return self.items[index]

  def name_of(self, index):
    return f"example {index}"


DECODER = decode.Decoder({0: 0, 1: 1, 2: 2, 9: IGNORE})


def take(n, *, source=None, batch=4, transform=AUGMENT, **kwargs):
  batches = pipeline.train_batches(
    source or Memory(7),
    DECODER,
    transform,
    batch_size=batch,
    **{"seed": 1, "shard": Shard(), "threads": 2, **kwargs},
  )
  return list(itertools.islice(batches, n))


def equal(a, b):
  return all((a[k] == b[k]).all() for k in a) and a.keys() == b.keys()


def test_same_seed_same_batches_whatever_the_threads():
  for a, b in zip(take(6), take(6, threads=1)):
    assert equal(a, b)
  assert not equal(take(1)[0], take(1, seed=2)[0])


def test_resumed_is_uninterrupted():
  for a, b in zip(take(9)[4:], take(5, start=4)):
    assert equal(a, b)


def test_every_example_once_per_epoch_in_a_new_order():
  ids = np.concatenate([b["_id"] for b in take(7, batch=4)])  # 4 epochs of 7
  epochs = ids.reshape(4, 7)
  assert (np.sort(epochs, 1) == np.arange(7)).all()
  assert len({tuple(e) for e in epochs}) > 1


@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_split_the_batch_of_one_host(hosts):
  whole = take(5)
  parts = [take(5, shard=Shard(p, hosts)) for p in range(hosts)]
  for step, batch in enumerate(whole):
    rows = [part[step] for part in parts]
    joined = {k: np.concatenate([r[k] for r in rows]) for k in batch}
    assert equal(joined, batch)


def test_another_number_of_hosts_goes_on_where_one_stopped():
  """Two hosts took 3 batches: four take the next, in the order of one."""
  whole = take(9)
  for hosts, start, count in ((2, 0, 3), (4, 3, 2), (1, 5, 4)):
    parts = [
      take(count, start=start, shard=Shard(p, hosts)) for p in range(hosts)
    ]
    for step in range(count):
      rows = [part[step] for part in parts]
      joined = {k: np.concatenate([r[k] for r in rows]) for k in rows[0]}
      assert equal(joined, whole[start + step])


def test_augmentation_differs_between_epochs():
  batches = take(7, batch=1, source=Memory(1))
  assert not (batches[0]["image"] == batches[1]["image"]).all()


@pytest.mark.parametrize("n", [1, 7, 8, 9])
@pytest.mark.parametrize("hosts", [1, 2])
def test_evaluation_sees_each_example_exactly_once(n, hosts):
  seen, lengths = [], []
  for p in range(hosts):
    batches = list(
      pipeline.eval_batches(
        Memory(n),
        DECODER,
        PLAIN,
        batch_size=4,
        shard=Shard(p, hosts),
        threads=1,
      )
    )
    lengths.append(len(batches))
    assert {len(b["_mask"]) for b in batches} == {4 // hosts}
    seen += [
      i for b in batches for i, real in zip(b["_id"], b["_mask"]) if real
    ]
  assert sorted(seen) == list(range(n))
  assert set(lengths) == {pipeline.num_eval_batches(n, 4)}


def test_batch_must_divide_by_the_hosts():
  with pytest.raises(UserError, match="not divisible by the 3 processes"):
    take(1, shard=Shard(0, 3))


def test_unknown_ids_are_named_with_counts():
  with pytest.raises(UserError, match=r"example \d.*5 \(\d+ pixels\).*Known"):
    take(1, source=Memory(3, ids=(0, 5)))


def test_sizes_that_differ_are_named():
  source = Memory(3)
  source.items[1]["label"] = Memory(1, size=(8, 8))[0]["label"]
  with pytest.raises(UserError, match=r"example 1: the image is 16x20.*8x8"):
    take(3, source=source)


def test_mixed_sizes_need_a_transform():
  source = Memory(4)
  source.items[2] = Memory(1, size=(24, 20))[0]
  with pytest.raises(UserError, match=r"different sizes.*resize"):
    take(1, source=source, transform=PLAIN)


def test_truncated_image_is_named():
  source = Memory(3)
  source.items[2] = {**source.items[2], "image": source.items[2]["image"][:99]}
  with pytest.raises(UserError, match="example 2"):
    take(3, source=source)


def test_nan_in_the_depth_is_named():
  raw = {**Memory(1)[0], "depth": np.full((16, 20), np.nan, np.float32)}
  with pytest.raises(UserError, match="depth holds 320 NaN"):
    DECODER(raw, lambda: "x")


def test_label_table_is_applied_once():
  """1 -> 2 and 2 -> 1: a second pass would undo the first."""
  decoder = decode.Decoder({0: IGNORE, 1: 2, 2: 1})
  mask = np.array([[0, 1, 2, 1]], np.uint8)
  label = decoder.label(cv2.imencode(".png", mask)[1].tobytes())
  assert label.tolist() == [[255, 2, 1, 2]]


def test_audit_counts_pixels_and_images():
  source = Memory(6, ids=(0, 2, 9))
  report = audit.audit_labels(source, DECODER, ("a", "b", "c"))
  masks = [DECODER.label(item["label"]) for item in source.items]
  flat = np.concatenate([m.ravel() for m in masks])
  assert report.pixels.tolist() == [(flat == c).sum() for c in range(3)]
  assert report.ignored == (flat == IGNORE).sum() > 0
  assert report.images.tolist() == [6, 0, 6]
  np.testing.assert_allclose(report.shares.sum(), 1)


def test_audit_refuses_nothing_to_train_on():
  with pytest.raises(UserError, match="all pixels of the 2 masks"):
    audit.audit_labels(Memory(2, ids=(9,)), DECODER, ("a", "b", "c"))


@pytest.mark.parametrize(
  ("metres", "says"),
  [
    (0.0, "no pixel of the 3 depth maps .* all of them are 0, not measured"),
    (1500.0, "between config.task.min_m = 0.5 and max_m = 80 metres: .* 1500"),
    (7.0, None),
  ],
)
def test_audit_refuses_depth_outside_the_range(metres, says):
  class Depths(Memory):
    def __getitem__(self, index):
      depth = np.full((16, 20), metres, np.float32)
      return {"image": super().__getitem__(index)["image"], "depth": depth}

  if says is None:
    return audit.audit_depth(Depths(3), DECODER, 0.5, 80.0)
  with pytest.raises(UserError, match=says):
    audit.audit_depth(Depths(3), DECODER, 0.5, 80.0)
