"""Boundaries at a tolerance: by distances, by hand, over batches."""

import jax
import numpy as np
import pytest
from scipy import ndimage

from jaxseg import metrics, types
from jaxseg.metrics.contours import count
from jaxseg.tasks import Semantic
from tests import quick


def blobs(seed, ids=5, shape=(3, 31, 26)):
  noise = np.random.default_rng(seed).normal(size=(ids, *shape))
  sigma = (0,) * (noise.ndim - 2) + (2, 2)
  return ndimage.gaussian_filter(noise, sigma).argmax(0)


def edges(x, i, known):
  """Pixels of class i with a known neighbour of another class, by hand."""
  out = np.zeros(x.shape, bool)
  for axis in (1, 2):
    for step in (1, -1):
      near, seen = np.roll(x, step, axis), np.roll(known, step, axis)
      first = [slice(None)] * 3
      first[axis] = 0 if step == 1 else -1
      seen[tuple(first)] = False  # rolled in from the other side
      out |= seen & (near != i)
  return out & known & (x == i)


def within(mask, radius):
  """Pixels that have one of the mask in reach, picture by picture."""
  return np.stack(
    [
      ndimage.distance_transform_edt(~m) <= radius if m.any() else m
      for m in mask
    ]
  )


@pytest.mark.parametrize(
  ("ids", "radius"), [(5, 0), (5, 1), (5, 2.3), (40, 1.5)]
)
def test_counts_are_those_of_distances(radius, ids):
  """40 classes do not fit one word of bits."""
  said, label = blobs(0, ids), blobs(1, ids)
  label[np.random.default_rng(2).random(label.shape) < 0.1] = types.IGNORE
  known = label != types.IGNORE
  got = quick.jit(lambda a, b: count(a, b, ids, radius))(said, label)
  want = []
  for i in range(ids):
    mine, theirs = edges(said, i, known), edges(label, i, known)
    right = mine & within(theirs, radius)
    found = theirs & within(mine, radius)
    want.append([x.sum() for x in (mine, right, theirs, found)])
  assert np.sum(want) > 100
  np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("radius", [0.0, 1.0, 2.5])
def test_counts_against_brute_force(radius):
  """Every pixel of an edge against every other, in a loop."""
  said, label = blobs(0, 3, (1, 13, 11))[0], blobs(1, 3, (1, 13, 11))[0]
  label[:4, :6] = types.IGNORE
  got = quick.jit(lambda a, b: count(a, b, 3, radius))(said[None], label[None])
  for i in range(3):
    ends = []
    for x in (said, label):
      edge = np.zeros(x.shape, bool)
      for y, col in np.argwhere(x == i):
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
          v, u = y + dy, col + dx
          if 0 <= v < x.shape[0] and 0 <= u < x.shape[1]:
            counts = label[y, col] != 255 and label[v, u] != 255
            edge[y, col] |= bool(x[v, u] != i and counts)
      ends.append(np.argwhere(edge))
    apart = np.linalg.norm(ends[0][:, None] - ends[1][None], axis=-1)
    right = (apart.min(1) <= radius).sum()
    found = (apart.min(0) <= radius).sum()
    assert got[i].tolist() == [len(ends[0]), right, len(ends[1]), found]


def run(radius, said, label, masks=None, names=("a", "b")):
  """Over a set of one batch per entry."""
  metric = metrics.contours(names, radius)
  state = metric.init()
  update = quick.jit(metric.update)
  for i in range(len(said)):
    batch = {"label": label[i]}
    if masks is not None:
      batch["_mask"] = masks[i]
    state = update(state, {"label": said[i]}, batch)
  return metric.result(jax.tree.map(np.asarray, state))


def halves(column, shape=(1, 1, 10, 20)):
  out = np.zeros(shape, np.int32)
  out[..., column:] = 1
  return out


def test_a_shift_of_one_pixel_is_perfect_at_one_and_wrong_at_none():
  label = halves(10)
  assert run(1, halves(11), label)["boundary_f"] == 1
  # At 0 the boundary pixels of a (9 and 10) and of b (11 and 10) do not meet.
  assert run(0, halves(11), label)["boundary_f"] == 0
  assert run(0, label, label)["boundary_f/b"] == 1


def test_precision_and_recall_by_hand():
  """A false column in half of the rows: 10 of 15 and 10 of 15 ... of b."""
  label, said = halves(10), halves(10)
  said[..., :5, 3] = 1  # of class b, 5 pixels, wrong; its neighbours of a too
  got = run(0, said, label)
  # b: 10 right of 15. a: 10 right, and around the bar 5 + 5 + 1 wrong.
  assert got["boundary_f/b"] == pytest.approx(2 * 10 / (10 + 15))
  assert got["boundary_f/a"] == pytest.approx(2 * 10 / (10 + 21))
  assert got["boundary_precision"] == pytest.approx(20 / 36)
  assert got["boundary_recall"] == 1
  both = (got["boundary_f/a"] + got["boundary_f/b"]) / 2
  assert got["boundary_f"] == pytest.approx(both)


def test_absent_classes_padding_and_batches():
  label, said = blobs(3, 2, (4, 1, 20, 20)), blobs(4, 2, (4, 1, 20, 20))
  names = ("a", "b", "absent")
  want = run(1, said, label, names=names)
  assert np.isnan(want["boundary_f/absent"])
  assert 0 < want["boundary_f"] < 1
  # In two batches of three, the rest of the second is padding.
  split = [np.concatenate([x[:, 0], x[:2, 0]]) for x in (said, label)]
  split = [x.reshape(2, 3, 20, 20) for x in split]
  masks = np.array([[True] * 3, [True, False, False]])
  assert run(1, *split, masks, names) == pytest.approx(want, nan_ok=True)
  flat = run(1, 0 * said, 0 * label, names=names)
  assert np.isnan(list(flat.values())).all()
  only = run(1, halves(20), halves(10))
  assert only["boundary_f"] == 0  # nothing is found


def test_the_task_measures_boundaries_where_it_is_asked_to():
  palette = ((0, 0, 0), (9, 9, 9))
  assert "contours" not in Semantic(("a", "b"), palette).metrics()
  task = Semantic(("a", "b"), palette, boundary=2.0)
  assert set(task.metrics()) == {"confusion", "contours"}
  with pytest.raises(types.UserError, match="boundary = -1"):
    Semantic(("a", "b"), palette, boundary=-1.0)
