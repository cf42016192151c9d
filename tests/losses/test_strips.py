"""Losses in strips of rows: value and gradient of the enlarged logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import losses, mesh, types
from jaxseg.losses import strips
from jaxseg.ops.grown import Grown
from tests import quick

K = 5
SIZES = {  # small, size, crop, aligned corners
  "aligned, cropped": ((5, 7), (33, 49), (30, 41), True),
  "half-pixel": ((4, 6), (32, 48), (32, 48), False),
}
CASES = {
  "cross_entropy": ("cross_entropy", {}),
  "every class counts": ("cross_entropy", {"ignore": None}),
  "weights": ("cross_entropy", {"class_weights": (1.0, 2.0, 0.5, 0.0, 3.0)}),
  "weights, pixels": (
    "cross_entropy",
    {"class_weights": (1, 2, 3, 4, 5), "normalization": "pixels"},
  ),
  "smoothing": (
    "cross_entropy",
    {"label_smoothing": 0.1, "class_weights": (1, 2, 3, 4, 5)},
  ),
  "sum": ("cross_entropy", {"reduction": "sum"}),
  "dice": ("dice", {}),
  "dice, image-wise": ("dice", {"squared": True, "image_wise": True}),
  "focal": ("focal", {"gamma": 2.0}),
  "focal, alpha": ("focal", {"gamma": 0.5, "alpha": (0.1, 0.2, 0.3, 0.2, 1)}),
}


def data(sizes):
  small, _, crop, _ = SIZES[sizes]
  rng = np.random.default_rng(0)
  x = 3 * rng.normal(size=(3, *small, K)).astype(np.float32)
  label = rng.integers(0, K, (3, *crop)).astype(np.uint8)
  label[rng.random(label.shape) < 0.2] = types.IGNORE
  label[0, 2:20] = types.IGNORE  # strips without a pixel that counts
  return x, label, np.array([True, True, False])


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("case", CASES)
def test_value_and_gradient_are_those_of_the_whole(case, sizes):
  """Within 1e-6 of the value and of the largest gradient."""
  name, options = CASES[case]
  x, label, mask = data(sizes)
  rest = SIZES[sizes][1:]

  def whole(x):
    logits = Grown(x, *rest).whole()
    return losses.LOSSES[name](logits, label, mask=mask, **options)

  def late(x):
    return losses.by_strips(
      name, Grown(x, *rest), label, mask=mask, rows=7, **options
    )

  @quick.jit
  def run(x):
    return [
      (f(x), jax.value_and_grad(lambda x, f=f: f(x).compute())(x))
      for f in (whole, late)
    ]

  (sums, (want, g_want)), (got_sums, (got, g_got)) = run(x)
  assert float(want) > 0
  np.testing.assert_allclose(got, want, rtol=1e-6)
  np.testing.assert_allclose(got_sums.count, sums.count, rtol=1e-6)
  scale = float(np.abs(g_want).max())
  assert scale > 0
  np.testing.assert_allclose(g_got, g_want, atol=1e-6 * scale, rtol=0)
  assert not np.any(g_got[2])  # the padding example


def test_the_number_of_strips_changes_nothing():
  x, label, mask = data("half-pixel")
  logits = Grown(jnp.asarray(x), *SIZES["half-pixel"][1:])
  values = [
    float(
      quick.jit(
        lambda g, rows=rows: losses.by_strips(
          "dice", g, label, mask=mask, rows=rows
        ).compute()
      )(logits)
    )
    for rows in (None, 1, 13, 32)
  ]
  np.testing.assert_allclose(values, values[0], rtol=1e-6)


def test_garbage_where_nothing_counts():
  """A padding example of NaN moves neither value nor gradient."""
  x, label, mask = data("aligned, cropped")
  rest = SIZES["aligned, cropped"][1:]
  step = quick.jit(
    jax.value_and_grad(
      lambda x: losses.by_strips(
        "cross_entropy", Grown(x, *rest), label, mask=mask, rows=8
      ).compute()
    )
  )
  want, grad = step(x)
  bad = x.copy()
  bad[2] = 1e30
  value, again = step(bad)
  assert value == want
  np.testing.assert_array_equal(again, grad)


def test_every_loss_of_logits_has_strips_and_mistakes_are_named():
  assert set(strips.PARTS) == set(losses.LOSSES)
  x, label, _ = data("half-pixel")
  with pytest.raises(ValueError, match=r"grow to \(3, 32, 48, 5\)"):
    losses.by_strips(
      "dice",
      Grown(jnp.asarray(x), *SIZES["half-pixel"][1:]),
      label[:, :4],
    )


def test_a_batch_over_eight_devices_is_one_batch():
  x, label, _ = data("half-pixel")
  x, label = np.repeat(x[:1], 8, 0), np.repeat(label[:1], 8, 0)
  x += np.random.default_rng(1).normal(size=x.shape).astype(np.float32)
  mask = np.arange(8) < 5

  def value(x, label, mask):
    logits = Grown(x, *SIZES["half-pixel"][1:])
    return losses.by_strips("dice", logits, label, mask=mask, rows=8).compute()

  step = quick.jit(jax.value_and_grad(value))
  want, grad = step(x, label, mask)
  devices = mesh.make_mesh(8)
  placed = jax.device_put((x, label, mask), mesh.batched(devices))
  got, again = step(*placed)
  np.testing.assert_allclose(got, want, rtol=1e-6)
  np.testing.assert_allclose(again, grad, atol=1e-6 * np.abs(grad).max())
