"""The feature network of superpixel sampling networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg.models import MODELS
from jaxseg.types import UserError
from tests import quick


def test_parameters_by_hand():
  """3x3 convolutions 5 -> 64 and five of 64 -> 64 with a scale and a bias each
  (as many statistics beside), and 192 -> 15 with a bias."""
  model = MODELS["ssn"](outputs={"features": 15})
  shapes = jax.eval_shape(
    lambda x: model.init(jax.random.key(0), x, train=False),
    jnp.ones((1, 9, 9, 3)),
  )
  count = sum(x.size for x in jax.tree.leaves(shapes["params"]))
  six = 9 * 5 * 64 + 5 * 9 * 64 * 64 + 6 * 2 * 64
  assert count == six + 9 * 192 * 15 + 15 == 214_543 - 640


def test_it_sees_place():
  """On one grey all over, features differ from pixel to pixel: there is place
  in what it reads, at any size, and nothing of the padding remains."""
  model = MODELS["ssn"](outputs={"features": 3}, width=4)
  image = jnp.full((1, 21, 18, 3), 0.5)
  variables = quick.jit(
    lambda x: model.init(jax.random.key(0), x, train=False)
  )(image)
  out = quick.jit(lambda v, x: model.apply(v, x, train=False))(variables, image)
  assert out["features"].shape == (1, 21, 18, 3)
  inner = np.asarray(out["features"])[0, 8:-8, 6:-6]
  assert np.ptp(inner, axis=(0, 1)).min() > 1e-4


def test_it_wants_rgb():
  model = MODELS["ssn"](outputs={"features": 3})
  with pytest.raises(UserError, match="images of 1 channel"):
    model.init(jax.random.key(0), jnp.ones((1, 8, 8, 1)), train=False)
