"""A state of a few arrays, and the config of its checkpoints."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import mesh
from jaxseg.state import State

CONFIG = {
  "seed": 0,
  "steps": 10,
  "model": {"name": "unet", "width": 4},
  "optim": {"lr": 0.1, "rules": (("^encoder/", 0.1),)},
  "eval": {"every": 5},
}
SHARDING = mesh.replicated(mesh.make_mesh(2))


def make(step, seed=None):
  """Noise, which does not compress: a flipped bit in it is still a number."""
  rng = np.random.default_rng(step if seed is None else seed)
  kernel = rng.normal(size=(64, 64)).astype(np.float32)
  state = State(
    step=jnp.int32(step),
    params={"conv": {"kernel": kernel, "bias": kernel[0]}},
    model_state={"batch_stats": {"mean": kernel[1]}},
    opt_state=({"trace": kernel * 2}, ()),
    ema=None,
  )
  return jax.tree.map(
    lambda x: jax.make_array_from_callback(
      np.shape(x), SHARDING, lambda index: np.asarray(x)[index]
    ),
    state,
  )


ABSTRACT = jax.tree.map(
  lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=SHARDING), make(0)
)


def check_equal(a, b):
  jax.tree.map(
    lambda x, y: np.testing.assert_array_equal(x, y, strict=True), a, b
  )
