"""Feature pyramid and semantic branch: counts, top-down path, sizes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import types
from jaxseg.models import MODELS
from jaxseg.models.decoders import fpn
from jaxseg.state import count
from tests import probe, quick

CHANNELS = (3, 4, 5, 6)


def pictures(h=32, w=48):
  rng = np.random.default_rng(0)
  maps = {}
  for level, c in zip((2, 3, 4, 5), CHANNELS):
    maps[f"c{level}"] = rng.normal(size=(1, h, w, c)).astype(np.float32)
    h, w = -(-h // 2), -(-w // 2)
  return maps


def test_counts():
  """Pyramid of R-50 with its trunk 26,852,416; branch with 54 outputs
  1,630,774 (Panoptic FPN)."""
  model = MODELS["fpn"](outputs={"logits": 54})
  out, variables = probe.shapes(model, (97, 130))
  params = variables["params"]
  lateral = sum(c * 256 + 256 for c in (256, 512, 1024, 2048))
  output = 4 * (9 * 256 * 256 + 256)
  assert count(params["pyramid"]) == lateral + output
  assert 23_508_032 + lateral + output == 26_852_416
  assert count(params["encoder"]) + count(params["pyramid"]) == 26_852_416
  first, later, norm = 9 * 256 * 128, 9 * 128 * 128, 2 * 128
  want = 4 * first + 3 * later + 7 * norm + 128 * 54 + 54
  assert want == 1_630_774
  assert count(params["branch"]) + count(params["head_logits"]) == want
  assert out["logits"].shape == (1, 97, 130, 54)


@pytest.mark.parametrize("size", [(32, 48), (25, 33)])
def test_top_down_path_by_hand(size):
  """Without output convolutions: laterals, repeated and added."""
  maps = pictures(*size)
  pyramid = fpn.FeaturePyramid(7, output_convs=False, extra=True)

  @quick.jit
  def run(maps):
    variables = pyramid.init(jax.random.key(0), maps)
    return pyramid.apply(variables, maps), variables["params"]

  got, params = run(maps)
  want = None
  for level in (5, 4, 3, 2):
    p = params[f"lateral{level}"]
    finer = maps[f"c{level}"] @ np.asarray(p["kernel"])[0, 0] + p["bias"]
    if want is not None:
      coarse = want.repeat(2, 1).repeat(2, 2)
      finer = finer + coarse[:, : finer.shape[1], : finer.shape[2]]
    want = np.asarray(finer)
    np.testing.assert_allclose(got[f"p{level}"], want, atol=1e-5)
    assert np.abs(want).max() > 0.5
  np.testing.assert_array_equal(got["p6"], got["p5"][:, ::2, ::2])


def test_levels_are_independent_without_the_top_down_path():
  """Zero coarser maps and biases: what is left is the level's own."""
  maps = pictures()
  pyramid = fpn.FeaturePyramid(7)

  @quick.jit
  def run(maps):
    variables = pyramid.init(jax.random.key(0), maps)
    silent = {k: v if k == "c2" else 0 * v for k, v in maps.items()}
    other = {k: v if k == "c2" else 3 * v for k, v in maps.items()}
    return [pyramid.apply(variables, m) for m in (maps, silent, other)]

  whole, alone, other = run(maps)
  assert not np.any(alone["p5"])  # its bias starts at zero
  assert np.abs(whole["p2"] - alone["p2"]).max() > 0.1
  assert np.abs(whole["p2"] - other["p2"]).max() > 0.1
  # Information goes down only: p5 does not know of the finer maps.
  changed = {**maps, "c2": maps["c2"] + 1}
  again = run(changed)[0]
  np.testing.assert_array_equal(again["p5"], whole["p5"])
  assert np.abs(again["p2"] - whole["p2"]).max() > 0.1


@pytest.mark.parametrize("merge", fpn.MERGES)
def test_branch_brings_every_level_to_stride_4(merge, random_variables):
  """Also where sizes were rounded up; a concatenation keeps them apart."""
  pyramid = {f"p{k[1]}": v for k, v in pictures(25, 33).items()}
  branch = fpn.SemanticBranch(4, merge=merge)
  variables = random_variables(branch, pyramid)

  @quick.jit
  def run(pyramid):
    def sums(pyramid):
      y = branch.apply(variables, pyramid, train=False)
      return jnp.sum(jnp.sin(jnp.arange(y.size).reshape(y.shape)) * y), y

    return jax.grad(sums, has_aux=True)(pyramid)

  grads, y = run(pyramid)
  assert y.shape == (1, 25, 33, 4 if merge == "add" else 16)
  for level, g in grads.items():
    assert g.any(), level


def test_unknown_merge_is_refused():
  pyramid = {f"p{k[1]}": v for k, v in pictures().items()}
  with pytest.raises(types.UserError, match="merge='sum'"):
    fpn.SemanticBranch(4, merge="sum").init(
      jax.random.key(0), pyramid, train=False
    )
