"""bfloat16 computes; parameters, statistics, losses, metrics are float32."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxseg import compiling, state, step
from jaxseg.models import MODELS
from jaxseg.ops.grown import Grown
from jaxseg.tasks import Semantic
from tests.tiny import TINY

TASK = Semantic(
  tuple("abc"),
  ((0, 0, 0),) * 3,
  (("cross_entropy", 1.0, ()), ("dice", 0.5, ())),
)
RNG = np.random.default_rng(0)
LABEL = np.zeros((4, 32, 32), np.int32)
for i, (y, x) in enumerate(RNG.integers(2, 14, (4, 2))):
  LABEL[i, y : y + 14, x : x + 14] = 1 + i % 2
COLOURS = np.array([[0.1, 0.2, 0.1], [0.9, 0.3, 0.2], [0.2, 0.4, 0.9]])
IMAGE = COLOURS[LABEL] + RNG.normal(0, 0.1, (*LABEL.shape, 3))
BATCH = {"image": IMAGE.astype(np.float32), "label": LABEL}


def prepare(model):
  tx = optax.sgd(0.05, momentum=0.9)
  make = step.make_train_step(model, TASK, tx, lambda _: 0.05, seed=0)
  start = compiling.jit(
    lambda: state.create_state(
      model, tx, (BATCH["image"],), jax.random.key(0), True
    )
  )
  return make, start


def unet(dtype):
  return MODELS["unet"](
    outputs={"logits": 3}, width=8, depth=1, norm="batch", dtype=dtype
  )


def floats(tree):
  return {
    x.dtype
    for x in jax.tree.leaves(tree)
    if jnp.issubdtype(x.dtype, jnp.floating)
  }


def test_what_a_step_keeps_is_float32():
  """Of a network that computes in bfloat16: that is in its program."""
  for model in (
    unet("bfloat16"),
    MODELS["deeplabv3plus_resnet50"](
      outputs={"logits": 3},
      **TINY["deeplabv3plus_resnet50"],
      dtype="bfloat16",
      later=True,
    ),
  ):
    make, start = prepare(model)
    now = jax.eval_shape(start)
    after, logs = jax.eval_shape(make, now, BATCH)
    assert floats(now) == floats(after) == {jnp.dtype("float32")}
    assert floats(logs) == {jnp.dtype("float32")}
    jaxpr = str(jax.make_jaxpr(make)(now, BATCH))
    convolutions = [x for x in jaxpr.split("\n") if "conv_general" in x]
    half = [x for x in convolutions if "bf16" in x]
    assert len(half) > 0.5 * len(convolutions)
    out = jax.eval_shape(
      lambda v, x, m=model: m.apply(
        v,
        x,
        train=True,
        mutable=["batch_stats"],
        rngs={"dropout": jax.random.key(0)},
      )[0],
      now.variables(averaged=False),
      BATCH["image"],
    )
    for head in out.values():
      head = head.small if isinstance(head, Grown) else head
      assert head.dtype == jnp.float32


def test_a_short_training_ends_where_float32_does():
  """Both learn the squares; losses after 40 steps within 10% of the first."""
  ends = {}
  for dtype in ("float32", "bfloat16"):
    make, start = prepare(unet(dtype))
    run = compiling.jit(make, donate_argnums=0)
    now, losses = start(), []
    for _ in range(40):
      now, logs = run(now, BATCH)
      losses.append(float(logs["loss"]))
    ends[dtype] = (losses[0], losses[-1])
  first, last = ends["float32"]
  assert last < 0.4 * first
  np.testing.assert_allclose(ends["bfloat16"][0], first, rtol=0.02)
  assert abs(ends["bfloat16"][1] - last) < 0.1 * first
  assert ends["bfloat16"] != ends["float32"]
