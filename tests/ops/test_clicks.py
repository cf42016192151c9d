"""Clicks: maps by brute force, draws by their rules, the next by hand."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jaxseg.ops import clicks
from jaxseg.types import UserError
from tests import quick

H, W = 17, 23


def _clicks(rng, n):
  places = [rng.integers(0, H, n), rng.integers(0, W, n)]
  return np.stack([*places, rng.integers(-1, 2, n)], -1).astype(np.int32)


@pytest.mark.parametrize("kind", clicks.KINDS)
def test_maps_are_distances_to_the_nearest_click(kind):
  rng = np.random.default_rng(0)
  made = np.stack([_clicks(rng, 5) for _ in range(3)])
  made[2, :, 2] = 0  # nobody clicked
  reach = 9.0 if kind == "distance" else 3.0
  got = quick.jit(lambda c: clicks.maps(c, (H, W), kind, reach))(made)
  assert got.shape == (3, H, W, 2)
  for b, y, x in np.ndindex(3, H, W):
    for channel, sign in enumerate((1, -1)):
      away = min(
        (math.hypot(y - r, x - c) for r, c, s in made[b] if s == sign),
        default=math.inf,
      )
      if kind == "disc":
        assert got[b, y, x, channel] == (away <= reach)
      else:
        share = min(away, reach) / reach
        assert abs(got[b, y, x, channel] - share) <= 0.5 / 255 + 1e-6
        # To the bit what a byte of a picture is.
        byte = np.float32(round(share * 255)) / np.float32(255)
        assert abs(got[b, y, x, channel] - byte) < 1e-6
  assert (np.asarray(got[2]) == (kind == "distance")).all()


def test_no_clicks_at_all_are_maps_too():
  got = clicks.maps(jnp.zeros((2, 0, 3), jnp.int32), (4, 5))
  assert (np.asarray(got) == np.ones((2, 4, 5, 2))).all()


@functools.cache
def _drawing():
  how = clicks.Draw(margin=2, step=3, near=6, on=4, beside=5)
  one = functools.partial(clicks.draw, how=how)
  return how, quick.jit(jax.vmap(one, (0, None, None)))


def test_draws_keep_to_their_rules():
  y, x = np.mgrid[:32, :40]
  target = np.hypot(y - 15, x - 14) < 8
  others = (abs(y - 25) < 4) & (abs(x - 33) < 4)
  how, draw = _drawing()
  keys = jax.random.split(jax.random.key(0), 300)
  drawn = np.asarray(draw(keys, target, others))
  assert drawn.shape == (300, 9, 3)
  inner = ndimage.distance_transform_edt(target)
  outer = ndimage.distance_transform_edt(~target)
  signs = drawn[..., 2]
  assert ((signs[:, :4] == 1) | (signs[:, :4] == 0)).all()
  assert ((signs[:, 4:] == -1) | (signs[:, 4:] == 0)).all()
  assert (signs[:, 0] == 1).all()  # always one on the object
  assert set((signs[:, :4] == 1).sum(1)) == {1, 2, 3, 4}
  assert set((signs[:, 4:] == -1).sum(1)) >= {0, 1, 2, 3, 4}
  on_others = 0
  for example in drawn:
    for sign, own in ((1, inner), (-1, outer)):
      mine = example[example[:, 2] == sign, :2]
      depth = own[mine[:, 0], mine[:, 1]]
      assert (depth >= how.margin).all()
      pairs = np.hypot(*(mine[:, None] - mine[None]).transpose(2, 0, 1))
      assert (pairs[~np.eye(len(mine), dtype=bool)] >= how.step).all()
      if sign == -1:
        far = depth > how.near
        there = others[mine[:, 0], mine[:, 1]]
        assert there[far].all()
        on_others += bool(len(mine)) and there.all()
  assert 40 < on_others < 160  # a third of those that have any
  # Of the pixels that are allowed every one is drawn at some time.
  first = drawn[:, 0, :2]
  assert len(np.unique(first @ [40, 1])) > 0.7 * (inner >= 2).sum()


def test_thin_and_empty_objects():
  _, draw = _drawing()
  keys = jax.random.split(jax.random.key(1), 20)
  thin = np.zeros((32, 40), bool)
  thin[7, 3:30] = True
  drawn = np.asarray(draw(keys, thin, np.zeros_like(thin)))
  assert (drawn[:, 0, 2] == 1).all()
  on = drawn[drawn[..., 2] == 1]
  assert thin[on[:, 0], on[:, 1]].all()
  nothing = np.asarray(draw(keys, np.zeros_like(thin), thin))
  assert (nothing == 0).all()
  # Everything is the object: nothing lies beside it.
  full = np.asarray(draw(keys, np.ones_like(thin), np.zeros_like(thin)))
  assert (full[:, 0, 2] == 1).all()
  assert (full[..., 2] >= 0).all()


def test_the_next_click_is_in_the_middle_of_the_largest_error():
  following = quick.jit(clicks.following)
  target = np.zeros((1, H, W), bool)
  target[0, 3:10, 4:11] = True  # 7x7
  known = np.ones_like(target)
  none = np.zeros((1, 2, 3), np.int32)
  got = following(np.zeros_like(target), target, known, none)
  assert got.tolist() == [[6, 7, 1]]
  # Found, and 9x9 too much at the right border.
  pred = target.copy()
  pred[0, 5:14, 14:23] = True
  assert following(pred, target, known, none).tolist() == [[9, 18, -1]]
  # Beyond the border is no error: the region ends there.
  assert following(pred, target, ~pred | target, none).tolist() == [[0, 0, 0]]
  assert following(target, target, known, none).tolist() == [[0, 0, 0]]
  # A pixel is not clicked twice.
  made = np.array([[[6, 7, 1], [0, 0, 0]]], np.int32)
  got = np.asarray(following(np.zeros_like(target), target, known, made))[0]
  assert got[2] == 1
  assert tuple(got[:2]) != (6, 7)


@pytest.mark.parametrize("seed", range(6))
def test_the_next_click_is_as_deep_as_scipy_finds(seed):
  rng = np.random.default_rng(seed)
  target, pred = (
    ndimage.gaussian_filter(rng.normal(size=(2, H, W)), (0, 2, 2)) > 0
  )
  pred = ndimage.shift(target, 2, order=0) if seed % 2 else pred
  got = quick.jit(clicks.following)(
    pred[None], target[None], np.ones((1, H, W), bool),
    np.zeros((1, 1, 3), np.int32),
  )  # fmt: skip
  row, column, sign = np.asarray(got)[0]
  depths = {
    s: ndimage.distance_transform_edt(np.pad(m, 1))[1:-1, 1:-1]
    for s, m in ((1, target & ~pred), (-1, pred & ~target))
  }
  deepest = max(d.max() for d in depths.values())
  assert depths[int(sign)][row, column] == pytest.approx(deepest)


def test_a_persons_clicks():
  got = clicks.check([[3.7, 2.0], (0, 0)], [[5, 4.9]], (5, 6))
  assert got.tolist() == [[2, 3, 1], [0, 0, 1], [4, 5, -1]]
  for on, beside, says in (
    ([], [], "no click on the object, and 0 beside it"),
    ([], [[1, 1]], "no click on the object, and 1 beside it"),
    ([[6, 1]], [], "x = 6, y = 1 is outside of the image: expected 0 <= x < 6"),
    ([[1, -0.5]], [], "y = -0.5 is outside"),
    ([[float("nan"), 1]], [], "x = nan"),
    ([[1.2, 3.4]], [[1.9, 3.0]], "the pixel x = 1, y = 3 is clicked as the"),
    ([[1]], [], r"click \[1\] is no place"),
    (["ab"], [], "click 'ab' is no place"),
  ):
    with pytest.raises(UserError, match=says):
      clicks.check(on, beside, (5, 6))
