"""One contract for every loss: what does not count changes nothing.

Ignored pixels and padding examples hold garbage; value and gradient stay the
same to the bit, the gradient there is exactly zero and nothing is NaN.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import losses

B, H, W, K = 3, 4, 5, 3
RNG = np.random.default_rng(0)
MASK = np.array([True, True, False])
HOLE = RNG.random((B, H, W)) < 0.3  # pixels that do not count


def _semantic(name, **options):
  label = RNG.integers(0, K, (B, H, W))
  label[HOLE] = 255
  logits = RNG.normal(size=(B, H, W, K)).astype(np.float32)
  loss = losses.LOSSES[name]
  return logits, label, lambda x, t, m: loss(x, t, mask=m, **options)


def _binary(name, **options):
  target = RNG.integers(0, 2, (B, H, W))
  target[HOLE] = 255
  logits = RNG.normal(size=(B, H, W)).astype(np.float32)
  loss = getattr(losses, name)
  return logits, target, lambda x, t, m: loss(x, t, mask=m, **options)


def _depth(name, **options):
  depth = RNG.uniform(1, 9, (B, H, W)).astype(np.float32)
  depth[HOLE] = 0
  pred = RNG.uniform(1, 9, (B, H, W)).astype(np.float32)
  loss = losses.DEPTH_LOSSES[name]
  return pred, depth, lambda x, t, m: loss(x, t, mask=m, **options)


def _image(name):
  image = RNG.random((B, H, W, 3)).astype(np.float32)
  image[HOLE] = 255
  pred = RNG.random((B, H, W, 3)).astype(np.float32)
  loss = losses.IMAGE_LOSSES[name]
  return pred, image, lambda x, t, m: loss(x, t, valid=t < 255, mask=m)


def _soft():
  index = RNG.integers(0, K, (B, H, W, 2))
  index[HOLE] = 255
  logits = RNG.normal(size=(B, H, W, K)).astype(np.float32)

  def loss(x, t, m):
    valid = t[..., 0] < K
    share = jnp.broadcast_to(jnp.array([0.7, 0.3]), t.shape)
    t = jnp.where(valid[..., None], t, 0)
    scale = 1.0 + t[..., 0]
    return losses.soft_cross_entropy(
      x, t, share, scale=scale, valid=valid, mask=m
    )

  return logits, index, loss


def _bins(name):
  label = RNG.integers(0, K, (B, H, W))
  label[HOLE] = 255  # beyond the bins
  logits = RNG.normal(size=(B, H, W, K)).astype(np.float32)
  loss = {**losses.BIN_LOSSES, **losses.ORDINAL_LOSSES}[name]
  return logits, label, lambda x, t, m: loss(x, t, mask=m)


def _normals(name):
  normal = RNG.normal(size=(B, H, W, 3)).astype(np.float32)
  normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
  normal[HOLE] = 0
  pred = RNG.normal(size=(B, H, W, 3)).astype(np.float32)
  loss = losses.NORMAL_LOSSES[name]
  return pred, normal, lambda x, t, m: loss(x, t, mask=m)


CASES = {
  **{name: _semantic(name) for name in losses.LOSSES},
  "cross_entropy, weights": _semantic(
    "cross_entropy", class_weights=(1.0, 2.0, 3.0), label_smoothing=0.1
  ),
  "cross_entropy, sum": _semantic("cross_entropy", reduction="sum"),
  "dice, image-wise squares": _semantic("dice", squared=True, image_wise=True),
  "focal, alpha": _semantic("focal", gamma=0.5, alpha=(0.2, 0.5, 0.3)),
  "binary_cross_entropy": _binary("binary_cross_entropy"),
  "sigmoid_focal": _binary("sigmoid_focal"),
  "balanced": _binary("balanced_cross_entropy"),
  "balanced, sum": _binary("balanced_cross_entropy", reduction="sum"),
  **{f"depth {name}": _depth(name) for name in losses.DEPTH_LOSSES},
  **{f"image {name}": _image(name) for name in losses.IMAGE_LOSSES},
  "soft_cross_entropy": _soft(),
  "depth silog, root": _depth("silog", root=True, unbiased=True),
  **{f"bins {name}": _bins(name) for name in losses.BIN_LOSSES},
  **{f"bins {name}": _bins(name) for name in losses.ORDINAL_LOSSES},
  **{f"normals {name}": _normals(name) for name in losses.NORMAL_LOSSES},
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_what_does_not_count_changes_nothing(case):
  pred, target, loss = CASES[case]
  step = jax.jit(jax.value_and_grad(lambda x, t, m: loss(x, t, m).compute()))
  want, grad = step(pred, target, MASK)
  out = HOLE | ~MASK[:, None, None]
  assert float(want) != 0
  assert np.all(np.asarray(grad)[out] == 0)
  inside = np.asarray(grad)[~out]
  assert np.isfinite(inside).all()
  assert np.abs(inside).max() > 0

  for garbage in (1e4, np.inf, -np.inf, np.nan):
    bad = pred.copy()
    bad[out] = garbage
    other = target.copy()
    other[2] = target[0]  # the padding example gets some labels
    value, again = step(bad, other, MASK)
    assert value == want  # to the bit
    np.testing.assert_array_equal(again, grad)


@pytest.mark.parametrize("case", sorted(CASES))
def test_padding_examples_equal_no_padding(case):
  pred, target, loss = CASES[case]
  full = jax.jit(lambda x, t, m: loss(x, t, m).compute())(pred, target, MASK)
  part = jax.jit(lambda x, t: loss(x, t, None).compute())(pred[:2], target[:2])
  np.testing.assert_allclose(full, part, rtol=1e-6)


@pytest.mark.parametrize("case", sorted(CASES))
def test_nothing_that_counts_is_zero_not_nan(case):
  pred, target, loss = CASES[case]
  measured = case.startswith(("depth", "normals"))
  nothing = np.full_like(target, 0 if measured else 255)
  step = jax.jit(jax.value_and_grad(lambda x, t, m: loss(x, t, m).compute()))
  for t, m in ((nothing, MASK), (target, np.zeros(B, bool))):
    value, grad = step(np.full_like(pred, np.nan), t, m)
    assert float(value) == 0
    assert not np.any(np.asarray(grad))


def test_half_precision_logits_are_summed_in_float32():
  label = np.zeros((1, 64, 64), np.int32)
  logits = jnp.zeros((1, 64, 64, 2), jnp.bfloat16)
  mean = jax.jit(losses.cross_entropy)(logits, label)
  assert mean.total.dtype == jnp.float32
  # In bfloat16 the sum of 4096 times log 2 would stop growing at 256 or so.
  np.testing.assert_allclose(mean.total, 4096 * np.log(2), rtol=1e-5)
