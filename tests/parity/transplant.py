"""Weights of a torch network in ours, and both run on one image."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from jaxseg.weights import rule

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def transplant(module, rules, model, shape=(1, 64, 64, 3)):
  """The torch module's state as variables of `model`: its tree exactly."""
  state = {k: v.numpy() for k, v in module.state_dict().items()}
  variables = traverse_util.unflatten_dict(rule.rename(rules, state), sep="/")
  want = jax.eval_shape(
    lambda x: model.init(jax.random.key(0), x, train=False),
    jax.ShapeDtypeStruct(shape, jnp.float32),
  )
  got = jax.tree.map(lambda x: x.shape, variables)
  assert got == jax.tree.map(lambda x: x.shape, dict(want))
  return variables


def run_theirs(module, image, normalized=True):
  """(b, h, w, 3) in [0, 1] -> what the torch module gives, channels last."""
  import torch

  x = (image - MEAN) / STD if normalized else image
  x = torch.tensor(x.astype(np.float32)).permute(0, 3, 1, 2)
  with torch.no_grad():
    out = module(x)
  if not isinstance(out, dict):
    out = {"out": out}
  return {k: v.permute(0, 2, 3, 1).numpy() for k, v in out.items()}


def run_ours(model, variables, image):
  return jax.jit(lambda v, x: model.apply(v, x, train=False))(variables, image)


def difference(got, want):
  """Largest difference of two maps of one shape over the largest value."""
  assert got.shape == want.shape
  largest = np.abs(want).max()
  # Far from constant over the image: a shift would be seen.
  assert want.std((1, 2)).max() > 0.02 * largest
  return np.abs(np.asarray(got) - want).max() / largest


def picture(*size):
  """Noise: interpolation errors show."""
  return np.random.default_rng(0).random((2, *size, 3), np.float32)
