"""Depth over an image's own bins: decoding, sizes, losses, views, mistakes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import answer, assignment, defaults, inference, losses
from jaxseg.data.datasets import DATASETS
from jaxseg.ops import resize
from jaxseg.types import UserError
from tests import quick


def make(**options):
  config = defaults.get_config()
  config.task.name = "depth_adaptive"
  config.task.min_m, config.task.max_m = 1.0, 9.0
  for key, value in options.items():
    config.task[key] = value
  return assignment.make_task(config, DATASETS["scenes"])


def by_hand(out, low=1.0, high=9.0):
  """(metres (b, h, w), centres (b, k)) of widths once per image, float64."""
  share = np.maximum(np.float64(out["widths"][:, 0, 0]), 0) + 0.1
  share /= share.sum(-1, keepdims=True)
  ends = low + (high - low) * np.cumsum(share, -1)
  centres = ends - (high - low) * share / 2
  p = np.exp(np.float64(out["bins"]))
  p /= p.sum(-1, keepdims=True)
  return np.einsum("bhwk,bk->bhw", p, centres), centres


def outputs(size=(3, 4), bins=5, per_image=True, seed=0):
  rng = np.random.default_rng(seed)
  at = (1, 1) if per_image else size
  return {
    "bins": jnp.float32(rng.normal(size=(2, *size, bins))),
    "widths": jnp.float32(rng.normal(size=(2, *at, bins))),
  }


def depths(size, seed=1):
  depth = np.random.default_rng(seed).uniform(1, 9, (2, *size))
  depth[0, 0] = 0
  return np.float32(depth)


def test_decoding_by_hand():
  task, out = make(bins=5), outputs()
  want, centres = by_hand(out)
  got = quick.jit(task.predict)(out)["depth"]
  np.testing.assert_allclose(got, want, rtol=1e-5)
  even = {**out, "bins": jnp.zeros_like(out["bins"])}
  got = np.asarray(task.predict(even)["depth"])
  np.testing.assert_allclose(got[0], centres[0].mean(), rtol=1e-5)
  np.testing.assert_allclose(got[1], centres[1].mean(), rtol=1e-5)
  assert abs(got[0, 0, 0] - got[1, 0, 0]) > 0.1  # bins of their own
  assert task.outputs == {"bins": 5, "widths": 5}


def test_losses_by_hand():
  task, out = make(bins=5, losses=("l1", "chamfer*0.1")), outputs()
  metres, centres = by_hand(out)
  depth = depths((3, 4))
  terms = task.loss(out, {"depth": jnp.asarray(depth)})
  want = np.abs(metres - depth)[depth > 0].mean()
  np.testing.assert_allclose(terms["l1"].compute(), want, rtol=1e-5)
  tables = []
  for c, d in zip(centres, depth):
    table = (c[:, None] - d[d > 0]) ** 2
    tables.append(table.min(0).mean() + table.min(1).mean())
  got = terms["chamfer"].compute()
  np.testing.assert_allclose(got, 0.1 * np.mean(tables), rtol=1e-4)
  assert {name: weight for name, weight, _ in make().losses} == {
    "silog_root": 1.0,
    "chamfer": 0.1,
  }


def test_metres_are_enlarged_not_logits():
  """Coarse heads: loss and answer see the metres, corners aligned."""
  task, out = make(bins=5, losses=("silog_root",)), outputs((3, 4))
  small, _ = by_hand(out)
  grown = resize.resize_bilinear(
    jnp.float32(small)[..., None], (5, 7), align_corners=True
  )[..., 0]
  np.testing.assert_allclose(grown[:, ::2, ::2], small, rtol=1e-6)
  image = jnp.zeros((2, 5, 7, 3))
  got = answer.compose(task, task.predict(out), image)["depth"]
  np.testing.assert_allclose(got, grown, rtol=1e-5)
  depth = jnp.asarray(depths((5, 7)))
  got = task.loss(out, {"depth": depth})["silog_root"].compute()
  want = losses.DEPTH_LOSSES["silog_root"](grown, depth).compute()
  np.testing.assert_allclose(got, want, rtol=1e-5)


def test_bins_at_every_pixel():
  """Equal ones are those of the image; else their mean where measured."""
  task, out = make(bins=5, losses=("chamfer",)), outputs()
  depth = jnp.asarray(depths((3, 4)))
  same = {**out, "widths": jnp.broadcast_to(out["widths"], (2, 3, 4, 5))}
  for o in (out, same):
    got = task.loss(o, {"depth": depth})["chamfer"].compute()
    if o is out:
      want = got
  np.testing.assert_allclose(got, want, rtol=1e-5)
  own = outputs(per_image=False)
  centres = np.stack(
    [
      by_hand({"bins": own["bins"], "widths": own["widths"][:, i : i + 1, j:]})[
        1
      ]
      for i, j in np.ndindex(3, 4)
    ],
    1,
  ).reshape(2, 3, 4, 5)
  valid = np.asarray(depth) > 0
  mean = np.stack([c[v].mean(0) for c, v in zip(centres, valid)])
  want = losses.chamfer(jnp.float32(mean), depth).compute()
  got = task.loss(own, {"depth": depth})["chamfer"].compute()
  np.testing.assert_allclose(got, want, rtol=1e-4)


@pytest.mark.slow
def test_a_padded_example_reaches_no_other():
  task, out = make(bins=5), outputs()
  batch = {"depth": jnp.asarray(depths((3, 4)))}
  mask = jnp.array([True, False])

  def total(o, mask):
    terms = task.loss(o, {**batch, "_mask": mask}).values()
    return sum(t.compute() for t in terms)

  want, grad = jax.value_and_grad(total)(out, mask)
  spoilt = {k: v.at[1].set(7.0) for k, v in out.items()}
  again, same = jax.value_and_grad(total)(spoilt, mask)
  assert again == want
  for g in (grad, same):
    for k in out:
      assert np.abs(g[k][0]).max() > 0
      assert not np.any(g[k][1])


class Network:
  """Applied to a picture it says the same logits and widths of its mean."""

  def apply(self, variables, image, *, train):
    mean = jnp.mean(image, (1, 2, 3), keepdims=True)
    return {
      "bins": jnp.concatenate([image, 1 - image[..., :2]], -1),
      "widths": jnp.concatenate([mean * k for k in (1, 2, 4, 1, 3)], -1),
    }


@pytest.mark.parametrize("mode", ["whole", "slide"])
def test_views_with_bins_of_their_own_are_averaged_in_metres(mode):
  task = make(bins=5)
  rng = np.random.default_rng(0)
  image = jnp.float32(rng.random((1, 8, 8, 3)))
  options = inference.InferenceOptions(
    mode=mode, window=(8, 4), overlap=0.5, flip=mode == "whole"
  )
  got = inference.build(Network(), task, options)({}, image)["depth"]

  def view(x):
    return by_hand(Network().apply({}, x, train=False))[0][0]

  if mode == "whole":  # a mirrored picture has the same bins
    want = view(image)
  else:
    parts = [view(image[:, :, x : x + 4]) for x in (0, 2, 4)]
    tent = np.array([1, 2, 2, 1.0])
    total, weight = np.zeros((8, 8)), np.zeros(8)
    for x, part in zip((0, 2, 4), parts):
      total[:, x : x + 4] += part * tent
      weight[x : x + 4] += tent
    want = total / weight
  np.testing.assert_allclose(got[0], want, rtol=1e-5)


@pytest.mark.parametrize(
  ("options", "says"),
  [
    ({"bins": 1}, "bins = 1: expected at least 2"),
    ({"min_m": 0.0}, "min_m = 0.0, max_m = 9.0"),
    ({"losses": ("chamfre",)}, "'chamfre' is not known.*'chamfer'"),
    ({"spacing": "sid"}, "spacing is not an option of DepthAdaptive"),
  ],
)
def test_what_cannot_be_is_said(options, says):
  with pytest.raises(UserError, match=says):
    make(**options)
