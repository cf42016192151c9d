"""Scores of a confusion matrix: oracle, degenerate cases, exactness."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import metrics as oracle

from jaxseg import types
from jaxseg.metrics import confusion, exact


def run(label, pred, classes, *, mask=None, names=None, ignore=255, parts=1):
  metric = confusion(classes, names, ignore)
  update = jax.jit(metric.update)
  state = metric.init()
  label, pred = np.asarray(label), np.asarray(pred)
  for a, b in zip(np.array_split(label, parts), np.array_split(pred, parts)):
    batch = {"label": a} if mask is None else {"label": a, "_mask": mask}
    state = update(state, {"label": b}, batch)
  return metric.result(state)


def test_accuracy_paradox():
  """A tenth is object and all is called background."""
  label = np.zeros((1, 10, 10), int)
  label[0, 0] = 1
  got = run(label, np.zeros_like(label), 2, names=["back", "object"])
  assert got["pixel_accuracy"] == pytest.approx(0.9)
  assert got["iou/back"] == pytest.approx(0.9)
  assert got["iou/object"] == got["dice/object"] == got["acc/object"] == 0
  assert got["miou"] == pytest.approx(0.45)
  assert got["mean_accuracy"] == 0.5
  assert got["pixels/object"] == 10


def test_two_squares():
  """A rows, columns 2-5; B rows 3-8, columns 4-6: I = 6, U = 28 of 144."""
  a, b = np.zeros((2, 1, 12, 12), int)
  a[0, 2:6, 2:6] = 1
  b[0, 3:9, 4:7] = 1
  got = run(a, b, 2)
  assert got["dice/1"] == pytest.approx(0.352941, abs=1e-6)
  assert got["iou/1"] == pytest.approx(0.214286, abs=1e-6)
  assert got["pixel_accuracy"] == pytest.approx(0.847222, abs=1e-6)
  dice, iou = got["dice/1"], got["iou/1"]
  assert iou == pytest.approx(dice / (2 - dice))


def test_agrees_with_scikit_learn():
  rng = np.random.default_rng(0)
  label, pred = rng.integers(0, 5, (2, 4, 9, 7))
  label[rng.random(label.shape) < 0.2] = 255
  got = run(label, pred, 5, parts=3)
  keep = label != 255
  t, p = label[keep], pred[keep]
  iou = oracle.jaccard_score(t, p, average=None)
  share = np.bincount(t) / t.size
  want = {
    "miou": iou.mean(),
    "pixel_accuracy": oracle.accuracy_score(t, p),
    "mean_accuracy": oracle.recall_score(t, p, average="macro"),
    "fw_iou": (iou * share).sum(),
    "dice": oracle.f1_score(t, p, average="macro"),
  }
  for i in range(5):
    want[f"iou/{i}"] = iou[i]
    want[f"acc/{i}"] = oracle.recall_score(t, p, average=None)[i]
    want[f"dice/{i}"] = oracle.f1_score(t, p, average=None)[i]
    want[f"pixels/{i}"] = (t == i).sum()
  assert set(got) == set(want)
  for name, number in want.items():
    assert got[name] == pytest.approx(number, rel=1e-12), name


def test_how_the_set_is_split_does_not_matter():
  rng = np.random.default_rng(1)
  label, pred = rng.integers(0, 3, (2, 6, 5, 5))
  assert run(label, pred, 3) == run(label, pred, 3, parts=6)
  # Merging states is adding them.
  metric = confusion(3)
  states = [
    metric.update(metric.init(), {"label": p}, {"label": t})
    for t, p in zip(np.split(label, 2), np.split(pred, 2))
  ]
  merged = jax.tree.map(lambda a, b: a + b, *states)
  assert metric.result(merged) == run(label, pred, 3)


def test_one_class_perfect():
  got = run(np.zeros((1, 2, 2), int), np.zeros((1, 2, 2), int), 1)
  for name in ("miou", "pixel_accuracy", "mean_accuracy", "fw_iou", "dice"):
    assert got[name] == 1


def test_absent_and_falsely_predicted_classes():
  label = np.zeros((1, 1, 4), int)
  got = run(label, [[[0, 0, 0, 1]]], 3)
  assert got["iou/0"] == 0.75
  assert got["iou/1"] == got["dice/1"] == 0  # predicted, never true
  assert np.isnan(got["acc/1"])
  assert np.isnan(got["iou/2"])
  assert np.isnan(got["dice/2"])
  assert got["miou"] == 0.375  # of two classes
  assert got["mean_accuracy"] == 0.75  # of one


@pytest.mark.parametrize("how", ["ignored", "masked", "empty"])
def test_nothing_counted_is_nan(how):
  label = np.full((2, 3, 3), 255 if how == "ignored" else 1)
  if how == "empty":
    label = label[:0]
  mask = np.zeros(len(label), bool) if how == "masked" else None
  got = run(label, np.zeros_like(label), 2, mask=mask)
  for name in ("miou", "pixel_accuracy", "mean_accuracy", "fw_iou", "dice"):
    assert np.isnan(got[name])
  assert got["pixels/0"] == got["pixels/1"] == 0


def test_padding_examples_do_not_count():
  rng = np.random.default_rng(2)
  label, pred = rng.integers(0, 3, (2, 3, 4, 4))
  mask = np.array([True, True, False])
  assert run(label, pred, 3, mask=mask) == run(label[:2], pred[:2], 3)


def test_predictions_outside_the_classes_are_errors():
  """255, -1 and 7 on true pixels: misses of their class, alarms of none."""
  got = run([[[0, 0, 0, 0, 1]]], [[[0, 255, -1, 7, 1]]], 2)
  assert got["iou/0"] == got["acc/0"] == 0.25
  assert got["iou/1"] == 1
  assert got["pixel_accuracy"] == 0.4


def test_unknown_labels_are_refused_with_their_number():
  with pytest.raises(types.UserError, match="2 pixels of the labels"):
    run([[[0, 9, -3, 255]]], [[[0, 0, 0, 0]]], 2)


def test_many_and_sparse_ids():
  """300 classes, ids far apart, and an ignore id outside a byte."""
  label = np.array([[[0, 299, 255, 1000]]])
  got = run(label, [[[0, 299, 255, 3]]], 300, ignore=1000)
  assert got["miou"] == 1
  assert got["pixels/255"] == got["iou/299"] == 1
  assert np.isnan(got["iou/3"])


def test_bytes_as_labels():
  got = run(np.array([[[0, 1, 255]]], np.uint8), [[[0, 1, 1]]], 2)
  assert got["miou"] == 1


def test_exact_beyond_32_bits():
  """Odd batches of 2^31 - 1 pixels until 2^36 and more are counted."""
  step = jax.jit(exact.add_counts)
  batch = np.array([2**31 - 1, 1, 65535, 65536, 0], np.int32)
  state = exact.zero_counts((5,))
  for _ in range(40):
    state = step(state, jnp.asarray(batch))
  np.testing.assert_array_equal(
    exact.read_counts(state), 40 * batch.astype(np.int64)
  )
  # 1,000 hosts merge by adding, once on the device and once in NumPy.
  merged = jax.tree.map(
    lambda x: jnp.sum(jnp.stack([x] * 1000), 0, dtype=x.dtype), state
  )
  np.testing.assert_array_equal(
    exact.read_counts(merged), 40_000 * batch.astype(np.int64)
  )
  again = step(merged, jnp.asarray(batch))
  np.testing.assert_array_equal(
    exact.read_counts(again), 40_001 * batch.astype(np.int64)
  )


def test_names_must_fit():
  with pytest.raises(ValueError, match="2 class names for 3"):
    confusion(3, ["a", "b"])


def test_shapes_must_fit():
  with pytest.raises(ValueError, match="differ in shape"):
    run(np.zeros((1, 2, 2), int), np.zeros((1, 2, 3), int), 2)
