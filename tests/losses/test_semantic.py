"""Cross-entropy, Dice and focal: golden numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import losses

# Three class planes of a 2x2 image.
PLANES = [[[2, 0], [1, -1]], [[0, 1], [1, 3]], [[-1, 0.5], [0, 0]]]
LOGITS = np.moveaxis(np.asarray(PLANES, np.float32), 0, -1)[None]
LABEL = np.asarray([[[0, 1], [2, 1]]], np.int32)
IGNORED = np.asarray([[[0, 1], [255, 1]]], np.int32)


def value(name, *args, **options):
  fn = getattr(losses, name)
  return jax.jit(lambda *a: fn(*a, **options))(*args)


@pytest.mark.parametrize(
  ("options", "label", "want"),
  [
    ({}, LABEL, 0.694499),
    ({"reduction": "sum"}, LABEL, 2.777994),
    ({"class_weights": (1, 2, 4)}, LABEL, 1.012237),
    (
      {"class_weights": (1, 2, 4), "normalization": "pixels"},
      LABEL,
      2.277533,
    ),
    ({}, IGNORED, 0.305333),
  ],
)
def test_cross_entropy_golden(options, label, want):
  got = value("cross_entropy", LOGITS, label, **options).compute()
  assert float(got) == pytest.approx(want, abs=2e-6)


def test_focal_and_dice_golden():
  for name, options, want in [
    ("focal", {}, 0.374618),
    ("focal", {"gamma": 0.0}, 0.694499),
    ("dice", {}, 0.463737),
    ("dice", {"squared": True}, 0.326240),
  ]:
    got = value(name, LOGITS, LABEL, **options).compute()
    assert float(got) == pytest.approx(want, abs=2e-6), (name, options)


def test_sigmoid_focal_golden():
  logits = jnp.asarray([2.0, -1, 0.5, -3])
  target = jnp.asarray([1, 0, 0, 1])
  each = [4.5089e-4, 0.016994, 0.28306, 0.69157]
  for i, want in enumerate(each):
    got = value("sigmoid_focal", logits[i : i + 1], target[i : i + 1])
    assert float(got.compute()) == pytest.approx(want, rel=1e-4)
  total = value("sigmoid_focal", logits, target)
  assert float(total.count) == 4
  assert float(total.compute()) == pytest.approx(sum(each) / 4, rel=1e-4)


def test_uniform_logits_cost_log_k():
  got = value("cross_entropy", np.zeros((2, 3, 5, 7)), np.ones((2, 3, 5), int))
  assert float(got.compute()) == pytest.approx(np.log(7), rel=1e-6)


def test_smoothing_by_its_definition():
  """(1 - e) w_y nll_y + e / k sum_c w_c nll_c over sum of w_y (torch)."""
  e, w = 0.2, np.array([1.0, 2, 4])
  logp = LOGITS - np.log(np.exp(LOGITS).sum(-1, keepdims=True))
  nll = -np.take_along_axis(logp, LABEL[..., None], -1)[..., 0] * w[LABEL]
  terms = (1 - e) * nll - e / 3 * (logp * w).sum(-1)
  got = value(
    "cross_entropy",
    LOGITS,
    LABEL,
    class_weights=tuple(w),
    label_smoothing=e,
  )
  assert float(got.compute()) == pytest.approx(
    terms.sum() / w[LABEL].sum(), rel=1e-5
  )


def test_sum_is_per_real_image():
  logits, label = np.repeat(LOGITS, 3, 0), np.repeat(LABEL, 3, 0)
  got = value("cross_entropy", logits, label, reduction="sum")
  assert float(got.compute()) == pytest.approx(2.777994, abs=1e-5)
  mask = np.array([True, True, False])
  part = value("cross_entropy", logits, label, mask=mask, reduction="sum")
  assert float(part.count) == 2
  assert float(part.compute()) == pytest.approx(2.777994, abs=1e-5)


def test_dice_of_the_truth_is_zero_and_image_wise_differs():
  rng = np.random.default_rng(0)
  label = rng.integers(0, 3, (2, 6, 5))
  sure = 200.0 * (label[..., None] == np.arange(3))
  assert float(value("dice", sure, label).compute()) == pytest.approx(0)
  # Batch-wise: I and S summed first. Image-wise: the mean of two values.
  logits = rng.normal(size=(2, 6, 5, 3)).astype(np.float32)
  singles = [
    float(value("dice", logits[i : i + 1], label[i : i + 1]).compute())
    for i in range(2)
  ]
  both = value("dice", logits, label, image_wise=True)
  assert float(both.count) == 6
  assert float(both.compute()) == pytest.approx(np.mean(singles), rel=1e-5)


def test_dice_leaves_out_absent_classes():
  label = np.zeros((1, 2, 2), np.int32)
  label[0, 0, 0] = 1
  wide = np.concatenate([LOGITS, np.full((1, 2, 2, 1), -50.0)], -1)
  got = value("dice", wide.astype(np.float32), label)
  assert float(got.count) == 2  # classes 0 and 1; 2 and 3 hold no pixel


def test_binary_forms_agree():
  """softmax of (0, z) is sigmoid(z): one loss, one gradient."""
  z = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
  label = np.random.default_rng(1).integers(0, 2, (2, 3, 4))

  @jax.jit
  def both(z):
    two = jnp.stack([jnp.zeros_like(z), z], -1)
    return (
      losses.cross_entropy(two, label).compute(),
      losses.binary_cross_entropy(z, label).compute(),
    )

  a, b = both(z)
  assert float(a) == pytest.approx(float(b), abs=1e-6)
  ga, gb = (jax.jit(jax.grad(lambda z, i=i: both(z)[i]))(z) for i in (0, 1))
  np.testing.assert_allclose(ga, gb, atol=1e-6)


def test_infinite_logits_of_valid_pixels():
  """A class ruled out by -inf costs nothing where it is not the truth."""
  logits = LOGITS.copy()
  logits[0, 0, 0, 2] = -np.inf
  v, g = jax.jit(
    jax.value_and_grad(lambda x: losses.cross_entropy(x, LABEL).compute())
  )(logits)
  two = np.log(1 + np.exp(-2))  # logits 2 and 0 remain, truth is class 0
  want = (two + 0.6803 + 1.8620 + 0.0659) / 4
  assert float(v) == pytest.approx(want, abs=1e-4)
  assert np.isfinite(g).all()


def test_more_than_256_classes():
  """Class 300 must not wrap around to 44, nor 255 be a class of its own."""
  logits = np.zeros((1, 1, 2, 400), np.float32)
  logits[0, 0, 0, 300] = 50
  label = np.array([[[300, 255]]])
  got = value("cross_entropy", logits, label)
  assert float(got.count) == 1
  assert float(got.total) == pytest.approx(0, abs=1e-6)
  every = value("cross_entropy", logits, label, ignore=None)
  assert float(every.total) == pytest.approx(np.log(400), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_gradient_is_finite_at_certainty(gamma):
  logits = 100.0 * (LABEL[..., None] == np.arange(3))
  g = jax.jit(
    jax.grad(lambda x: losses.focal(x, LABEL, gamma=gamma).compute())
  )(jnp.asarray(logits, jnp.float32))
  assert np.isfinite(g).all()


def test_mistakes_are_named():
  with pytest.raises(ValueError, match="do not match"):
    losses.dice(LOGITS, LABEL[:, :1])
  with pytest.raises(ValueError, match="'sum'"):
    losses.cross_entropy(LOGITS, LABEL, reduction="none")
  with pytest.raises(ValueError, match="'weights' or 'pixels'"):
    losses.cross_entropy(LOGITS, LABEL, normalization="n")
  with pytest.raises(ValueError, match="one weight for each of 3"):
    losses.cross_entropy(LOGITS, LABEL, class_weights=(1, 2))
