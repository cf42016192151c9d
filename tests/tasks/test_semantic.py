"""Semantic segmentation: decisions, by hand."""

import jax
import numpy as np

from jaxseg.tasks import Semantic

PALETTE = ((0, 0, 0), (99, 0, 0), (0, 99, 0))


def decide(logits, weights=None):
  task = Semantic(tuple("abc"), PALETTE, decision_weights=weights)
  return np.asarray(jax.jit(task.predict)({"logits": logits})["label"])


def test_decision_weights_multiply_probabilities():
  rng = np.random.default_rng(0)
  logits = rng.normal(size=(2, 5, 7, 3)).astype(np.float32)
  probability = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
  weights = (1.0, 0.5, 2.0)
  want = (probability * weights).argmax(-1)
  np.testing.assert_array_equal(decide(logits, weights), want)
  np.testing.assert_array_equal(decide(logits), logits.argmax(-1))
  assert (want != logits.argmax(-1)).any()
  # A common factor decides nothing, whatever offset the logits have.
  again = decide(logits + 30, tuple(10 * w for w in weights))
  np.testing.assert_array_equal(again, want)


def test_a_decision_that_raises_the_iou_of_a_class():
  """Ten pixels of probability 0.4 for a class that four of them have.

  The argmax gives that class none; as many as its Dice score asks for (here
  all ten) make its IoU 0.4.
  """
  logits = np.log(np.tile([0.6, 0.4, 1e-9], (1, 1, 10, 1))).astype(np.float32)
  assert (decide(logits) == 0).all()
  assert (decide(logits, (1.0, 2.0, 1.0)) == 1).all()
