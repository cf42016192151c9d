"""Regression losses: values from their definitions, and depth goldens."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import losses

TRUE = np.asarray([[[1, 2], [4, 8]]], np.float32)
PRED = np.asarray([[[1.1, 1.5], [5, 8]]], np.float32)
ERROR = np.array([0.1, 0.5, 1.0, 0.0])


def value(name, *args, **options):
  fn = losses.DEPTH_LOSSES[name]
  return float(jax.jit(lambda *a: fn(*a, **options).compute())(*args))


@pytest.mark.parametrize(
  ("name", "options", "want"),
  [
    ("l1", {}, ERROR.mean()),
    ("l2", {}, (ERROR**2).mean()),
    # delta .5: halves of the squares, and .5 (1 - .25) for the error of 1.
    ("huber", {"delta": 0.5}, (0.005 + 0.125 + 0.375) / 4),
    # c = .2: .1 stays, (.25 + .04) / .4 and (1 + .04) / .4.
    ("berhu", {}, (0.1 + 0.725 + 2.6) / 4),
    ("silog", {}, 0.035380),
    ("silog", {"lam": 0.85, "root": True, "scale": 10.0}, 1.880404),
    (
      "silog",
      {"lam": 0.85, "root": True, "scale": 10.0, "unbiased": True},
      2.171236,
    ),
  ],
)
def test_values(name, options, want):
  # The golden is printed as mean d^2 - 1/2 (mean d)^2 over the four pixels.
  assert value(name, PRED, TRUE, **options) == pytest.approx(want, rel=2e-4)


def test_silog_ignores_the_scale_with_lambda_one():
  a = value("silog", PRED, TRUE, lam=1.0)
  b = value("silog", 7 * PRED, TRUE, lam=1.0)
  assert a == pytest.approx(b, rel=1e-4)
  assert a < value("silog", 7 * PRED, TRUE, lam=0.5)


def test_silog_of_the_truth_has_a_finite_gradient():
  g = jax.jit(jax.grad(lambda p: losses.silog(p, TRUE, root=True).compute()))(
    TRUE
  )
  np.testing.assert_array_equal(g, np.zeros_like(TRUE))


@pytest.mark.parametrize("name", sorted(losses.DEPTH_LOSSES))
def test_unmeasured_depth_does_not_count(name):
  true = np.stack([TRUE[0], TRUE[0]])
  true[1] = [[0, np.nan], [-1, np.inf]]
  pred = np.stack([PRED[0], PRED[0]])
  assert value(name, pred, true) == pytest.approx(
    value(name, PRED, TRUE), rel=1e-6
  )


def test_no_silent_broadcasting():
  with pytest.raises(ValueError, match="differ in shape"):
    losses.l1(jnp.ones((2, 3, 3, 1)), jnp.ones((2, 3, 3)))
